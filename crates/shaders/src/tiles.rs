//! Products of large matrices in tiles: each workgroup computes a tile of the result. It copies what it needs of the
//! factors to its own (shared) memory, where many invocations read each number. Dense layers and convolutions of many
//! images are such products. A software adapter has no such memory, so it gains nothing.
//!
//! [`Columns`] multiplies by a matrix whose columns are images, or pixels of images: a layer's forward pass and its
//! input's gradient. [`Products`] multiplies the rows of two matrices by one another: the weights' gradient. Both read
//! four numbers at a time.

mod choice;
mod columns;
mod products;
pub mod reduce;

use cubecl::prelude::*;

pub use choice::tiles_are_faster;
pub use columns::{Columns, Factor};
pub use products::Products;

use crate::gpu::{Array, Gpu};

/// Numbers in a vector.
pub const LANES: usize = 4;
/// Length along the summed dimension that a workgroup copies at a time.
const DEPTH: usize = 16;
/// Rows of the result that one invocation computes.
const ROWS: usize = 8;
/// Invocations of a workgroup along the columns of its tile.
const ACROSS: usize = 16;
/// Vectors from one row to the next in the workgroup's memory, for factors that are stored row by row: one more than a
/// row has, so that neighbouring invocations read from different memory banks.
const PITCH: usize = DEPTH / LANES + 1;

/// A vector of four floats.
type Vec4 = Vector<f32, Const<4>>;

/// The source of a convolution, padded planes `[channels, rows, columns, n]`, and the positions of the windows in it.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    /// Number of images; a multiple of 4.
    pub n: usize,
    /// Rows and columns of the source, with padding.
    pub from: [usize; 2],
    /// Rows and columns of the result: number of windows along each axis.
    pub to: [usize; 2],
    /// Rows of the window, and columns.
    pub kernel: usize,
    /// Rows, and columns, from one window to the next.
    pub stride: usize,
}

impl Patches {
    /// Number of windows, over all images.
    fn columns(&self) -> usize {
        self.to[0] * self.to[1] * self.n
    }

    /// A matrix `[rows, n]` as a source: each row is a channel of a single pixel.
    fn none(n: usize) -> Self {
        Self { n, from: [1, 1], to: [1, 1], kernel: 1, stride: 1 }
    }
}

/// Whether products and sums over `n` images are computed in tiles by this queue.
pub fn fit(gpu: &Gpu, n: usize) -> bool {
    /// With fewer images a tile is almost empty, for example when one drawn image is classified.
    const MIN_IMAGES: usize = 8;
    gpu.has_tiles() && n >= MIN_IMAGES && n.is_multiple_of(LANES)
}

/// Number of groups of 8 rows in a workgroup's tile: fewer for a result of fewer rows.
fn row_groups(rows: usize) -> usize {
    match rows {
        0..=16 => 2,
        17..=32 => 4,
        _ => 8,
    }
}

/// Divides sums of length `depth` into slices, so that at least `workgroups` workgroups compute `n_tiles` tiles.
/// Returns the number of slices and the length of each; slices are not made shorter than `MIN_LENGTH`.
fn slices(workgroups: usize, n_tiles: usize, depth: usize) -> (usize, usize) {
    /// Shorter slices cost more to add up than they gain.
    const MIN_LENGTH: usize = 8 * DEPTH;
    let n_slices = workgroups.div_ceil(n_tiles).min(depth.div_ceil(MIN_LENGTH)).max(1);
    let length = depth.div_ceil(n_slices).next_multiple_of(DEPTH);
    (depth.div_ceil(length), length)
}

/// Number and size of workgroups: at least `workgroups` of `invocations` each.
fn launch_grid(gpu: &Gpu, workgroups: usize, invocations: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(invocations as u32);
    (cubecl::calculate_cube_count_elemwise(gpu.client(), workgroups * invocations, dim), dim)
}

/// The sum of `n_parts` parts, `[parts, rows, len]` to `[rows, len]`. `bias`, `[rows]`, is added, and negative results
/// are multiplied by `slope`.
fn add_parts(gpu: &Gpu, parts: &Array, n_parts: usize, rows: usize, bias: Option<&Array>, slope: f32) -> Array {
    if reduce::fits_parts(gpu, n_parts) {
        return reduce::parts(gpu, parts, n_parts, rows, bias, slope);
    }
    let sums = gpu.empty(parts.len() / n_parts);
    let len = sums.len() / LANES;
    crate::gpu::launch!(
        add_parts_kernel,
        gpu,
        len,
        parts.vectors(LANES),
        bias.unwrap_or(parts).arg(),
        sums.vectors(LANES),
        len,
        len / rows,
        n_parts,
        slope,
        bias.is_some()
    );
    sums
}

/// [`add_parts`] with one invocation per vector of the result. `len` and `per_row` are in vectors.
#[cube(launch_unchecked)]
fn add_parts_kernel(
    parts: &[Vec4],
    bias: &[f32],
    sums: &mut [Vec4],
    len: usize,
    per_row: usize,
    n_parts: usize,
    slope: f32,
    #[comptime] with_bias: bool,
) {
    let at = ABSOLUTE_POS;
    if at < len {
        let mut sum = Vec4::new(0.0);
        for part in 0..n_parts {
            sum += parts[part * len + at];
        }
        if comptime![with_bias] {
            sum += Vec4::new(bias[at / per_row]);
        }
        sums[at] = rectified(sum, slope);
    }
}

/// A leaky rectifier: each number multiplied by `slope` if it is negative.
#[cube]
fn rectified(vec4: Vec4, slope: f32) -> Vec4 {
    let mut result = Vec4::new(0.0);
    #[unroll]
    for lane in 0..4usize {
        let value = vec4.extract(lane);
        result.insert(lane, select(value > 0.0, value, value * slope));
    }
    result
}
