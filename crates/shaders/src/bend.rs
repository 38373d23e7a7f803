//! Images of bytes that stay on the card, and bent copies of some of them: shifted, turned, stretched, slanted, and
//! crumpled by a smooth field.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::gpu::{Array, EACH, Gpu, launch, place};

/// Pixels of an image that lie in one word.
const IN_WORD: usize = 4;
/// Numbers of a bend without a field.
const AFFINE: usize = 7;
/// Pixels between two control points of a field.
const CELL: usize = 7;
/// Control points that a pixel feels, along one side.
const REACH: usize = 4;

/// Square images of bytes on a card, row by row, with four pixels in each word.
#[derive(Clone, Debug)]
pub struct Images {
    words: Handle,
    side: usize,
    n: usize,
}

impl Images {
    /// # Panics
    /// When these are not whole images, or a side is not a multiple of [`CELL`] and of 2.
    pub fn upload(gpu: &Gpu, bytes: &[u8], side: usize) -> Self {
        assert_eq!(bytes.len() % (side * side), 0, "images have {side} by {side} pixels");
        assert!(side.is_multiple_of(CELL) && side.is_multiple_of(2), "no image of a side of {side} can be bent");
        Self { words: gpu.client().create_from_slice(bytes), side, n: bytes.len() / (side * side) }
    }

    /// How many they are.
    pub fn len(&self) -> usize {
        self.n
    }

    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Bent images `[n, side, side]` of values from 0 to 1. A row of `bends` is the number of an image, its shift to the right
    /// and down in pixels, and the matrix that leads from the bent image, around its centre, back to the one it was, row by
    /// row; with a field then the displacements of the control points, those to the right and those down, row by row.
    ///
    /// What an image's number names must be there; nothing on the card looks.
    ///
    /// # Panics
    /// When there are no rows, or rows of another length.
    pub fn bent(&self, gpu: &Gpu, bends: &Array, n: usize) -> Array {
        let (side, controls) = (self.side, controls(self.side));
        let stride = bends.len().checked_div(n).unwrap_or_default();
        let rows = [AFFINE, AFFINE + 2 * controls * controls].contains(&stride) && bends.len() == n * stride;
        assert!(rows, "{} numbers do not bend {n} images", bends.len());
        let to = gpu.empty(n * side * side);
        // SAFETY: `upload` made the words of these images.
        let words = unsafe { BufferArg::from_raw_parts(self.words.clone(), self.n * side * side / IN_WORD) };
        let size = to.len().div_ceil(EACH);
        launch!(bend, gpu, size, words, bends.arg(), to.arg(), to.len(), stride, side, controls);
        to
    }
}

/// Control points along a side: one for each cell, one before and two behind them.
fn controls(side: usize) -> usize {
    side / CELL + 3
}

#[cube(launch_unchecked)]
fn bend(
    words: &[u32],
    bends: &[f32],
    to: &mut [f32],
    len: usize,
    stride: usize,
    #[comptime] side: usize,
    #[comptime] controls: usize,
) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let pixel = at % (side * side);
            let column = pixel % side;
            let row = pixel / side;
            let bend = at / (side * side) * stride;
            let image = usize::cast_from(bends[bend]);
            let centre = f32::cast_from(side - 1) * 0.5;
            let right = f32::cast_from(column) + (0.0 - centre - bends[bend + 1]);
            let down = f32::cast_from(row) - centre - bends[bend + 2];
            let mut x = bends[bend + 3] * right + (bends[bend + 4] * down + centre);
            let mut y = bends[bend + 5] * right + (bends[bend + 6] * down + centre);
            if stride > AFFINE {
                let field = bend + AFFINE;
                x += displacement(bends, field, column, row, controls);
                y += displacement(bends, field + controls * controls, column, row, controls);
            }
            to[at] = ink(words, image * (side * side), x, y, side);
        }
    }
}

/// What a field's control points come to at a pixel: the uniform cubic B-spline in both directions.
#[cube]
fn displacement(bends: &[f32], field: usize, column: usize, row: usize, #[comptime] controls: usize) -> f32 {
    let first = field + row / CELL * controls + column / CELL;
    let across = weights(column % CELL);
    let along = weights(row % CELL);
    let mut sum = f32::new(0.0);
    #[unroll]
    for i in 0..REACH {
        let mut line = f32::new(0.0);
        #[unroll]
        for j in 0..REACH {
            line += across[j] * bends[first + i * controls + j];
        }
        sum += along[i] * line;
    }
    sum
}

/// The weights of the four control points around the middle of a pixel of a cell.
#[cube]
fn weights(pixel: usize) -> Sequence<f32> {
    let t = (f32::cast_from(pixel) + 0.5) / comptime!(CELL as f32);
    let rest = 1.0 - t;
    let mut weights = Sequence::<f32>::new();
    weights.push(rest * rest * rest / 6.0);
    weights.push((3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0);
    weights.push((3.0 * rest * rest * rest - 6.0 * rest * rest + 4.0) / 6.0);
    weights.push(t * t * t / 6.0);
    weights
}

/// The image that begins at this pixel of all, between four of its pixels; paper outside.
#[cube]
fn ink(words: &[u32], image: usize, x: f32, y: f32, #[comptime] side: usize) -> f32 {
    // One more to both, so that all is above zero; all paper is as good as the paper next to the image.
    let x = clamp(x, -1.0, comptime!(side as f32)) + 1.0;
    let y = clamp(y, -1.0, comptime!(side as f32)) + 1.0;
    let column = usize::cast_from(x);
    let row = usize::cast_from(y);
    let right = x - f32::cast_from(column);
    let down = y - f32::cast_from(row);
    let here = pixel(words, image, column, row, side);
    let beside = pixel(words, image, column + 1, row, side);
    let below = pixel(words, image, column, row + 1, side);
    let beyond = pixel(words, image, column + 1, row + 1, side);
    let upper = here + (beside - here) * right;
    let lower = below + (beyond - below) * right;
    upper + (lower - upper) * down
}

/// A pixel, 0 to 1, counted from one before the image in both directions.
#[cube]
fn pixel(words: &[u32], image: usize, column: usize, row: usize, #[comptime] side: usize) -> f32 {
    let inside = column >= 1 && column <= side && row >= 1 && row <= side;
    // Any that is there, where it is outside.
    let at = image + select(inside, row * side + column - (side + 1), 0);
    let byte = (words[at / IN_WORD] >> u32::cast_from(at % IN_WORD * 8)) & 255u32;
    select(inside, f32::cast_from(byte) * comptime!(1.0f32 / 255.0), 0.0)
}
