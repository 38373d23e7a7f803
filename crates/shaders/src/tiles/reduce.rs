//! Sums, each computed by one workgroup: its invocations read neighbouring numbers, many at once, and add up their
//! results in the workgroup's memory. A single invocation would wait for the card's memory at every number.

mod kernels;

use cubecl::prelude::*;
use kernels::{row_gradient_sums, row_moments, sum_filters, sum_parts, sum_rows};

use super::{LANES, launch_grid};
use crate::gpu::{Array, Gpu, PART_ALIGNMENT};
use crate::{norm, partial_sums};

/// Invocations of a workgroup for long rows.
const LONG_ROW_UNITS: usize = 256;
/// Invocations of a workgroup for short rows, such as those of an array of a few hundred numbers.
const SHORT_ROW_UNITS: usize = 64;
/// A row of at least this many vectors is long.
const LONG_ROW_QUADS: usize = 1_024;
/// Vectors of a row that a workgroup reads at most. Longer rows are cut into slices, so that no sum adds up many
/// numbers one by one, and so that more of a large card computes.
const MAX_QUADS: usize = 16_384;
/// Vectors that an invocation requests before it waits for the first of them.
const AT_ONCE: usize = 8;
/// Neighbouring vectors whose parts a workgroup adds up.
const SIDE_BY_SIDE: usize = 16;
/// Invocations among which the parts of a vector are divided.
const PART_GROUPS: usize = 16;
/// Fewer parts are added up one by one, by one invocation per vector.
const MIN_PARTS: usize = 16;

/// Rows of an array, each cut into slices of the same length.
struct Rows {
    /// Number of rows.
    rows: usize,
    /// Number of slices in each row.
    slices: usize,
    /// Length of a slice, in vectors.
    quads: usize,
}

impl Rows {
    /// `values` as `rows` rows. Halves slices while they are too long and can be halved.
    fn of(values: &Array, rows: usize) -> Self {
        let (mut slices, mut quads) = (1, values.len() / rows / LANES);
        while quads > MAX_QUADS && quads.is_multiple_of(2) {
            (slices, quads) = (2 * slices, quads / 2);
        }
        Self { rows, slices, quads }
    }

    /// Number of slices in all rows.
    fn n(&self) -> usize {
        self.rows * self.slices
    }

    /// Invocations of a workgroup.
    fn units(&self) -> usize {
        if self.quads < LONG_ROW_QUADS { SHORT_ROW_UNITS } else { LONG_ROW_UNITS }
    }

    /// A workgroup for each slice.
    fn launch_grid(&self, gpu: &Gpu) -> (CubeCount, CubeDim) {
        launch_grid(gpu, self.n(), self.units())
    }
}

/// Launches a kernel with a workgroup for each slice. Number and length of slices, and the workgroup's size, are its
/// last arguments.
macro_rules! launch_rows {
    ($kernel:ident, $gpu:expr, $rows:expr, $($argument:expr),+ $(,)?) => {{
        let (count, dim) = $rows.launch_grid($gpu);
        // SAFETY: every workgroup checks which slice is its own, and reads no further than the end of that slice.
        unsafe {
            $kernel::launch_unchecked($gpu.client(), count, dim, $($argument),+, $rows.n(), $rows.quads, $rows.units())
        }
    }};
}

/// Sums of rows: `[rows, len]` to `[rows]`. `len` must be a multiple of 4.
pub fn rows(gpu: &Gpu, values: &Array, rows: usize) -> Array {
    let cut = Rows::of(values, rows);
    let sums = gpu.empty(cut.n());
    launch_rows!(sum_rows, gpu, cut, values.vectors(LANES), sums.arg());
    if cut.slices == 1 { sums } else { partial_sums::rows_serial(gpu, &sums, cut.slices) }
}

