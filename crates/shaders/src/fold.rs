//! Sums over the last dimension.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, reduce};

/// Long sums are added up in pieces of so many numbers: the rounding stays that of short sums.
pub(crate) const PIECE: usize = 32;

/// `[rows, n]` to `[rows]`.
pub(crate) fn rows(gpu: &Gpu, values: &Array, n: usize) -> Array {
    if tiles::fit(gpu, n) { reduce::rows(gpu, values, values.len() / n) } else { few(gpu, values, n) }
}

/// The same where an invocation to a row is enough.
pub(crate) fn few(gpu: &Gpu, values: &Array, n: usize) -> Array {
    let sums = gpu.empty(values.len() / n);
    launch!(fold_rows, gpu, sums.len(), values.arg(), sums.arg(), sums.len(), n);
    sums
}

/// `[channels, pixels, n]` to `[channels]`.
pub fn channels(gpu: &Gpu, values: &Array, pixels: usize, n: usize) -> Array {
    if pixels == 1 {
        return rows(gpu, values, n);
    }
    if tiles::fit(gpu, n) {
        return reduce::rows(gpu, values, values.len() / (pixels * n));
    }
    let partial = gpu.empty(values.len() / pixels);
    launch!(fold_pixels, gpu, partial.len(), values.arg(), partial.arg(), partial.len(), pixels, n);
    rows(gpu, &partial, n)
}

#[cube(launch_unchecked)]
fn fold_rows(values: &[f32], sums: &mut [f32], rows: usize, n: usize) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let mut sum = f32::new(0.0);
        for piece in 0..n.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for i in piece * PIECE..min((piece + 1) * PIECE, n) {
                part += values[row * n + i];
            }
            sum += part;
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
        for piece in 0..pixels.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for pixel in piece * PIECE..min((piece + 1) * PIECE, pixels) {
                part += values[first + pixel * n];
            }
            sum += part;
        }
        sums[row] = sum;
    }
}
