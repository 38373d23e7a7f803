//! Optimizer steps, in place: each parameter and its state are read and written once. Holds no state and knows no
//! learning rate schedule.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, PER_INVOCATION, element_index, launch};

/// The numbers of an optimizer step that change from step to step, and whether weight decay applies to an array.
#[derive(Clone, Copy, Debug)]
pub struct StepRates<'a> {
    /// Three numbers on the card: the learning rate with all bias corrections, the fraction that is subtracted from
    /// each parameter (AdamW), and the multiple of each parameter that is added to its gradient (L2 weight decay).
    pub numbers: &'a Array,
    /// Whether the second and the third number apply to this array.
    pub decays: bool,
}

impl StepRates<'_> {
    /// 1 if the array decays, 0 otherwise.
    fn decay_mask(self) -> f32 {
        f32::from(u8::from(self.decays))
    }
}

/// The numbers of a step of Adam or AdamW.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep<'a> {
    /// Decay rate of the running mean of the gradients.
    pub beta_1: f32,
    /// Decay rate of the running mean of the squared gradients.
    pub beta_2: f32,
    /// Added to the square root of the mean squared gradient.
    pub epsilon: f32,
    /// The numbers that change from step to step.
    pub rates: StepRates<'a>,
}

/// One step of Adam or AdamW, as Keras computes it, without `amsgrad`: updates `p`, the parameters, `m`, the running
/// means of the gradients, and `v`, those of the squared gradients. All arrays have the same length.
pub fn adam(gpu: &Gpu, gradient: &Array, [p, m, v]: [&Array; 3], step: AdamStep) {
    let len = gradient.len();
    let AdamStep { beta_1, beta_2, epsilon, rates } = step;
    launch!(
        adam_step,
        gpu,
        len.div_ceil(PER_INVOCATION),
        gradient.arg(),
        rates.numbers.arg(),
        p.arg(),
        m.arg(),
        v.arg(),
        len,
        beta_1,
        beta_2,
        epsilon,
        rates.decay_mask()
    );
}

/// The numbers of a step of stochastic gradient descent with momentum.
#[derive(Clone, Copy, Debug)]
pub struct MomentumStep<'a> {
    /// Fraction of the velocity that remains after a step.
    pub momentum: f32,
    /// The numbers that change from step to step.
    pub rates: StepRates<'a>,
}

/// One step of stochastic gradient descent with Nesterov momentum, as Keras computes it: updates `p`, the parameters,
/// and `v`, their velocities. All arrays have the same length.
pub fn momentum(gpu: &Gpu, gradient: &Array, [p, v]: [&Array; 2], step: MomentumStep) {
    let MomentumStep { momentum, rates } = step;
    let (len, numbers) = (gradient.len(), rates.numbers.arg());
    launch!(
        momentum_step,
        gpu,
        len.div_ceil(PER_INVOCATION),
        gradient.arg(),
        numbers,
        p.arg(),
        v.arg(),
        len,
        momentum,
        rates.decay_mask()
    );
}

/// The numbers of a step of RMSprop.
#[derive(Clone, Copy, Debug)]
pub struct RmsPropStep<'a> {
    /// Decay rate of the running mean.
    pub rho: f32,
    /// Added to the running mean before the square root is taken.
    pub epsilon: f32,
    /// The numbers that change from step to step.
    pub rates: StepRates<'a>,
}

/// One step of RMSprop, as Keras computes it, without momentum and not centered: updates `p`, the parameters, and `v`,
/// the running means of the squared gradients. All arrays have the same length.
pub fn rms_prop(gpu: &Gpu, gradient: &Array, [p, v]: [&Array; 2], step: RmsPropStep) {
    let RmsPropStep { rho, epsilon, rates } = step;
    let (len, numbers) = (gradient.len(), rates.numbers.arg());
    launch!(
        rms_prop_step,
        gpu,
        len.div_ceil(PER_INVOCATION),
        gradient.arg(),
        numbers,
        p.arg(),
        v.arg(),
        len,
        rho,
        epsilon,
        rates.decay_mask()
    );
}

