//! Max pooling over windows of 2×2 pixels, forward and backward. Keeps no indices: the backward pass compares again.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Max pooling: `x`, `[channels, side, side, n]`, to `[channels, side / 2, side / 2, n]`. An odd last row or column is
/// dropped.
pub fn max_pool(gpu: &Gpu, x: &Array, channels: usize, side: usize, n: usize) -> Array {
    let half = side / 2;
    let y = gpu.empty(channels * half * half * n);
    let lines = channels * half * n;
    launch!(max_pool_kernel, gpu, lines, x.arg(), y.arg(), lines, side, n);
    y
}

/// The gradient of the input of max pooling, `[channels, side, side, n]`, from the gradient of the output,
/// `[channels, side / 2, side / 2, n]`. A window's gradient goes to its maximum, and to the first one of several equal
/// maxima; all other pixels get 0.
///
/// `slope` is the slope for negative inputs of a rectifier whose output is `x` (1 if there is none); its backward pass
/// is fused here.
pub fn max_pool_backward(
    gpu: &Gpu,
    [x, y_gradient]: [&Array; 2],
    channels: usize,
    side: usize,
    n: usize,
    slope: f32,
) -> Array {
    let gradient = gpu.empty(channels * side * side * n);
    let lines = channels * side.div_ceil(2) * n;
    launch!(max_pool_backward_kernel, gpu, lines, x.arg(), y_gradient.arg(), gradient.arg(), lines, side, n, slope);
    gradient
}

/// An invocation computes a row of one image. `lines` is channels · rows of the output · `n`.
#[cube(launch_unchecked)]
fn max_pool_kernel(x: &[f32], y: &mut [f32], lines: usize, side: usize, n: usize) {
    if ABSOLUTE_POS < lines {
        let half = side / 2;
        let image = ABSOLUTE_POS % n;
        let line = ABSOLUTE_POS / n;
        let above = (line / half * side + line % half * 2) * side;
        for column in 0..half {
            let first = (above + column * 2) * n + image;
            let below = first + side * n;
            y[(line * half + column) * n + image] = max(max(x[first], x[first + n]), max(x[below], x[below + n]));
        }
    }
}

/// An invocation computes two rows of one image. `lines` is channels · pairs of rows of the input · `n`.
#[cube(launch_unchecked)]
fn max_pool_backward_kernel(
    x: &[f32],
    y_gradient: &[f32],
    gradient: &mut [f32],
    lines: usize,
    side: usize,
    n: usize,
    slope: f32,
) {
    if ABSOLUTE_POS < lines {
        let half = side / 2;
        let whole = (side + 1) / 2;
        let image = ABSOLUTE_POS % n;
        let line = ABSOLUTE_POS / n;
        let row = line % whole;
        let plane = line / whole;
        let above = (plane * side + row * 2) * side;
        for column in 0..whole {
            let first = (above + column * 2) * n + image;
            if row < half && column < half {
                let below = first + side * n;
                let a = x[first];
                let b = x[first + n];
                let c = x[below];
                let d = x[below + n];
                let lower = max(c, d) > max(a, b);
                let rectifier_slope = select(max(max(a, b), max(c, d)) > 0.0, 1.0, slope);
                let window_gradient = y_gradient[((plane * half + row) * half + column) * n + image] * rectifier_slope;
                gradient[first] = select(!lower && b <= a, window_gradient, 0.0);
                gradient[first + n] = select(!lower && b > a, window_gradient, 0.0);
                gradient[below] = select(lower && d <= c, window_gradient, 0.0);
                gradient[below + n] = select(lower && d > c, window_gradient, 0.0);
            } else {
                // An odd last row or column belongs to no window.
                gradient[first] = 0.0;
                if row < half {
                    gradient[first + side * n] = 0.0;
                }
                if column < half {
                    gradient[first + n] = 0.0;
                }
            }
        }
    }
}
