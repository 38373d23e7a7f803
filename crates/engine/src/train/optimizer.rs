//! What turns gradients into steps, as Keras computes it, with the state in plain tensors on the network's own device.
//!
//! A step is one pass of our kernels over each array, in place. On a card the arrays stay the same for good, since recorded
//! steps are bound to them.

use burn::tensor::{ExecutionError, Tensor};
use inkling_core::spec::OptimizerId;
use inkling_kernels::{self as kernels, Isa};

use super::snapshot::optimizer_name;
use crate::network::{Array, Slot, WeightsError, download, flex, upload};
#[cfg(feature = "gpu")]
use crate::network::{Card, card_arrays as arrays};

/// Keras's defaults.
const ADAM_BETAS: [f64; 2] = [0.9, 0.999];
const MOMENTUM: f64 = 0.9;
const RMS_PROP_RHO: f64 = 0.9;
const ADADELTA_RHO: f64 = 0.95;
const EPSILON: f64 = 1e-7;

/// An optimizer with its state.
pub struct Optimizer {
    id: OptimizerId,
    weight_decay: f64,
    /// One set an array; how many tensors a set has depends on the optimizer.
    state: Vec<Vec<Tensor<1>>>,
    /// Steps done.
    n_steps: i32,
}

/// The numbers of one step, for an array that decays.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The learning rate, with Adam's bias corrections.
    rate: f64,
    /// The part of each number that is taken away (decoupled weight decay).
    decay: f64,
    /// What is added to the gradient for each number (plain weight decay).
    penalty: f64,
}

impl Step {
    /// As [`inkling_shaders::Rates`] has them.
    #[cfg(feature = "gpu")]
    pub fn numbers(self) -> [f32; 3] {
        [self.rate, self.decay, self.penalty].map(|number| number as f32)
    }

    /// Of an array that may not decay.
    fn of(self, slot: &Slot) -> Self {
        if decays(slot) { self } else { Self { decay: 0.0, penalty: 0.0, ..self } }
    }
}

/// Kernels alone decay.
fn decays(slot: &Slot) -> bool {
    slot.role() == "kernel"
}

impl Optimizer {
    /// Fresh state for these arrays.
    pub fn new(id: OptimizerId, weight_decay: f64, parameters: &[Tensor<1>]) -> Self {
        let state = parameters.iter().map(|p| (0..n_arrays(id)).map(|_| p.zeros_like()).collect()).collect();
        Self { id, weight_decay, state, n_steps: 0 }
    }

    /// All arrays of the state.
    #[cfg(feature = "gpu")]
    pub fn state(&self) -> impl Iterator<Item = &Tensor<1>> {
        self.state.iter().flatten()
    }

    /// Reads the state back, with the steps done: of each parameter the first array, then of each the second.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn arrays(&self, parameters: &[Slot]) -> Result<(Vec<Array>, i32), ExecutionError> {
        let tensors = (0..n_arrays(self.id)).flat_map(|number| self.state.iter().map(move |state| &state[number]));
        Ok((download(&slots(self.id, parameters), tensors).await?, self.n_steps))
    }

    /// The state from [`Optimizer::arrays`].
    ///
    /// # Errors
    /// When they are those of another network or optimizer.
    pub fn going_on(self, parameters: &[Slot], arrays: &[Array], n_steps: i32) -> Result<Self, WeightsError> {
        let slots = slots(self.id, parameters);
        if let Some(surplus) = arrays.iter().find(|array| slots.iter().all(|slot| slot.name != array.name)) {
            return Err(WeightsError::Surplus { name: surplus.name.clone() });
        }
        let mut state = self.state;
        for (index, slot) in slots.iter().enumerate() {
            let place = &mut state[index % parameters.len()][index / parameters.len()];
            *place = upload(slot, arrays, &place.device())?;
        }
        Ok(Self { state, n_steps, ..self })
    }

    /// Counts one step; gives its numbers.
    pub fn begin_step(&mut self, learning_rate: f64) -> Step {
        self.n_steps += 1;
        let [beta_1, beta_2] = ADAM_BETAS.map(|beta| 1.0 - beta.powi(self.n_steps));
        match self.id {
            OptimizerId::Adam => {
                Step { rate: learning_rate * beta_2.sqrt() / beta_1, decay: 0.0, penalty: self.weight_decay }
            }
            OptimizerId::AdamW => Step {
                rate: learning_rate * beta_2.sqrt() / beta_1,
                decay: learning_rate * self.weight_decay,
                penalty: 0.0,
            },
            _ => Step { rate: learning_rate, decay: 0.0, penalty: self.weight_decay },
        }
    }

    /// The parameters after the step that has begun, on the CPU.
    pub fn step(
        &mut self,
        step: Step,
        parameters: Vec<Tensor<1>>,
        gradients: Vec<Tensor<1>>,
        slots: &[Slot],
    ) -> Vec<Tensor<1>> {
        let state = std::mem::take(&mut self.state);
        let arrays = parameters.into_iter().zip(gradients).zip(state).zip(slots);
        let moved = arrays
            .map(|(((parameter, gradient), state), slot)| on_cpu(self.id, step.of(slot), parameter, gradient, state));
        let (parameters, state) = moved.unzip();
        self.state = state;
        parameters
    }

    /// Moves parameters on a card by a step that has begun and whose numbers lie there, in place: [`Step::numbers`].
    #[cfg(feature = "gpu")]
    pub fn step_on_card(
        &self,
        numbers: &inkling_shaders::Array,
        parameters: &[Tensor<1>],
        gradients: Vec<Tensor<1>>,
        slots: &[Slot],
    ) {
        for (((parameter, gradient), state), slot) in parameters.iter().zip(gradients).zip(&self.state).zip(slots) {
            let rates = inkling_shaders::Rates { numbers, decays: decays(slot) };
            on_card(self.id, rates, parameter, gradient, state);
        }
    }
}

