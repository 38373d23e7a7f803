//! What is done number by number.

use cubecl::prelude::*;

use crate::gpu::{Array, EACH, Gpu, launch, place};

/// `[rows, columns]` to `[columns, rows]`, each number times `factor` plus `offset`.
pub fn transpose(gpu: &Gpu, from: &Array, columns: usize, factor: f32, offset: f32) -> Array {
    let to = gpu.empty(from.len());
    launch!(swap, gpu, to.len(), from.arg(), to.arg(), to.len(), from.len() / columns, columns, factor, offset);
    to
}

/// The way back through a rectifier with this slope, from its output and the output's gradient.
pub fn rectify_backward(gpu: &Gpu, y: &Array, gradient: &Array, slope: f32) -> Array {
    let before = gpu.empty(y.len());
    launch!(through_rectifier, gpu, y.len().div_ceil(EACH), y.arg(), gradient.arg(), before.arg(), y.len(), slope);
    before
}

/// `a · x + b · y + c` of arrays of the same length.
pub fn mix(gpu: &Gpu, [x, y]: [&Array; 2], [a, b, c]: [f32; 3]) -> Array {
    let to = gpu.empty(x.len());
    launch!(mixed, gpu, x.len().div_ceil(EACH), x.arg(), y.arg(), to.arg(), x.len(), a, b, c);
    to
}

/// Moves two arrays of the same length, `x` to `kept · x + (1 − kept) · y` each, in place.
pub fn move_towards(gpu: &Gpu, [x, other_x]: [&Array; 2], [y, other_y]: [&Array; 2], kept: f32) {
    let len = x.len();
    launch!(moved, gpu, len.div_ceil(EACH), x.arg(), other_x.arg(), y.arg(), other_y.arg(), len, kept);
}

#[cube(launch_unchecked)]
fn moved(x: &mut [f32], other_x: &mut [f32], y: &[f32], other_y: &[f32], len: usize, kept: f32) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            x[at] = kept * x[at] + (1.0 - kept) * y[at];
            other_x[at] = kept * other_x[at] + (1.0 - kept) * other_y[at];
        }
    }
}

#[cube(launch_unchecked)]
fn swap(from: &[f32], to: &mut [f32], len: usize, rows: usize, columns: usize, factor: f32, offset: f32) {
    let at = ABSOLUTE_POS;
    if at < len {
        to[at] = from[at % rows * columns + at / rows] * factor + offset;
    }
}

#[cube(launch_unchecked)]
fn through_rectifier(y: &[f32], gradient: &[f32], before: &mut [f32], len: usize, slope: f32) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            before[at] = gradient[at] * select(y[at] > 0.0, 1.0, slope);
        }
    }
}

#[cube(launch_unchecked)]
fn mixed(x: &[f32], y: &[f32], to: &mut [f32], len: usize, a: f32, b: f32, c: f32) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            to[at] = a * x[at] + b * y[at] + c;
        }
    }
}
