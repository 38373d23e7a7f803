//! Optimizer steps, in place: parameters and state are read and written once.

use cubecl::prelude::*;

use crate::gpu::{Array, EACH, Gpu, launch, place};

/// What changes from step to step, on the card: the learning rate with all corrections, the part of each number that is
/// taken away (AdamW), and what is added to the gradient for each number (plain weight decay).
#[derive(Clone, Copy, Debug)]
pub struct Rates<'a> {
    /// These three.
    pub numbers: &'a Array,
    /// This array's numbers decay.
    pub decays: bool,
}

impl Rates<'_> {
    fn share(self) -> f32 {
        f32::from(u8::from(self.decays))
    }
}

/// Adam as Keras computes it; the arrays are parameter, mean and mean square.
pub fn adam(gpu: &Gpu, gradient: &Array, [p, m, v]: [&Array; 3], betas: [f32; 2], epsilon: f32, rates: Rates) {
    let len = gradient.len();
    let [beta_1, beta_2] = betas;
    launch!(
        adam_step,
        gpu,
        len.div_ceil(EACH),
        gradient.arg(),
        rates.numbers.arg(),
        p.arg(),
        m.arg(),
        v.arg(),
        len,
        beta_1,
        beta_2,
        epsilon,
        rates.share()
    );
}

/// Stochastic gradient descent with Nesterov momentum, as Keras computes it; the arrays are parameter and velocity.
pub fn momentum(gpu: &Gpu, gradient: &Array, [p, v]: [&Array; 2], kept: f32, rates: Rates) {
    let (len, numbers) = (gradient.len(), rates.numbers.arg());
    launch!(
        momentum_step,
        gpu,
        len.div_ceil(EACH),
        gradient.arg(),
        numbers,
        p.arg(),
        v.arg(),
        len,
        kept,
        rates.share()
    );
}

/// RMSprop as Keras computes it; the arrays are parameter and mean square.
pub fn rms_prop(gpu: &Gpu, gradient: &Array, [p, v]: [&Array; 2], rho: f32, epsilon: f32, rates: Rates) {
    let (len, numbers) = (gradient.len(), rates.numbers.arg());
    launch!(
        rms_prop_step,
        gpu,
        len.div_ceil(EACH),
        gradient.arg(),
        numbers,
        p.arg(),
        v.arg(),
        len,
        rho,
        epsilon,
        rates.share()
    );
}

/// Adadelta as Keras computes it; the arrays are parameter, mean square and mean square of the changes.
pub fn adadelta(gpu: &Gpu, gradient: &Array, [p, v, d]: [&Array; 3], rho: f32, epsilon: f32, rates: Rates) {
    let len = gradient.len();
    launch!(
        adadelta_step,
        gpu,
        len.div_ceil(EACH),
        gradient.arg(),
        rates.numbers.arg(),
        p.arg(),
        v.arg(),
        d.arg(),
        len,
        rho,
        epsilon,
        rates.share()
    );
}

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
    share: f32,
) {
    let rate = rates[0];
    let decay = rates[1] * share;
    let penalty = rates[2] * share;
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
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

#[cube(launch_unchecked)]
fn momentum_step(gradient: &[f32], rates: &[f32], p: &mut [f32], v: &mut [f32], len: usize, kept: f32, share: f32) {
    let rate = rates[0];
    let penalty = rates[2] * share;
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let velocity = kept * v[at] - rate * g;
            v[at] = velocity;
            p[at] = p[at] + kept * velocity - rate * g;
        }
    }
}

#[cube(launch_unchecked)]
fn rms_prop_step(
    gradient: &[f32],
    rates: &[f32],
    p: &mut [f32],
    v: &mut [f32],
    len: usize,
    rho: f32,
    epsilon: f32,
    share: f32,
) {
    let rate = rates[0];
    let penalty = rates[2] * share;
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let square = rho * v[at] + (1.0 - rho) * g * g;
            v[at] = square;
            p[at] = p[at] - rate * g / (square + epsilon).sqrt();
        }
    }
}

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
    share: f32,
) {
    let rate = rates[0];
    let penalty = rates[2] * share;
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let g = gradient[at] + penalty * p[at];
            let square = rho * v[at] + (1.0 - rho) * g * g;
            let step = (d[at] + epsilon).sqrt() / (square + epsilon).sqrt() * g;
            v[at] = square;
            d[at] = rho * d[at] + (1.0 - rho) * step * step;
            p[at] = p[at] - rate * step;
        }
    }
}
