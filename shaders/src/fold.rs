//! Sums over the last dimension.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// `[rows, n]` to `[rows]`.
pub(crate) fn rows(gpu: &Gpu, values: &Array, n: usize) -> Array {
    let sums = gpu.empty(values.len() / n);
    launch!(fold_rows, gpu, sums.len(), values.arg(), sums.arg(), sums.len(), n);
    sums
}

/// `[channels, pixels, n]` to `[channels]`.
pub fn channels(gpu: &Gpu, values: &Array, pixels: usize, n: usize) -> Array {
    let partial = gpu.empty(values.len() / pixels);
    launch!(fold_pixels, gpu, partial.len(), values.arg(), partial.arg(), partial.len(), pixels, n);
    rows(gpu, &partial, n)
}

#[cube(launch_unchecked)]
fn fold_rows(values: &[f32], sums: &mut [f32], rows: usize, n: usize) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let mut sum = f32::new(0.0);
        for i in 0..n {
            sum += values[row * n + i];
        }
        sums[row] = sum;
    }
}

#[cube(launch_unchecked)]
fn fold_pixels(values: &[f32], sums: &mut [f32], rows: usize, pixels: usize, n: usize) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let first = row / n * pixels * n + row % n;
        let mut sum = f32::new(0.0);
        for pixel in 0..pixels {
            sum += values[first + pixel * n];
        }
        sums[row] = sum;
    }
}
