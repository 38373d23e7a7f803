//! Optimizer steps, on a graphics card: one kernel over each array, in place. The arrays stay the same for good, since recorded
//! steps are bound to them.

use inkling_shaders::{self as shaders, Array, Rates};

use super::{GpuContext, arrays};
use crate::network::backend::{OptimizerStep, Update, UpdateRule};

/// The numbers of a step as [`Rates`] has them.
pub fn numbers(step: OptimizerStep) -> [f32; 3] {
    [step.rate, step.decay, step.penalty].map(|number| number as f32)
}

/// Updates arrays by a step whose numbers are stored on the card: [`numbers`].
pub fn optimize(rule: UpdateRule, numbers: &Array, updates: &[Update]) {
    for update in updates {
        let (context, g) = GpuContext::of(update.gradient.clone());
        let (_, p) = GpuContext::of(update.parameter.clone());
        let rates = Rates { numbers, decays: update.decays };
        match (rule, arrays(&update.state).as_slice()) {
            (UpdateRule::Adam { betas, epsilon }, [mean, square]) => {
                shaders::adam(&context.gpu, &g, [&p, mean, square], betas, epsilon, rates);
            }
            (UpdateRule::Adadelta { rho, epsilon }, [square, change]) => {
                shaders::adadelta(&context.gpu, &g, [&p, square, change], rho, epsilon, rates);
            }
            (UpdateRule::RmsProp { rho, epsilon }, [square]) => {
                shaders::rms_prop(&context.gpu, &g, [&p, square], rho, epsilon, rates);
            }
            (UpdateRule::Momentum { momentum }, [velocity]) => {
                shaders::momentum(&context.gpu, &g, [&p, velocity], momentum, rates);
            }
            _ => unreachable!("the state was made for this rule"),
        }
    }
}
