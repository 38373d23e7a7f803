//! Optimizer steps, in place: each parameter and its state are read and written once. Holds no state and knows no
//! learning rate schedule.

use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{self, Shared};

/// Parameters that one task updates.
const CHUNK: usize = 1 << 16;

/// Updates `state[..][i]` to `step(gradient[i], state[..][i])` for every `i`: in parallel, compiled for the vectors of
/// `isa`.
fn update_chunks<const N: usize>(
    isa: Isa,
    gradient: &[f32],
    state: [&mut [f32]; N],
    step: impl Fn(f32, [f32; N]) -> [f32; N] + Copy + Sync + Send,
) {
    assert!(state.iter().all(|slice| slice.len() == gradient.len()));
    let state = state.map(Shared::new);
    threads::each(gradient.len().div_ceil(CHUNK), |task| {
        let from = task * CHUNK;
        let gradient = &gradient[from..gradient.len().min(from + CHUNK)];
        // SAFETY: all slices have one length, and tasks take ranges that do not overlap.
        unsafe { isa.run(Chunk { gradient, state, from, step }) };
    });
}

struct Chunk<'a, const N: usize, F> {
    gradient: &'a [f32],
    state: [Shared<'a>; N],
    from: usize,
    step: F,
}

impl<const N: usize, F: Fn(f32, [f32; N]) -> [f32; N]> Kernel for Chunk<'_, N, F> {
    // Arithmetic without branches, so the compiler vectorises the loop.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let len = self.gradient.len();
        // SAFETY: `update_chunks` gave this range of each slice to this task only.
        let state = self.state.map(|slice| &mut unsafe { slice.part(self.from, len) }[..len]);
        for i in 0..len {
            let next = (self.step)(self.gradient[i], std::array::from_fn(|s| state[s][i]));
            for s in 0..N {
                state[s][i] = next[s];
            }
        }
    }
}

/// The numbers of a step of Adam or AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// Learning rate, multiplied by the bias corrections √(1 − beta_2ᵗ) / (1 − beta_1ᵗ).
    pub learning_rate: f32,
    /// Decay rate of the running mean of the gradients.
    pub beta_1: f32,
    /// Decay rate of the running mean of the squared gradients.
    pub beta_2: f32,
    /// Added to the square root of the mean squared gradient.
    pub epsilon: f32,
    /// Fraction that is subtracted from each parameter (AdamW).
    pub weight_decay: f32,
    /// This multiple of each parameter is added to its gradient.
    pub l2_penalty: f32,
}

/// One step of Adam or AdamW, as Keras computes it, without `amsgrad`: updates the parameters and the running means of
/// their gradients and squared gradients, from the gradient of the loss. All slices have the same length.
///
/// # Panics
/// If the slices differ in length.
pub fn adam(isa: Isa, gradient: &[f32], [parameter, mean, square]: [&mut [f32]; 3], step: AdamStep) {
    let AdamStep { learning_rate, beta_1, beta_2, epsilon, weight_decay, l2_penalty } = step;
    update_chunks(isa, gradient, [parameter, mean, square], move |g, [p, m, v]| {
        let g = g + l2_penalty * p;
        let m = m + (g - m) * (1.0 - beta_1);
        let v = v + (g * g - v) * (1.0 - beta_2);
        [p - p * weight_decay - learning_rate * m / (v.sqrt() + epsilon), m, v]
    });
}

/// The numbers of a step of stochastic gradient descent with momentum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MomentumStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Fraction of the velocity that remains after a step.
    pub momentum: f32,
    /// This multiple of each parameter is added to its gradient.
    pub l2_penalty: f32,
}

/// One step of stochastic gradient descent with Nesterov momentum, as Keras computes it: updates the parameters and
/// their velocities, from the gradient of the loss. All slices have the same length.
///
/// # Panics
/// If the slices differ in length.
pub fn momentum(isa: Isa, gradient: &[f32], [parameter, velocity]: [&mut [f32]; 2], step: MomentumStep) {
    let MomentumStep { learning_rate, momentum, l2_penalty } = step;
    update_chunks(isa, gradient, [parameter, velocity], move |g, [p, v]| {
        let g = g + l2_penalty * p;
        let v = momentum * v - learning_rate * g;
        [p + momentum * v - learning_rate * g, v]
    });
}

/// The numbers of a step of RMSprop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsPropStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay rate of the running mean of the squared gradients.
    pub rho: f32,
    /// Added to the running mean before the square root is taken.
    pub epsilon: f32,
    /// This multiple of each parameter is added to its gradient.
    pub l2_penalty: f32,
}

/// One step of RMSprop, as Keras computes it, without momentum and not centered: updates the parameters and the running
/// means of their squared gradients, from the gradient of the loss. All slices have the same length.
///
/// # Panics
/// If the slices differ in length.
pub fn rms_prop(isa: Isa, gradient: &[f32], [parameter, square]: [&mut [f32]; 2], step: RmsPropStep) {
    let RmsPropStep { learning_rate, rho, epsilon, l2_penalty } = step;
    update_chunks(isa, gradient, [parameter, square], move |g, [p, v]| {
        let g = g + l2_penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        [p - learning_rate * g / (v + epsilon).sqrt(), v]
    });
}

/// The numbers of a step of Adadelta.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdadeltaStep {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay rate of both running means.
    pub rho: f32,
    /// Added to both running means before the square roots are taken.
    pub epsilon: f32,
    /// This multiple of each parameter is added to its gradient.
    pub l2_penalty: f32,
}

/// One step of Adadelta, as Keras computes it: updates the parameters and the running means of their squared gradients
/// and of their squared changes, from the gradient of the loss. All slices have the same length.
///
/// # Panics
/// If the slices differ in length.
pub fn adadelta(isa: Isa, gradient: &[f32], [parameter, square, change]: [&mut [f32]; 3], step: AdadeltaStep) {
    let AdadeltaStep { learning_rate, rho, epsilon, l2_penalty } = step;
    update_chunks(isa, gradient, [parameter, square, change], move |g, [p, v, d]| {
        let g = g + l2_penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        let step = -((d + epsilon).sqrt() / (v + epsilon).sqrt()) * g;
        let d = rho * d + (1.0 - rho) * step * step;
        [p + learning_rate * step, v, d]
    });
}