/// Arrays that an optimizer keeps beside each parameter.
fn n_arrays(id: OptimizerId) -> usize {
    match id {
        OptimizerId::Adam | OptimizerId::AdamW | OptimizerId::Adadelta => 2,
        OptimizerId::Sgd | OptimizerId::RmsProp => 1,
    }
}

/// Names and shapes of these arrays: of each parameter the first, then of each the second.
fn slots(id: OptimizerId, parameters: &[Slot]) -> Vec<Slot> {
    let named = |number, slot: &Slot| Slot {
        name: optimizer_name(number, &slot.name),
        shape: slot.shape.clone(),
        trained: true,
    };
    (0..n_arrays(id)).flat_map(|number| parameters.iter().map(move |slot| named(number, slot))).collect()
}

type Moved = (Tensor<1>, Vec<Tensor<1>>);

fn on_cpu(id: OptimizerId, step: Step, parameter: Tensor<1>, gradient: Tensor<1>, state: Vec<Tensor<1>>) -> Moved {
    let isa = Isa::best();
    let (mut parameter, gradient) = (flex::of(parameter), flex::of(gradient));
    let mut state: Vec<_> = state.into_iter().map(flex::of).collect();
    let (p, g): (&mut [f32], &[f32]) = (parameter.storage_mut(), gradient.storage());
    let (rate, decay, penalty) = (step.rate as f32, step.decay as f32, step.penalty as f32);
    let epsilon = EPSILON as f32;
    match (id, state.as_mut_slice()) {
        (OptimizerId::Adam | OptimizerId::AdamW, [mean, square]) => {
            let betas = ADAM_BETAS.map(|beta| beta as f32);
            kernels::adam(isa, g, [p, mean.storage_mut(), square.storage_mut()], betas, epsilon, rate, decay, penalty);
        }
        (OptimizerId::Adadelta, [square, change]) => {
            let arrays = [p, square.storage_mut(), change.storage_mut()];
            kernels::adadelta(isa, g, arrays, ADADELTA_RHO as f32, epsilon, rate, penalty);
        }
        (OptimizerId::RmsProp, [square]) => {
            kernels::rms_prop(isa, g, [p, square.storage_mut()], RMS_PROP_RHO as f32, epsilon, rate, penalty);
        }
        (_, state) => {
            let velocity = &mut state[0];
            kernels::momentum(isa, g, [p, velocity.storage_mut()], MOMENTUM as f32, rate, penalty);
        }
    }
    (flex::tensor(parameter), state.into_iter().map(flex::tensor).collect())
}

