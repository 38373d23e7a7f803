//! Sums over the last dimensions of an array. Multiplies nothing.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, reduce};

/// Long sums are added up in chunks of this many numbers: the rounding error stays that of a short sum.
pub(crate) const CHUNK: usize = 32;

/// Sums of rows: `[rows, n]` to `[rows]`.
pub(crate) fn rows(gpu: &Gpu, values: &Array, n: usize) -> Array {
    if tiles::fit(gpu, n) { reduce::rows(gpu, values, values.len() / n) } else { rows_serial(gpu, values, n) }
}

/// The same with one invocation per row, for short rows.
pub(crate) fn rows_serial(gpu: &Gpu, values: &Array, n: usize) -> Array {
    let sums = gpu.empty(values.len() / n);
    launch!(fold_rows, gpu, sums.len(), values.arg(), sums.arg(), sums.len(), n);
    sums
}

/// Sums of channels: `[channels, pixels, n]` to `[channels]`.
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

/// `[rows, n]` to `[rows]`: an invocation adds up a row.
#[cube(launch_unchecked)]
fn fold_rows(values: &[f32], sums: &mut [f32], rows: usize, n: usize) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let mut sum = f32::new(0.0);
        for chunk in 0..n.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for i in chunk * CHUNK..min((chunk + 1) * CHUNK, n) {
                chunk_sum += values[row * n + i];
            }
            sum += chunk_sum;
        }
        sums[row] = sum;
    }
}

/// `[channels, pixels, n]` to `[channels, n]`, where `rows` is channels · n: an invocation adds up the pixels of one
/// channel of one image.
#[cube(launch_unchecked)]
fn fold_pixels(values: &[f32], sums: &mut [f32], rows: usize, pixels: usize, n: usize) {
    let row = ABSOLUTE_POS;
    if row < rows {
        let first = row / n * pixels * n + row % n;
        let mut sum = f32::new(0.0);
        for chunk in 0..pixels.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for pixel in chunk * CHUNK..min((chunk + 1) * CHUNK, pixels) {
                chunk_sum += values[first + pixel * n];
            }
            sum += chunk_sum;
        }
        sums[row] = sum;
    }
}