/// Mean and (biased) variance of each row of `x`, `[rows, len]`: two arrays `[rows]`. `len` must be a multiple of 4.
pub fn moments(gpu: &Gpu, x: &Array, rows: usize) -> [Array; 2] {
    let cut = Rows::of(x, rows);
    let [means, squares] = [0; 2].map(|_| gpu.empty(cut.n()));
    let weight = if cut.slices == 1 { ((cut.quads * LANES) as f32).recip() } else { 1.0 };
    launch_rows!(row_moments, gpu, cut, x.vectors(LANES), means.arg(), squares.arg(), weight);
    if cut.slices == 1 {
        return [means, squares];
    }
    norm::combine_moments(gpu, [&means, &squares], rows, cut.quads * LANES)
}

/// The sums for the backward pass of a normalisation: for each channel the sum of the gradient, and the sum of the
/// gradient times the normalised input. `slope` is that of the rectifier after the normalisation.
pub fn gradient_sums(
    gpu: &Gpu,
    [x, y, gradient]: [&Array; 3],
    [mean, variance]: [&Array; 2],
    epsilon: f32,
    slope: f32,
) -> [Array; 2] {
    let channels = mean.len();
    let cut = Rows::of(x, channels);
    // Both sums are in one array, so that one launch adds both up. The second begins where a part of an array may.
    let second = channels.next_multiple_of(PART_ALIGNMENT);
    let partial_sums = gpu.empty((second + channels) * cut.slices);
    launch_rows!(
        row_gradient_sums,
        gpu,
        cut,
        x.vectors(LANES),
        y.vectors(LANES),
        gradient.vectors(LANES),
        mean.arg(),
        variance.arg(),
        partial_sums.arg(),
        cut.slices,
        second * cut.slices,
        epsilon,
        slope
    );
    let sums = if cut.slices == 1 { partial_sums } else { partial_sums::rows_serial(gpu, &partial_sums, cut.slices) };
    [0, second].map(|start| sums.part(start, channels))
}

/// Whether `n_parts` parts are enough for a workgroup.
pub fn fits_parts(gpu: &Gpu, n_parts: usize) -> bool {
    gpu.has_tiles() && n_parts >= MIN_PARTS
}

/// The sum of parts, `[parts, rows, len]` to `[rows, len]`. `bias`, `[rows]`, is added, and negative results are
/// multiplied by `slope`. `len` must be a multiple of 4.
pub fn parts(gpu: &Gpu, parts: &Array, n_parts: usize, rows: usize, bias: Option<&Array>, slope: f32) -> Array {
    let sums = gpu.empty(parts.len() / n_parts);
    let len = sums.len() / LANES;
    let (count, dim) = launch_grid(gpu, len.div_ceil(SIDE_BY_SIDE), SIDE_BY_SIDE * PART_GROUPS);
    // SAFETY: the kernel computes no vector outside of the result.
    unsafe {
        sum_parts::launch_unchecked(
            gpu.client(),
            count,
            dim,
            parts.vectors(LANES),
            bias.unwrap_or(parts).arg(),
            sums.vectors(LANES),
            len,
            len / rows,
            n_parts,
            slope,
            bias.is_some(),
        );
    }
    sums
}

/// The sum of parts, transposed: `[parts, taps, padded]` to `[filters, taps]`, where `padded` is the number of filters
/// rounded up to vectors.
pub fn filters(gpu: &Gpu, parts: &Array, n_parts: usize, [filters, taps]: [usize; 2]) -> Array {
    let sums = gpu.empty(filters * taps);
    let len = parts.len() / n_parts / LANES;
    let (count, dim) = launch_grid(gpu, len.div_ceil(SIDE_BY_SIDE), SIDE_BY_SIDE * PART_GROUPS);
    // SAFETY: the kernel computes no vector outside of the parts, and writes no filter outside of the result.
    unsafe {
        sum_filters::launch_unchecked(
            gpu.client(),
            count,
            dim,
            parts.vectors(LANES),
            sums.arg(),
            len,
            filters,
            taps,
            n_parts,
        );
    }
    sums
}
