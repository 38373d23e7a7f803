//! Optimizers: they update parameters by gradients as Keras does. The state is flat tensors on the network's device.
//!
//! A step is one pass of a kernel over each array, in place. On a graphics card an array is never replaced, because
//! recorded steps are bound to it.

use burn::tensor::{ExecutionError, Tensor};
use inkling_core::models::Role;
use inkling_core::spec::OptimizerId;

use super::checkpoint::optimizer_name;
use crate::network::backend::{ADAM_BETAS, OptimizerStep, Update, UpdateRule};
use crate::network::{Array, Backend, Slot, WeightsError, download, upload};

/// An optimizer with its state.
pub struct Optimizer {
    id: OptimizerId,
    pub(super) rule: UpdateRule,
    weight_decay: f64,
    /// The state of each parameter: [`UpdateRule::n_state`] flat tensors.
    pub(super) state: Vec<Vec<Tensor<1>>>,
    /// Number of steps taken.
    n_steps: i32,
}

/// Whether weight decay applies to an array: only to kernels.
fn decays(slot: &Slot) -> bool {
    slot.role == Role::Kernel
}

impl Optimizer {
    /// A new optimizer for these parameters, with a state of zeros.
    pub fn new(id: OptimizerId, weight_decay: f64, parameters: &[Tensor<1>]) -> Self {
        let rule = UpdateRule::of(id);
        let state = parameters.iter().map(|p| (0..rule.n_state()).map(|_| p.zeros_like()).collect()).collect();
        Self { id, rule, weight_decay, state, n_steps: 0 }
    }

    /// Reads the state from the device: the first array of every parameter, then the second of every parameter; and the
    /// number of steps taken.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn arrays(&self, parameters: &[Slot]) -> Result<(Vec<Array>, i32), ExecutionError> {
        let tensors = (0..self.rule.n_state()).flat_map(|number| self.state.iter().map(move |state| &state[number]));
        Ok((download(&state_slots(self.rule, parameters), tensors).await?, self.n_steps))
    }

    /// Restores the state from [`Optimizer::arrays`].
    ///
    /// # Errors
    /// When the arrays do not fit the network or the optimizer.
    pub fn restore(self, parameters: &[Slot], arrays: &[Array], n_steps: i32) -> Result<Self, WeightsError> {
        let slots = state_slots(self.rule, parameters);
        if let Some(surplus) = arrays.iter().find(|array| slots.iter().all(|slot| slot.name != array.name)) {
            return Err(WeightsError::Surplus { name: surplus.name.clone() });
        }
        let mut state = self.state;
        for (index, slot) in slots.iter().enumerate() {
            let tensor = &mut state[index % parameters.len()][index / parameters.len()];
            *tensor = upload(slot, arrays, &tensor.device())?;
        }
        Ok(Self { state, n_steps, ..self })
    }

    /// Counts one step, and returns its numbers.
    pub fn begin_step(&mut self, learning_rate: f64) -> OptimizerStep {
        self.n_steps += 1;
        let corrected = match self.rule {
            UpdateRule::Adam { .. } => {
                let [mean_correction, square_correction] = ADAM_BETAS.map(|beta| 1.0 - beta.powi(self.n_steps));
                learning_rate * square_correction.sqrt() / mean_correction
            }
            UpdateRule::Momentum { .. } | UpdateRule::RmsProp { .. } | UpdateRule::Adadelta { .. } => learning_rate,
        };
        let (weight_decay, l2_penalty) = match self.id {
            OptimizerId::AdamW => (learning_rate * self.weight_decay, 0.0),
            OptimizerId::Adam | OptimizerId::Sgd | OptimizerId::RmsProp | OptimizerId::Adadelta => {
                (0.0, self.weight_decay)
            }
        };
        OptimizerStep { learning_rate: corrected, weight_decay, l2_penalty }
    }

    /// Updates the state, and returns the updated parameters. `step` is from [`Optimizer::begin_step`].
    pub fn step(
        &mut self,
        backend: &dyn Backend,
        step: OptimizerStep,
        parameters: Vec<Tensor<1>>,
        gradients: Vec<Tensor<1>>,
        slots: &[Slot],
    ) -> Vec<Tensor<1>> {
        // Moved out, not cloned: a tensor without other owners is updated in place.
        let state = std::mem::take(&mut self.state);
        let (parameters, state) =
            backend.optimize(self.rule, step, updates(parameters, gradients, state, slots)).into_iter().unzip();
        self.state = state;
        parameters
    }
}

