//! Optimizer steps, on a graphics card: one kernel over each array, in place. The arrays stay the same for good, since recorded
//! steps are bound to them.

use inkling_shaders::{self as shaders, AdadeltaStep, AdamStep, Array, MomentumStep, RmsPropStep, StepRates};

use super::{GpuContext, arrays};
use crate::network::backend::{OptimizerStep, Update, UpdateRule};

/// The numbers of a step as [`StepRates`] has them.
pub fn numbers(step: OptimizerStep) -> [f32; 3] {
    [step.learning_rate, step.weight_decay, step.l2_penalty].map(|number| number as f32)
}

/// Updates arrays by a step whose numbers are stored on the card: [`numbers`].
pub fn optimize(rule: UpdateRule, numbers: &Array, updates: &[Update]) {
    for update in updates {
        let (context, g) = GpuContext::of(update.gradient.clone());
        let (_, p) = GpuContext::of(update.parameter.clone());
        let (gpu, state) = (&context.gpu, arrays(&update.state));
        let rates = StepRates { numbers, decays: update.decays };
        // Rules are listed one by one, so that the compiler asks for the kernel of a new one.
        match rule {
            UpdateRule::Adam { beta_1, beta_2, epsilon } => {
                let [mean, square] = exactly(&state);
                shaders::adam(gpu, &g, [&p, mean, square], AdamStep { beta_1, beta_2, epsilon, rates });
            }
            UpdateRule::Adadelta { rho, epsilon } => {
                let [square, change] = exactly(&state);
                shaders::adadelta(gpu, &g, [&p, square, change], AdadeltaStep { rho, epsilon, rates });
            }
            UpdateRule::RmsProp { rho, epsilon } => {
                let [square] = exactly(&state);
                shaders::rms_prop(gpu, &g, [&p, square], RmsPropStep { rho, epsilon, rates });
            }
            UpdateRule::Momentum { momentum } => {
                let [velocity] = exactly(&state);
                shaders::momentum(gpu, &g, [&p, velocity], MomentumStep { momentum, rates });
            }
        }
    }
}

/// The arrays of a parameter's state, of which a rule has [`UpdateRule::n_state`].
fn exactly<const N: usize>(state: &[Array]) -> &[Array; N] {
    state.try_into().expect("the state was made for this rule")
}
