//! Products of large matrices, a tile of the result to a workgroup: what it reads lies in the workgroup's own memory, where
//! each number is read by many. Dense layers and convolutions over many images are such products. A software adapter has
//! no such memory, and gains nothing.
//!
//! [`Columns`] multiplies with a matrix whose columns lie side by side: images, or pixels of images, the layer forward and
//! its input's gradient. [`Products`] multiplies the rows of two matrices with one another: the gradient of weights. Numbers
//! are read four at a time.

mod choice;
mod columns;
mod products;
pub mod reduce;

use cubecl::prelude::*;

pub use choice::tiles_win;
pub use columns::{Columns, Factor};
pub use products::Products;

use crate::gpu::{Array, Gpu};

/// Numbers in one vector.
pub const LANES: usize = 4;
/// What a workgroup reads at once of each row.
const DEPTH: usize = 16;
/// Rows of the result that one invocation computes.
const ROWS: usize = 8;
/// Invocations side by side.
const ACROSS: usize = 16;
/// Vectors from one row to the next in the workgroup's memory where rows are read across: one more than there are, so that
/// neighbouring invocations read from different banks.
const PITCH: usize = DEPTH / LANES + 1;

type Four = Vector<f32, Const<4>>;

/// What a convolution reads: padded planes `[channels, rows, columns, n]`, and where its windows lie in them.
#[derive(Clone, Copy, Debug)]
pub struct Patches {
    /// Images; a multiple of 4.
    pub n: usize,
    pub from: [usize; 2],
    pub to: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
}

impl Patches {
    /// Pixels of all images.
    fn columns(&self) -> usize {
        self.to[0] * self.to[1] * self.n
    }

    /// Of a matrix `[rows, n]`: no window at all.
    fn none(n: usize) -> Self {
        Self { n, from: [1, 1], to: [1, 1], kernel: 1, stride: 1 }
    }
}

/// Whether products over so many images can be computed in tiles.
pub fn fit(gpu: &Gpu, n: usize) -> bool {
    /// A tile is all but empty with fewer: one image, on its way to the pad.
    const FEWEST: usize = 8;
    gpu.has_tiles() && n >= FEWEST && n.is_multiple_of(LANES)
}

/// Groups of 8 rows of the result that a workgroup computes: fewer where there are fewer.
fn row_groups(rows: usize) -> usize {
    match rows {
        0..=16 => 2,
        17..=32 => 4,
        _ => 8,
    }
}

/// Into how many parts the sums are cut, so that at least so many workgroups compute, and how long each is.
fn slices(workgroups: usize, n_tiles: usize, depth: usize) -> (usize, usize) {
    /// Shorter ones cost more to add up than they gain.
    const SHORTEST: usize = 8 * DEPTH;
    let wanted = workgroups.div_ceil(n_tiles).min(depth.div_ceil(SHORTEST)).max(1);
    let length = depth.div_ceil(wanted).next_multiple_of(DEPTH);
    (depth.div_ceil(length), length)
}

/// So many workgroups of so many invocations.
fn grid(gpu: &Gpu, workgroups: usize, invocations: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(invocations as u32);
    (cubecl::calculate_cube_count_elemwise(gpu.client(), workgroups * invocations, dim), dim)
}

/// The sum of parts of the same length, with a bias to each row, rectified.
fn add_up(gpu: &Gpu, parts: &Array, n_parts: usize, rows: usize, bias: Option<&Array>, slope: f32) -> Array {
    if reduce::fits_parts(gpu, n_parts) {
        return reduce::parts(gpu, parts, n_parts, rows, bias, slope);
    }
    let sums = gpu.empty(parts.len() / n_parts);
    let len = sums.len() / LANES;
    crate::gpu::launch!(
        add,
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

#[cube(launch_unchecked)]
fn add(
    parts: &[Four],
    bias: &[f32],
    sums: &mut [Four],
    len: usize,
    per_row: usize,
    n_parts: usize,
    slope: f32,
    #[comptime] with_bias: bool,
) {
    let at = ABSOLUTE_POS;
    if at < len {
        let mut sum = Four::new(0.0);
        for part in 0..n_parts {
            sum += parts[part * len + at];
        }
        if comptime![with_bias] {
            sum += Four::new(bias[at / per_row]);
        }
        sums[at] = rectified(sum, slope);
    }
}

/// Negative numbers times this slope.
#[cube]
fn rectified(four: Four, slope: f32) -> Four {
    let mut result = Four::new(0.0);
    #[unroll]
    for lane in 0..4usize {
        let value = four.extract(lane);
        result.insert(lane, select(value > 0.0, value, value * slope));
    }
    result
}
