//! Optimizer steps, on the CPU: one pass of a kernel over each array, in place.

use burn::backend::flex::FlexTensor;
use inkling_kernels::{self as kernels, AdadeltaStep, AdamStep, Isa, MomentumStep, RmsPropStep};

use crate::network::backend::{OptimizerStep, Update, UpdateRule, Updated};
use crate::network::flex;

/// Updates one array. In place, where nothing else holds its tensors.
pub fn update(isa: Isa, rule: UpdateRule, step: OptimizerStep, update: Update) -> Updated {
    let OptimizerStep { learning_rate, weight_decay, l2_penalty } = step.for_array(update.decays);
    let [learning_rate, weight_decay, l2_penalty] = [learning_rate, weight_decay, l2_penalty].map(|rate| rate as f32);
    let (mut parameter, gradient) = (flex::of(update.parameter), flex::of(update.gradient));
    let mut state: Vec<_> = update.state.into_iter().map(flex::of).collect();
    let (p, g): (&mut [f32], &[f32]) = (parameter.storage_mut(), gradient.storage());
    // Rules are listed one by one, so that the compiler asks for the kernel of a new one.
    match rule {
        UpdateRule::Adam { beta_1, beta_2, epsilon } => {
            let [mean, square] = slices(&mut state);
            let step = AdamStep { learning_rate, beta_1, beta_2, epsilon, weight_decay, l2_penalty };
            kernels::adam(isa, g, [p, mean, square], step);
        }
        UpdateRule::Adadelta { rho, epsilon } => {
            let [square, change] = slices(&mut state);
            kernels::adadelta(isa, g, [p, square, change], AdadeltaStep { learning_rate, rho, epsilon, l2_penalty });
        }
        UpdateRule::RmsProp { rho, epsilon } => {
            let [square] = slices(&mut state);
            kernels::rms_prop(isa, g, [p, square], RmsPropStep { learning_rate, rho, epsilon, l2_penalty });
        }
        UpdateRule::Momentum { momentum } => {
            let [velocity] = slices(&mut state);
            kernels::momentum(isa, g, [p, velocity], MomentumStep { learning_rate, momentum, l2_penalty });
        }
    }
    (flex::tensor(parameter), state.into_iter().map(flex::tensor).collect())
}

/// The numbers of a parameter's state, of which a rule has [`UpdateRule::n_state`] arrays.
fn slices<const N: usize>(state: &mut [FlexTensor]) -> [&mut [f32]; N] {
    let state: &mut [FlexTensor; N] = state.try_into().expect("the state was made for this rule");
    state.each_mut().map(|array| array.storage_mut())
}
