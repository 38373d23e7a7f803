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

/// One step of Adam or AdamW, as Keras computes it, without `amsgrad`. All slices have the same length.
///
/// - `gradient`: of the loss, for each parameter
/// - `parameter`, `mean`, `square`: the parameters and the running means of gradient and squared gradient, all updated
/// - `beta_1`, `beta_2`: decay rates of the two running means
/// - `epsilon`: added to the square root of the mean squared gradient
/// - `rate`: learning rate, multiplied by the bias corrections √(1 − beta_2ᵗ) / (1 − beta_1ᵗ)
/// - `decay`: fraction that is subtracted from each parameter (AdamW)
/// - `penalty`: this multiple of each parameter is added to its gradient (L2 weight decay)
///
/// # Panics
/// If the slices differ in length.
#[allow(clippy::too_many_arguments)]
pub fn adam(
    isa: Isa,
    gradient: &[f32],
    [parameter, mean, square]: [&mut [f32]; 3],
    [beta_1, beta_2]: [f32; 2],
    epsilon: f32,
    rate: f32,
    decay: f32,
    penalty: f32,
) {
    update_chunks(isa, gradient, [parameter, mean, square], move |g, [p, m, v]| {
        let g = g + penalty * p;
        let m = m + (g - m) * (1.0 - beta_1);
        let v = v + (g * g - v) * (1.0 - beta_2);
        [p - p * decay - rate * m / (v.sqrt() + epsilon), m, v]
    });
}

/// One step of stochastic gradient descent with Nesterov momentum, as Keras computes it. All slices have the same
/// length.
///
/// - `gradient`: of the loss, for each parameter
/// - `parameter`, `velocity`: the parameters and their velocities, both updated
/// - `momentum`: fraction of the velocity that remains after a step
/// - `rate`: learning rate
/// - `penalty`: this multiple of each parameter is added to its gradient (L2 weight decay)
///
/// # Panics
/// If the slices differ in length.
pub fn momentum(
    isa: Isa,
    gradient: &[f32],
    [parameter, velocity]: [&mut [f32]; 2],
    momentum: f32,
    rate: f32,
    penalty: f32,
) {
    update_chunks(isa, gradient, [parameter, velocity], move |g, [p, v]| {
        let g = g + penalty * p;
        let v = momentum * v - rate * g;
        [p + momentum * v - rate * g, v]
    });
}

/// One step of RMSprop, as Keras computes it, without momentum and not centered. All slices have the same length.
///
/// - `gradient`: of the loss, for each parameter
/// - `parameter`, `square`: the parameters and the running means of the squared gradients, both updated
/// - `rho`: decay rate of the running mean
/// - `epsilon`: added to the running mean before the square root is taken
/// - `rate`: learning rate
/// - `penalty`: this multiple of each parameter is added to its gradient (L2 weight decay)
///
/// # Panics
/// If the slices differ in length.
pub fn rms_prop(
    isa: Isa,
    gradient: &[f32],
    [parameter, square]: [&mut [f32]; 2],
    rho: f32,
    epsilon: f32,
    rate: f32,
    penalty: f32,
) {
    update_chunks(isa, gradient, [parameter, square], move |g, [p, v]| {
        let g = g + penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        [p - rate * g / (v + epsilon).sqrt(), v]
    });
}

/// One step of Adadelta, as Keras computes it. All slices have the same length.
///
/// - `gradient`: of the loss, for each parameter
/// - `parameter`, `square`, `change`: the parameters and the running means of the squared gradients and of the squared
///   changes, all updated
/// - `rho`: decay rate of both running means
/// - `epsilon`: added to both running means before the square roots are taken
/// - `rate`: learning rate
/// - `penalty`: this multiple of each parameter is added to its gradient (L2 weight decay)
///
/// # Panics
/// If the slices differ in length.
pub fn adadelta(
    isa: Isa,
    gradient: &[f32],
    [parameter, square, change]: [&mut [f32]; 3],
    rho: f32,
    epsilon: f32,
    rate: f32,
    penalty: f32,
) {
    update_chunks(isa, gradient, [parameter, square, change], move |g, [p, v, d]| {
        let g = g + penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        let step = -((d + epsilon).sqrt() / (v + epsilon).sqrt()) * g;
        let d = rho * d + (1.0 - rho) * step * step;
        [p + rate * step, v, d]
    });
}