/// The numbers of a step of Adadelta.
#[derive(Clone, Copy, Debug)]
pub struct AdadeltaStep<'a> {
    /// Decay rate of both running means.
    pub rho: f32,
    /// Added to both running means before the square roots are taken.
    pub epsilon: f32,
    /// The numbers that change from step to step.
    pub rates: StepRates<'a>,
}

/// One step of Adadelta, as Keras computes it: updates `p`, the parameters, and `v` and `d`, the running means of the
/// squared gradients and of the squared changes. All arrays have the same length.
pub fn adadelta(gpu: &Gpu, gradient: &Array, [p, v, d]: [&Array; 3], step: AdadeltaStep) {
    let AdadeltaStep { rho, epsilon, rates } = step;
    let len = gradient.len();
    launch!(
        adadelta_step,
        gpu,
        len.div_ceil(PER_INVOCATION),
        gradient.arg(),
        rates.numbers.arg(),
        p.arg(),
        v.arg(),
        d.arg(),
        len,
        rho,
        epsilon,
        rates.decay_mask()
    );
}

/// One step of Adam or AdamW. As in the kernels below, an invocation updates [`PER_INVOCATION`] parameters.
#[cube(launch_unchecked)]
fn adam_step(
    gradient: &[f32],
    rates: &[f32],
    p: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    len: usize,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    decay_mask: f32,
) {
    let rate = rates[0];
    let decay = rates[1] * decay_mask;
    let penalty = rates[2] * decay_mask;
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let old = p[at];
            let g = gradient[at] + penalty * old;
            let mean = m[at] + (g - m[at]) * (1.0 - beta_1);
            let square = v[at] + (g * g - v[at]) * (1.0 - beta_2);
            m[at] = mean;
            v[at] = square;
            p[at] = old - old * decay - rate * mean / (square.sqrt() + epsilon);
        }
    }
}

/// One step of stochastic gradient descent with Nesterov momentum.
#[cube(launch_unchecked)]
fn momentum_step(
    gradient: &[f32],
    rates: &[f32],
    p: &mut [f32],
    v: &mut [f32],
    len: usize,
    momentum: f32,
    decay_mask: f32,
) {
    let rate = rates[0];
    let penalty = rates[2] * decay_mask;
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let velocity = momentum * v[at] - rate * g;
            v[at] = velocity;
            p[at] = p[at] + momentum * velocity - rate * g;
        }
    }
}

/// One step of RMSprop.
#[cube(launch_unchecked)]
fn rms_prop_step(
    gradient: &[f32],
    rates: &[f32],
    p: &mut [f32],
    v: &mut [f32],
    len: usize,
    rho: f32,
    epsilon: f32,
    decay_mask: f32,
) {
    let rate = rates[0];
    let penalty = rates[2] * decay_mask;
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let square = mean_square(v[at], g, rho);
            v[at] = square;
            p[at] = p[at] - rate * g / (square + epsilon).sqrt();
        }
    }
}

/// One step of Adadelta.
#[cube(launch_unchecked)]
fn adadelta_step(
    gradient: &[f32],
    rates: &[f32],
    p: &mut [f32],
    v: &mut [f32],
    d: &mut [f32],
    len: usize,
    rho: f32,
    epsilon: f32,
    decay_mask: f32,
) {
    let penalty = rates[2] * decay_mask;
    let rate = rates[0];
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let square = mean_square(v[at], g, rho);
            let step = (d[at] + epsilon).sqrt() / (square + epsilon).sqrt() * g;
            v[at] = square;
            d[at] = rho * d[at] + (1.0 - rho) * step * step;
            p[at] = p[at] - rate * step;
        }
    }
}

/// The running mean of the squares of a gradient, `g` included.
#[cube]
fn mean_square(v: f32, g: f32, rho: f32) -> f32 {
    rho * v + (1.0 - rho) * g * g
}
