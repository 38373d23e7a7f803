//! Optimizer steps, on the CPU: one pass of a kernel over each array, in place.

use inkling_kernels::{self as kernels, Isa};

use crate::network::backend::{OptimizerStep, Update, UpdateRule, Updated};
use crate::network::flex;

/// Updates one array. In place, where nothing else holds its tensors.
pub fn update(isa: Isa, rule: UpdateRule, step: OptimizerStep, update: Update) -> Updated {
    let OptimizerStep { rate, decay, penalty } = step.for_array(update.decays);
    let (rate, decay, penalty) = (rate as f32, decay as f32, penalty as f32);
    let (mut parameter, gradient) = (flex::of(update.parameter), flex::of(update.gradient));
    let mut state: Vec<_> = update.state.into_iter().map(flex::of).collect();
    let (p, g): (&mut [f32], &[f32]) = (parameter.storage_mut(), gradient.storage());
    match (rule, state.as_mut_slice()) {
        (UpdateRule::Adam { betas, epsilon }, [mean, square]) => {
            kernels::adam(isa, g, [p, mean.storage_mut(), square.storage_mut()], betas, epsilon, rate, decay, penalty);
        }
        (UpdateRule::Adadelta { rho, epsilon }, [square, change]) => {
            kernels::adadelta(isa, g, [p, square.storage_mut(), change.storage_mut()], rho, epsilon, rate, penalty);
        }
        (UpdateRule::RmsProp { rho, epsilon }, [square]) => {
            kernels::rms_prop(isa, g, [p, square.storage_mut()], rho, epsilon, rate, penalty);
        }
        (UpdateRule::Momentum { momentum }, [velocity]) => {
            kernels::momentum(isa, g, [p, velocity.storage_mut()], momentum, rate, penalty);
        }
        _ => unreachable!("the state was made for this rule"),
    }
    (flex::tensor(parameter), state.into_iter().map(flex::tensor).collect())
}
