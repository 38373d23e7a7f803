//! Optimizer steps, in place: parameters and state are read and written once.

use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{self, Shared};

/// Numbers in the piece of a task.
const PIECE: usize = 1 << 16;

/// Runs `step` on aligned pieces of all slices, compiled for the machine's vectors.
fn pieces<const N: usize>(
    isa: Isa,
    gradient: &[f32],
    state: [&mut [f32]; N],
    step: impl Fn(f32, [f32; N]) -> [f32; N] + Copy + Sync + Send,
) {
    assert!(state.iter().all(|slice| slice.len() == gradient.len()));
    let state = state.map(Shared::new);
    threads::each(gradient.len().div_ceil(PIECE), |task| {
        let from = task * PIECE;
        let gradient = &gradient[from..gradient.len().min(from + PIECE)];
        isa.run(Piece { gradient, state, from, step });
    });
}

struct Piece<'a, const N: usize, F> {
    gradient: &'a [f32],
    state: [Shared<'a>; N],
    from: usize,
    step: F,
}

impl<const N: usize, F: Fn(f32, [f32; N]) -> [f32; N]> Kernel for Piece<'_, N, F> {
    // Plain arithmetic without branches: compilers turn the loop into vectors.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let len = self.gradient.len();
        // SAFETY: this task's piece of each.
        let state = self.state.map(|slice| &mut unsafe { slice.part(self.from, len) }[..len]);
        for i in 0..len {
            let next = (self.step)(self.gradient[i], std::array::from_fn(|s| state[s][i]));
            for s in 0..N {
                state[s][i] = next[s];
            }
        }
    }
}

/// Adam as Keras computes it. `rate` holds the bias corrections; `decay` is the part of a parameter that is taken away
/// (AdamW), `penalty` what is added to the gradient for it (plain weight decay).
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
    pieces(isa, gradient, [parameter, mean, square], move |g, [p, m, v]| {
        let g = g + penalty * p;
        let m = m + (g - m) * (1.0 - beta_1);
        let v = v + (g * g - v) * (1.0 - beta_2);
        [p - p * decay - rate * m / (v.sqrt() + epsilon), m, v]
    });
}

/// Stochastic gradient descent with Nesterov momentum, as Keras computes it.
pub fn momentum(
    isa: Isa,
    gradient: &[f32],
    [parameter, velocity]: [&mut [f32]; 2],
    kept: f32,
    rate: f32,
    penalty: f32,
) {
    pieces(isa, gradient, [parameter, velocity], move |g, [p, v]| {
        let g = g + penalty * p;
        let v = kept * v - rate * g;
        [p + kept * v - rate * g, v]
    });
}

/// RMSprop as Keras computes it.
pub fn rms_prop(
    isa: Isa,
    gradient: &[f32],
    [parameter, square]: [&mut [f32]; 2],
    rho: f32,
    epsilon: f32,
    rate: f32,
    penalty: f32,
) {
    pieces(isa, gradient, [parameter, square], move |g, [p, v]| {
        let g = g + penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        [p - rate * g / (v + epsilon).sqrt(), v]
    });
}

/// Adadelta as Keras computes it.
pub fn adadelta(
    isa: Isa,
    gradient: &[f32],
    [parameter, square, change]: [&mut [f32]; 3],
    rho: f32,
    epsilon: f32,
    rate: f32,
    penalty: f32,
) {
    pieces(isa, gradient, [parameter, square, change], move |g, [p, v, d]| {
        let g = g + penalty * p;
        let v = rho * v + (1.0 - rho) * g * g;
        let step = -((d + epsilon).sqrt() / (v + epsilon).sqrt()) * g;
        let d = rho * d + (1.0 - rho) * step * step;
        [p + rate * step, v, d]
    });
}
