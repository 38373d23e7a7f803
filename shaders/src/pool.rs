//! The greatest of each 2×2 pixels.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Halves rows and columns of `[channels, side, side, n]`; an odd last row or column is left out.
pub fn pool(gpu: &Gpu, x: &Array, channels: usize, side: usize, n: usize) -> Array {
    let half = side / 2;
    let y = gpu.empty(channels * half * half * n);
    launch!(greatest, gpu, y.len(), x.arg(), y.arg(), y.len(), side, n);
    y
}

/// The gradient of the input: that of a window goes to its greatest pixel, the first of equals.
pub fn pool_backward(gpu: &Gpu, x: &Array, y_gradient: &Array, channels: usize, side: usize, n: usize) -> Array {
    let gradient = gpu.empty(channels * side * side * n);
    let whole = side.div_ceil(2);
    let n_windows = channels * whole * whole * n;
    launch!(to_greatest, gpu, n_windows, x.arg(), y_gradient.arg(), gradient.arg(), n_windows, side, n);
    gradient
}

#[cube(launch_unchecked)]
fn greatest(x: &[f32], y: &mut [f32], len: usize, side: usize, n: usize) {
    let at = ABSOLUTE_POS;
    if at < len {
        let half = side / 2;
        let place = at / n;
        let row = place / half % half;
        let plane = place / half / half;
        let first = ((plane * side + row * 2) * side + place % half * 2) * n + at % n;
        let below = first + side * n;
        y[at] = max(max(x[first], x[first + n]), max(x[below], x[below + n]));
    }
}

#[cube(launch_unchecked)]
fn to_greatest(x: &[f32], y_gradient: &[f32], gradient: &mut [f32], len: usize, side: usize, n: usize) {
    let at = ABSOLUTE_POS;
    if at < len {
        let half = side / 2;
        let whole = (side + 1) / 2;
        let image = at % n;
        let place = at / n;
        let column = place % whole;
        let row = place / whole % whole;
        let plane = place / whole / whole;
        let first = ((plane * side + row * 2) * side + column * 2) * n + image;
        if row < half && column < half {
            let slope = y_gradient[((plane * half + row) * half + column) * n + image];
            let below = first + side * n;
            let a = x[first];
            let b = x[first + n];
            let c = x[below];
            let d = x[below + n];
            let lower = max(c, d) > max(a, b);
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