/// One [`Update`] per parameter.
pub(super) fn updates(
    parameters: Vec<Tensor<1>>,
    gradients: Vec<Tensor<1>>,
    state: Vec<Vec<Tensor<1>>>,
    slots: &[Slot],
) -> Vec<Update> {
    let arrays = parameters.into_iter().zip(gradients).zip(state).zip(slots);
    let update = |(((parameter, gradient), state), slot)| Update { decays: decays(slot), parameter, gradient, state };
    arrays.map(update).collect()
}

/// Names and shapes of the state's arrays: the first of every parameter, then the second of every parameter.
fn state_slots(rule: UpdateRule, parameters: &[Slot]) -> Vec<Slot> {
    let named = |number, slot: &Slot| Slot {
        name: optimizer_name(number, &slot.name),
        shape: slot.shape.clone(),
        role: slot.role,
        trained: true,
    };
    (0..rule.n_state()).flat_map(|number| parameters.iter().map(move |slot| named(number, slot))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::Device;

    use super::*;
    use crate::network::backend::{Updated, backend};

    const MOMENTUM: f64 = 0.9;
    const RMS_PROP_RHO: f64 = 0.9;
    const ADADELTA_RHO: f64 = 0.95;
    const EPSILON: f64 = 1e-7;

    /// One step with burn's operations, the reference.
    fn step_by_burn(
        id: OptimizerId,
        step: OptimizerStep,
        p: Tensor<1>,
        gradient: Tensor<1>,
        state: Vec<Tensor<1>>,
    ) -> Updated {
        let OptimizerStep { learning_rate, weight_decay, l2_penalty } = step;
        let g = if l2_penalty > 0.0 { gradient.add(p.clone().mul_scalar(l2_penalty)) } else { gradient };
        let mut state = state.into_iter();
        let mut next = || state.next().expect("the state was made for this optimizer");
        let mix = |kept: f64, old: Tensor<1>, new: Tensor<1>| old.mul_scalar(kept).add(new.mul_scalar(1.0 - kept));
        match id {
            OptimizerId::Adam | OptimizerId::AdamW => {
                let m = mix(ADAM_BETAS[0], next(), g.clone());
                let v = mix(ADAM_BETAS[1], next(), g.square());
                let change = m.clone().mul_scalar(learning_rate).div(v.clone().sqrt().add_scalar(EPSILON));
                let p = if weight_decay > 0.0 { p.mul_scalar(1.0 - weight_decay) } else { p };
                (p.sub(change), vec![m, v])
            }
            OptimizerId::Sgd => {
                let v = next().mul_scalar(MOMENTUM).sub(g.clone().mul_scalar(learning_rate));
                (p.add(v.clone().mul_scalar(MOMENTUM)).sub(g.mul_scalar(learning_rate)), vec![v])
            }
            OptimizerId::RmsProp => {
                let v = mix(RMS_PROP_RHO, next(), g.clone().square());
                (p.sub(g.mul_scalar(learning_rate).div(v.clone().add_scalar(EPSILON).sqrt())), vec![v])
            }
            OptimizerId::Adadelta => {
                let v = mix(ADADELTA_RHO, next(), g.clone().square());
                let d = next();
                let size = d.clone().add_scalar(EPSILON).sqrt().div(v.clone().add_scalar(EPSILON).sqrt());
                let change = size.mul(g);
                let d = mix(ADADELTA_RHO, d, change.clone().square());
                (p.sub(change.mul_scalar(learning_rate)), vec![v, d])
            }
        }
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().iter::<f32>().collect()
    }

    fn slot() -> Slot {
        Slot { name: "dense_1.kernel".into(), role: Role::Kernel, shape: vec![3], trained: true }
    }

    #[test]
    fn the_first_step_of_adam_moves_by_the_learning_rate_against_the_gradient() {
        let device = Device::flex();
        let start = Tensor::<1>::from_floats([1.0, -1.0, 0.5], &device);
        let mut adam = Optimizer::new(OptimizerId::Adam, 0.0, std::slice::from_ref(&start));
        let gradient = Tensor::<1>::from_floats([3.0, -0.2, 0.0], &device);
        let step = adam.begin_step(0.01);
        let moved = adam.step(&*backend(&device), step, vec![start], vec![gradient], &[slot()]);
        let expected = [0.99, -0.99, 0.5];
        assert!(values(&moved[0]).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{moved:?}");
    }

    fn start() -> Tensor<1> {
        Tensor::<1>::from_floats([4.0, -3.0, 0.1], &Device::flex())
    }

    /// Minimizes the sum of squares of three numbers with our kernels.
    fn descend(id: OptimizerId, weight_decay: f64, rate: f64, n_steps: usize) -> Vec<f32> {
        let mut x = start();
        let mut optimizer = Optimizer::new(id, weight_decay, std::slice::from_ref(&x));
        for _ in 0..n_steps {
            let gradient = x.clone().mul_scalar(2.0);
            let step = optimizer.begin_step(rate);
            x = optimizer.step(&*backend(&Device::flex()), step, vec![x], vec![gradient], &[slot()]).remove(0);
        }
        values(&x)
    }

    /// The same as [`descend`] with burn's operations.
    fn descend_by_burn(id: OptimizerId, weight_decay: f64, rate: f64, n_steps: usize) -> Vec<f32> {
        let mut x = start();
        let mut optimizer = Optimizer::new(id, weight_decay, std::slice::from_ref(&x));
        for _ in 0..n_steps {
            let (step, state) = (optimizer.begin_step(rate), optimizer.state.remove(0));
            let gradient = x.clone().mul_scalar(2.0);
            let state_after;
            (x, state_after) = step_by_burn(id, step, x, gradient, state);
            optimizer.state.push(state_after);
        }
        values(&x)
    }

    /// `crates/golden/keras/make.py` took the same steps with Keras, which has no plain weight decay: only AdamW's is
    /// compared.
    #[test]
    fn each_optimizer_agrees_with_keras() {
        let golden = include_str!("../../../golden/keras/optimizers.json");
        let golden: BTreeMap<String, Vec<f32>> = serde_json::from_str(golden).unwrap();
        for id in OptimizerId::ALL {
            let weight_decay = if *id == OptimizerId::AdamW { 0.01 } else { 0.0 };
            let (actual, expected) = (descend(*id, weight_decay, 0.03, 40), &golden[&id.to_string()]);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * b.abs();
            assert!(actual.iter().zip(expected).all(near), "{id}: {actual:?}, Keras {expected:?}");
        }
    }

    #[test]
    fn each_optimizer_agrees_with_burn() {
        for id in OptimizerId::ALL {
            let (actual, expected) = (descend(*id, 0.01, 0.03, 40), descend_by_burn(*id, 0.01, 0.03, 40));
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
            assert!(actual.iter().zip(&expected).all(near), "{id}: {actual:?}, burn {expected:?}");
            assert_ne!(actual, descend(*id, 0.01, 0.02, 40), "{id} uses the learning rate");
        }
    }

    #[test]
    fn each_optimizer_finds_the_minimum_of_a_parabola() {
        for (id, rate, n_steps) in [
            (OptimizerId::Adam, 0.05, 400),
            (OptimizerId::AdamW, 0.05, 400),
            (OptimizerId::Sgd, 0.01, 400),
            (OptimizerId::RmsProp, 0.02, 600),
            (OptimizerId::Adadelta, 1.0, 6000),
        ] {
            let x = descend(id, 0.01, rate, n_steps);
            assert!(x.iter().all(|x| x.abs() < 0.1), "{id}: {x:?}");
        }
    }
}