#[cfg(feature = "gpu")]
fn on_card(
    id: OptimizerId,
    rates: inkling_shaders::Rates,
    parameter: &Tensor<1>,
    gradient: Tensor<1>,
    state: &[Tensor<1>],
) {
    use inkling_shaders as shaders;

    let epsilon = EPSILON as f32;
    let (card, g) = Card::of(gradient);
    let (_, p) = Card::of(parameter.clone());
    let state = arrays(state);
    match (id, state.as_slice()) {
        (OptimizerId::Adam | OptimizerId::AdamW, [mean, square]) => {
            let betas = ADAM_BETAS.map(|beta| beta as f32);
            shaders::adam(&card.gpu, &g, [&p, mean, square], betas, epsilon, rates);
        }
        (OptimizerId::Adadelta, [square, change]) => {
            shaders::adadelta(&card.gpu, &g, [&p, square, change], ADADELTA_RHO as f32, epsilon, rates);
        }
        (OptimizerId::RmsProp, [square]) => {
            shaders::rms_prop(&card.gpu, &g, [&p, square], RMS_PROP_RHO as f32, epsilon, rates);
        }
        (_, state) => shaders::momentum(&card.gpu, &g, [&p, &state[0]], MOMENTUM as f32, rates),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use burn::tensor::Device;

    use super::*;

    /// The same by burn's operations: the reference.
    fn by_burn(id: OptimizerId, step: Step, p: Tensor<1>, gradient: Tensor<1>, state: Vec<Tensor<1>>) -> Moved {
        let Step { rate, decay, penalty } = step;
        let g = if penalty > 0.0 { gradient.add(p.clone().mul_scalar(penalty)) } else { gradient };
        let mut state = state.into_iter();
        let mut next = || state.next().expect("the state was made for this optimizer");
        let mix = |kept: f64, old: Tensor<1>, new: Tensor<1>| old.mul_scalar(kept).add(new.mul_scalar(1.0 - kept));
        match id {
            OptimizerId::Adam | OptimizerId::AdamW => {
                let m = mix(ADAM_BETAS[0], next(), g.clone());
                let v = mix(ADAM_BETAS[1], next(), g.square());
                let change = m.clone().mul_scalar(rate).div(v.clone().sqrt().add_scalar(EPSILON));
                let p = if decay > 0.0 { p.mul_scalar(1.0 - decay) } else { p };
                (p.sub(change), vec![m, v])
            }
            OptimizerId::Sgd => {
                let v = next().mul_scalar(MOMENTUM).sub(g.clone().mul_scalar(rate));
                (p.add(v.clone().mul_scalar(MOMENTUM)).sub(g.mul_scalar(rate)), vec![v])
            }
            OptimizerId::RmsProp => {
                let v = mix(RMS_PROP_RHO, next(), g.clone().square());
                (p.sub(g.mul_scalar(rate).div(v.clone().add_scalar(EPSILON).sqrt())), vec![v])
            }
            OptimizerId::Adadelta => {
                let v = mix(ADADELTA_RHO, next(), g.clone().square());
                let d = next();
                let size = d.clone().add_scalar(EPSILON).sqrt().div(v.clone().add_scalar(EPSILON).sqrt());
                let change = size.mul(g);
                let d = mix(ADADELTA_RHO, d, change.clone().square());
                (p.sub(change.mul_scalar(rate)), vec![v, d])
            }
        }
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.to_data().iter::<f32>().collect()
    }

    fn slot() -> Slot {
        Slot { name: "dense_1.kernel".into(), shape: vec![3], trained: true }
    }

    #[test]
    fn the_first_step_of_adam_moves_by_the_learning_rate_against_the_gradient() {
        let device = Device::flex();
        let start = Tensor::<1>::from_floats([1.0, -1.0, 0.5], &device);
        let mut adam = Optimizer::new(OptimizerId::Adam, 0.0, std::slice::from_ref(&start));
        let gradient = Tensor::<1>::from_floats([3.0, -0.2, 0.0], &device);
        let step = adam.begin_step(0.01);
        let moved = adam.step(step, vec![start], vec![gradient], &[slot()]);
        let expected = [0.99, -0.99, 0.5];
        assert!(values(&moved[0]).iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{moved:?}");
    }

    fn start() -> Tensor<1> {
        Tensor::<1>::from_floats([4.0, -3.0, 0.1], &Device::flex())
    }

    /// Three numbers on a bowl.
    fn descend(id: OptimizerId, weight_decay: f64, rate: f64, n_steps: usize) -> Vec<f32> {
        let mut x = start();
        let mut optimizer = Optimizer::new(id, weight_decay, std::slice::from_ref(&x));
        for _ in 0..n_steps {
            let slope = x.clone().mul_scalar(2.0);
            let step = optimizer.begin_step(rate);
            x = optimizer.step(step, vec![x], vec![slope], &[slot()]).remove(0);
        }
        values(&x)
    }

    /// The same by burn's operations.
    fn descend_by_burn(id: OptimizerId, weight_decay: f64, rate: f64, n_steps: usize) -> Vec<f32> {
        let mut x = start();
        let mut optimizer = Optimizer::new(id, weight_decay, std::slice::from_ref(&x));
        for _ in 0..n_steps {
            let (step, state) = (optimizer.begin_step(rate), optimizer.state.remove(0));
            let slope = x.clone().mul_scalar(2.0);
            let state_after;
            (x, state_after) = by_burn(id, step, x, slope, state);
            optimizer.state.push(state_after);
        }
        values(&x)
    }

    /// `tests/golden/make.py` let Keras descend. It has no plain weight decay: only AdamW's is compared.
    #[test]
    fn each_goes_where_keras_goes() {
        let golden = include_str!("../../../golden/keras/optimizers.json");
        let golden: BTreeMap<String, Vec<f32>> = serde_json::from_str(golden).unwrap();
        for id in OptimizerId::ALL {
            let weight_decay = if *id == OptimizerId::AdamW { 0.01 } else { 0.0 };
            let (ours, keras_s) = (descend(*id, weight_decay, 0.03, 40), &golden[&id.to_string()]);
            let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * b.abs();
            assert!(ours.iter().zip(keras_s).all(near), "{id}: {ours:?}, Keras {keras_s:?}");
        }
    }

    #[test]
    fn both_ways_are_the_same() {
        for id in OptimizerId::ALL {
            let (ours, theirs) = (descend(*id, 0.01, 0.03, 40), descend_by_burn(*id, 0.01, 0.03, 40));
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() < 1e-4), "{id}: {ours:?} and {theirs:?}");
            assert_ne!(ours, descend(*id, 0.01, 0.02, 40), "{id} follows its rate");
        }
    }

    #[test]
    fn each_finds_the_bottom_of_a_bowl() {
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
