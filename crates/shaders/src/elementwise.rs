//! Element-wise kernels, and the transposition of matrices. Adds nothing up.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, PER_INVOCATION, element_index, launch};

/// A copy, in memory of its own.
pub fn copy(gpu: &Gpu, from: &Array) -> Array {
    let to = gpu.empty(from.len());
    launch!(copy_kernel, gpu, to.len().div_ceil(PER_INVOCATION), from.arg(), to.arg(), to.len());
    to
}

/// Transposes `from`, `[rows, columns]`, and returns `[columns, rows]`.
pub fn transpose(gpu: &Gpu, from: &Array, columns: usize) -> Array {
    let to = gpu.empty(from.len());
    launch!(transpose_kernel, gpu, to.len(), from.arg(), to.arg(), to.len(), from.len() / columns, columns);
    to
}

/// Backward pass of a leaky rectifier: the gradient of its input, from its output `y` and the gradient of its output.
/// `slope` is the factor where `y` is not positive.
pub fn rectify_backward(gpu: &Gpu, y: &Array, gradient: &Array, slope: f32) -> Array {
    let x_gradient = gpu.empty(y.len());
    launch!(
        rectify_backward_kernel,
        gpu,
        y.len().div_ceil(PER_INVOCATION),
        y.arg(),
        gradient.arg(),
        x_gradient.arg(),
        y.len(),
        slope
    );
    x_gradient
}

/// `a · x + b · y + c`, element by element, for arrays of the same length. No copy where `a` is 1 and the others are 0:
/// 0 · ∞ is no number. [`copy`] is one.
pub fn axpby(gpu: &Gpu, [x, y]: [&Array; 2], [a, b, c]: [f32; 3]) -> Array {
    let to = gpu.empty(x.len());
    launch!(axpby_kernel, gpu, x.len().div_ceil(PER_INVOCATION), x.arg(), y.arg(), to.arg(), x.len(), a, b, c);
    to
}

/// Moves `x` towards `y`, and `other_x` towards `other_y`, in place: `x = momentum · x + (1 − momentum) · y`. All four
/// arrays have the same length.
pub fn lerp_towards(gpu: &Gpu, [x, other_x]: [&Array; 2], [y, other_y]: [&Array; 2], momentum: f32) {
    let len = x.len();
    launch!(
        lerp_towards_kernel,
        gpu,
        len.div_ceil(PER_INVOCATION),
        x.arg(),
        other_x.arg(),
        y.arg(),
        other_y.arg(),
        len,
        momentum
    );
}

#[cube(launch_unchecked)]
fn lerp_towards_kernel(x: &mut [f32], other_x: &mut [f32], y: &[f32], other_y: &[f32], len: usize, momentum: f32) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            x[at] = momentum * x[at] + (1.0 - momentum) * y[at];
            other_x[at] = momentum * other_x[at] + (1.0 - momentum) * other_y[at];
        }
    }
}

#[cube(launch_unchecked)]
fn copy_kernel(from: &[f32], to: &mut [f32], len: usize) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            to[at] = from[at];
        }
    }
}

#[cube(launch_unchecked)]
fn transpose_kernel(from: &[f32], to: &mut [f32], len: usize, rows: usize, columns: usize) {
    let at = ABSOLUTE_POS;
    if at < len {
        to[at] = from[at % rows * columns + at / rows];
    }
}

#[cube(launch_unchecked)]
fn rectify_backward_kernel(y: &[f32], gradient: &[f32], x_gradient: &mut [f32], len: usize, slope: f32) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            x_gradient[at] = gradient[at] * select(y[at] > 0.0, 1.0, slope);
        }
    }
}

#[cube(launch_unchecked)]
fn axpby_kernel(x: &[f32], y: &[f32], to: &mut [f32], len: usize, a: f32, b: f32, c: f32) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            to[at] = a * x[at] + b * y[at] + c;
        }
    }
}
