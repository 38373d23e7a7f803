//! Adam, with its state in plain tensors on the network's own device.

use burn::tensor::Tensor;

/// Keras's defaults for Adam.
const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;
const EPSILON: f64 = 1e-7;

/// Adam as Keras computes it: the bias corrections go into the learning rate, epsilon stays outside of them.
pub struct Adam {
    /// Running means of gradients and of their squares, one pair a parameter.
    moments: Vec<(Tensor<1>, Tensor<1>)>,
    /// Steps done.
    n_steps: i32,
}

impl Adam {
    /// Fresh state for parameters of these shapes.
    pub fn new(parameters: &[Tensor<1>]) -> Self {
        let zeros = |p: &Tensor<1>| (p.zeros_like(), p.zeros_like());
        Self { moments: parameters.iter().map(zeros).collect(), n_steps: 0 }
    }

    /// The parameters after one step.
    pub fn step(
        &mut self,
        parameters: Vec<Tensor<1>>,
        gradients: Vec<Tensor<1>>,
        learning_rate: f64,
    ) -> Vec<Tensor<1>> {
        self.n_steps += 1;
        let rate = learning_rate * (1.0 - BETA_2.powi(self.n_steps)).sqrt() / (1.0 - BETA_1.powi(self.n_steps));
        let moments = std::mem::take(&mut self.moments);
        let updated = parameters.into_iter().zip(gradients).zip(moments).map(|((parameter, gradient), (m, v))| {
            let m = m.mul_scalar(BETA_1).add(gradient.clone().mul_scalar(1.0 - BETA_1));
            let v = v.mul_scalar(BETA_2).add(gradient.square().mul_scalar(1.0 - BETA_2));
            let change = m.clone().mul_scalar(rate).div(v.clone().sqrt().add_scalar(EPSILON));
            (parameter.sub(change), (m, v))
        });
        let (parameters, moments) = updated.unzip();
        self.moments = moments;
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().iter::<f32>().collect()
    }

    #[test]
    fn the_first_step_moves_by_the_learning_rate_against_the_gradient() {
        let device = Device::flex();
        let start = Tensor::<1>::from_floats([1.0, -1.0, 0.5], &device);
        let mut adam = Adam::new(std::slice::from_ref(&start));
        let gradient = Tensor::<1>::from_floats([3.0, -0.2, 0.0], &device);
        let moved = adam.step(vec![start], vec![gradient], 0.01);
        let expected = [0.99, -0.99, 0.5];
        assert!(values(&moved[0]).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{moved:?}");
    }

    #[test]
    fn it_finds_the_bottom_of_a_bowl() {
        let device = Device::flex();
        let mut x = Tensor::<1>::from_floats([4.0], &device);
        let mut adam = Adam::new(std::slice::from_ref(&x));
        for _ in 0..400 {
            let slope = x.clone().mul_scalar(2.0);
            x = adam.step(vec![x], vec![slope], 0.05).remove(0);
        }
        assert!(values(&x)[0].abs() < 0.05, "{x:?}");
    }
}
