//! Images of bytes that stay on the card, and augmented copies of them: shifted, rotated, scaled, sheared, and
//! distorted by a smooth elastic field. Draws no random numbers.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::gpu::{Array, Gpu, PER_INVOCATION, element_index, launch};

/// Pixels of an image in one 32-bit word.
const PIXELS_PER_WORD: usize = 4;
/// Numbers of an augmentation without an elastic field: the image's index, the shift, and the matrix.
const AFFINE_LEN: usize = 7;
/// Pixels between two control points of an elastic field.
const CELL: usize = 7;
/// Control points that influence a pixel, along each axis.
const SUPPORT: usize = 4;

/// Square images of bytes on a card, `[n, side, side]`, with four pixels in each word. Clones share the memory.
#[derive(Clone, Debug)]
pub struct Images {
    words: Handle,
    side: usize,
    n: usize,
}

impl Images {
    /// Copies `bytes`, `[n, side, side]`, to the card. 0 is background, 255 is full ink.
    ///
    /// # Panics
    /// If `bytes` is no whole number of images, or `side` is not a multiple of both 2 and 7, the pixels in a cell of an
    /// elastic field.
    pub fn upload(gpu: &Gpu, bytes: &[u8], side: usize) -> Self {
        assert_eq!(bytes.len() % (side * side), 0, "images have {side} by {side} pixels");
        assert!(side.is_multiple_of(CELL) && side.is_multiple_of(2), "no image of a side of {side} can be bent");
        Self { words: gpu.client().create_from_slice(bytes), side, n: bytes.len() / (side * side) }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// Augmented copies `[n, side, side]` of images, with values from 0 to 1.
    ///
    /// With `controls = side / 7 + 3`, `augmentations` is `[n, 7]`, or `[n, 7 + 2 · controls²]` with an elastic field.
    /// A row holds:
    ///
    /// - the index of an image, which a float represents exactly below 2²⁴
    /// - its shift to the right and its shift down, in pixels
    /// - a 2×2 matrix, row by row, that maps positions (x, y) in the augmented image, relative to its centre and after
    ///   the shift is subtracted, to positions in the original image
    /// - with an elastic field, the displacements of the control points in pixels, row by row: first all those to the
    ///   right, then all those down
    ///
    /// Every index must be below the number of images; the card does not check this.
    ///
    /// # Panics
    /// If `n` is 0 or rows have another length.
    pub fn augmented(&self, gpu: &Gpu, augmentations: &Array, n: usize) -> Array {
        let (side, controls) = (self.side, controls(self.side));
        let stride = augmentations.len().checked_div(n).unwrap_or_default();
        let valid =
            [AFFINE_LEN, AFFINE_LEN + 2 * controls * controls].contains(&stride) && augmentations.len() == n * stride;
        assert!(valid, "{} numbers do not bend {n} images", augmentations.len());
        let to = gpu.empty(n * side * side);
        // SAFETY: `upload` allocated the words of these images.
        let words = unsafe { BufferArg::from_raw_parts(self.words.clone(), self.n * side * side / PIXELS_PER_WORD) };
        let n_invocations = to.len().div_ceil(PER_INVOCATION);
        launch!(
            augmentation,
            gpu,
            n_invocations,
            words,
            augmentations.arg(),
            to.arg(),
            to.len(),
            stride,
            side,
            controls
        );
        to
    }
}

/// Control points along one axis: one for each cell, one before them, and two after them.
fn controls(side: usize) -> usize {
    side / CELL + 3
}

/// Computes augmented images; `stride` is the length of a row of `augmentations`.
#[cube(launch_unchecked)]
fn augmentation(
    words: &[u32],
    augmentations: &[f32],
    to: &mut [f32],
    len: usize,
    stride: usize,
    #[comptime] side: usize,
    #[comptime] controls: usize,
) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let pixel = at % (side * side);
            let column = pixel % side;
            let row = pixel / side;
            let augmentation = at / (side * side) * stride;
            let image = usize::cast_from(augmentations[augmentation]);
            let centre = f32::cast_from(side - 1) * 0.5;
            let right = f32::cast_from(column) + (0.0 - centre - augmentations[augmentation + 1]);
            let down = f32::cast_from(row) - centre - augmentations[augmentation + 2];
            let mut x = augmentations[augmentation + 3] * right + (augmentations[augmentation + 4] * down + centre);
            let mut y = augmentations[augmentation + 5] * right + (augmentations[augmentation + 6] * down + centre);
            if stride > AFFINE_LEN {
                let field = augmentation + AFFINE_LEN;
                x += displacement(augmentations, field, column, row, controls);
                y += displacement(augmentations, field + controls * controls, column, row, controls);
            }
            to[at] = ink(words, image * (side * side), x, y, side);
        }
    }
}

/// Displacement of a pixel by the control points from `field` on: a uniform cubic B-spline along both axes.
#[cube]
fn displacement(augmentations: &[f32], field: usize, column: usize, row: usize, #[comptime] controls: usize) -> f32 {
    let first = field + row / CELL * controls + column / CELL;
    let across = weights(column % CELL);
    let down = weights(row % CELL);
    let mut sum = f32::new(0.0);
    #[unroll]
    for i in 0..SUPPORT {
        let mut line = f32::new(0.0);
        #[unroll]
        for j in 0..SUPPORT {
            line += across[j] * augmentations[first + i * controls + j];
        }
        sum += down[i] * line;
    }
    sum
}

/// Weights of the four control points around a pixel's centre, along one axis. `pixel` is the position in its cell.
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

/// Bilinear interpolation of an image at column `x` and row `y`; 0 outside of it. `image` is the index of its first
/// pixel.
#[cube]
fn ink(words: &[u32], image: usize, x: f32, y: f32, #[comptime] side: usize) -> f32 {
    // Shifted by 1 so that no coordinate is negative. Clamping loses nothing: all pixels further outside are
    // background, like those next to the image.
    let x = clamp(x, -1.0, comptime!(side as f32)) + 1.0;
    let y = clamp(y, -1.0, comptime!(side as f32)) + 1.0;
    let column = usize::cast_from(x);
    let row = usize::cast_from(y);
    let right = x - f32::cast_from(column);
    let down = y - f32::cast_from(row);
    let here = pixel(words, image, column, row, side);
    let beside = pixel(words, image, column + 1, row, side);
    let below = pixel(words, image, column, row + 1, side);
    let diagonal = pixel(words, image, column + 1, row + 1, side);
    let upper = here + (beside - here) * right;
    let lower = below + (diagonal - below) * right;
    upper + (lower - upper) * down
}

/// A pixel, from 0 to 1. Column and row are counted from one before the image; outside of the image the result is 0.
#[cube]
fn pixel(words: &[u32], image: usize, column: usize, row: usize, #[comptime] side: usize) -> f32 {
    let inside = column >= 1 && column <= side && row >= 1 && row <= side;
    // Outside of the image any valid index will do: the result is not used.
    let at = image + select(inside, row * side + column - (side + 1), 0);
    let byte = (words[at / PIXELS_PER_WORD] >> u32::cast_from(at % PIXELS_PER_WORD * 8)) & 255u32;
    select(inside, f32::cast_from(byte) * comptime!(1.0f32 / 255.0), 0.0)
}
