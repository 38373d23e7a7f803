//! The greatest of each 2×2 pixels.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Halves rows and columns of `[channels, side, side, n]`; an odd last row or column is left out.
pub fn pool(gpu: &Gpu, x: &Array, channels: usize, side: usize, n: usize) -> Array {
    let half = side / 2;
    let y = gpu.empty(channels * half * half * n);
    let lines = channels * half * n;
    launch!(greatest, gpu, lines, x.arg(), y.arg(), lines, side, n);
    y
}

/// The gradient of the input: that of a window goes to its greatest pixel, the first of equals. Where `x` comes from a
/// rectifier with this slope (1 where there is none), its way back is done along.
pub fn pool_backward(
    gpu: &Gpu,
    [x, y_gradient]: [&Array; 2],
    channels: usize,
    side: usize,
    n: usize,
    slope: f32,
) -> Array {
    let gradient = gpu.empty(channels * side * side * n);
    let lines = channels * side.div_ceil(2) * n;
    launch!(to_greatest, gpu, lines, x.arg(), y_gradient.arg(), gradient.arg(), lines, side, n, slope);
    gradient
}

/// An invocation computes a row of an image.
#[cube(launch_unchecked)]
fn greatest(x: &[f32], y: &mut [f32], lines: usize, side: usize, n: usize) {
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

/// An invocation computes two rows of an image.
#[cube(launch_unchecked)]
fn to_greatest(
    x: &[f32],
    y_gradient: &[f32],
    gradient: &mut [f32],
    lines: usize,
    side: usize,
    n: usize,
    rectified: f32,
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
                let kept = select(max(max(a, b), max(c, d)) > 0.0, 1.0, rectified);
                let slope = y_gradient[((plane * half + row) * half + column) * n + image] * kept;
                gradient[first] = select(!lower && b <= a, slope, 0.0);
                gradient[first + n] = select(!lower && b > a, slope, 0.0);
                gradient[below] = select(lower && d <= c, slope, 0.0);
                gradient[below + n] = select(lower && d > c, slope, 0.0);
            } else {
                // An odd last row or column.
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
