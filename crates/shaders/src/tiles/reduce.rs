//! Sums, with a workgroup to each: its invocations read side by side and many at once, and add up what they have in the
//! workgroup's own memory. One invocation by itself would wait for the card's memory at every number.

use cubecl::prelude::*;

use super::{Four, LANES, grid, rectified};
use crate::gpu::{Array, Gpu, PART};
use crate::{fold, norm};

/// Invocations of a workgroup for long rows, and for short ones: those of one array of a few hundred numbers.
const LONG: usize = 256;
const SHORT: usize = 64;
/// Vectors of a row for which there are the more invocations.
const LONG_ROW: usize = 1_024;
/// Vectors that a workgroup reads of a row at most: longer rows are cut, so that no sum is made of many numbers one by one and
/// more of a large card computes.
const LONGEST: usize = 16_384;
/// Vectors that an invocation asks for before it waits for one of them.
const AT_ONCE: usize = 8;
/// Invocations side by side, each at a vector of its own, and invocations that share the parts of a vector.
const SIDE_BY_SIDE: usize = 16;
const SHARES: usize = 16;
/// Fewer parts are read one by one.
const FEWEST_PARTS: usize = 16;

/// Rows of an array, cut into slices of the same length.
struct Rows {
    rows: usize,
    /// Of each row.
    slices: usize,
    /// Vectors of a slice.
    quads: usize,
}

impl Rows {
    fn of(values: &Array, rows: usize) -> Self {
        let (mut slices, mut quads) = (1, values.len() / rows / LANES);
        while quads > LONGEST && quads.is_multiple_of(2) {
            (slices, quads) = (2 * slices, quads / 2);
        }
        Self { rows, slices, quads }
    }

    fn n(&self) -> usize {
        self.rows * self.slices
    }

    fn units(&self) -> usize {
        if self.quads < LONG_ROW { SHORT } else { LONG }
    }

    fn grid(&self, gpu: &Gpu) -> (CubeCount, CubeDim) {
        grid(gpu, self.n(), self.units())
    }
}

/// Launches a kernel with a workgroup to each slice of rows.
macro_rules! launch_rows {
    ($kernel:ident, $gpu:expr, $rows:expr, $($argument:expr),+ $(,)?) => {{
        let (count, dim) = $rows.grid($gpu);
        // SAFETY: every workgroup checks which slice is its own, and reads no further than that.
        unsafe { $kernel::launch_unchecked($gpu.client(), count, dim, $($argument),+, $rows.n(), $rows.quads, $rows.units()) }
    }};
}

/// `[rows, len]` to `[rows]`; `len` is a multiple of 4.
pub fn rows(gpu: &Gpu, values: &Array, rows: usize) -> Array {
    let cut = Rows::of(values, rows);
    let sums = gpu.empty(cut.n());
    launch_rows!(sum_rows, gpu, cut, values.vectors(LANES), sums.arg());
    if cut.slices == 1 { sums } else { fold::few(gpu, &sums, cut.slices) }
}

/// Mean and (biased) variance of each row of `[rows, len]`.
pub fn moments(gpu: &Gpu, x: &Array, rows: usize) -> [Array; 2] {
    let cut = Rows::of(x, rows);
    let [means, squares] = [0; 2].map(|_| gpu.empty(cut.n()));
    let share = if cut.slices == 1 { ((cut.quads * LANES) as f32).recip() } else { 1.0 };
    launch_rows!(row_moments, gpu, cut, x.vectors(LANES), means.arg(), squares.arg(), share);
    if cut.slices == 1 {
        return [means, squares];
    }
    norm::combined(gpu, [&means, &squares], rows, cut.quads * LANES)
}

/// What a normalisation's way back adds up: of each channel the gradient, and the gradient times the normalised input.
pub fn slopes(
    gpu: &Gpu,
    [x, y, gradient]: [&Array; 3],
    [mean, variance]: [&Array; 2],
    epsilon: f32,
    slope: f32,
) -> [Array; 2] {
    let channels = mean.len();
    let cut = Rows::of(x, channels);
    // One below the other, from where a part of an array may begin.
    let second = channels.next_multiple_of(PART);
    let sums = gpu.empty((second + channels) * cut.slices);
    launch_rows!(
        row_slopes,
        gpu,
        cut,
        x.vectors(LANES),
        y.vectors(LANES),
        gradient.vectors(LANES),
        mean.arg(),
        variance.arg(),
        sums.arg(),
        cut.slices,
        second * cut.slices,
        epsilon,
        slope
    );
    let both = if cut.slices == 1 { sums } else { fold::few(gpu, &sums, cut.slices) };
    [0, second].map(|start| both.part(start, channels))
}

/// Whether so many parts are worth a workgroup.
pub fn fits_parts(gpu: &Gpu, n_parts: usize) -> bool {
    gpu.has_tiles() && n_parts >= FEWEST_PARTS
}

/// The sum of parts of the same length, `[parts, rows, len]` to `[rows, len]`, with a bias to each row, rectified.
pub fn parts(gpu: &Gpu, parts: &Array, n_parts: usize, rows: usize, bias: Option<&Array>, slope: f32) -> Array {
    let sums = gpu.empty(parts.len() / n_parts);
    let len = sums.len() / LANES;
    let (count, dim) = grid(gpu, len.div_ceil(SIDE_BY_SIDE), SIDE_BY_SIDE * SHARES);
    // SAFETY: it computes no vector that is not there.
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

/// The sum of parts `[parts, taps, padded]`, turned round: `[filters, taps]`.
pub fn filters(gpu: &Gpu, parts: &Array, n_parts: usize, [filters, taps]: [usize; 2]) -> Array {
    let sums = gpu.empty(filters * taps);
    let len = parts.len() / n_parts / LANES;
    let (count, dim) = grid(gpu, len.div_ceil(SIDE_BY_SIDE), SIDE_BY_SIDE * SHARES);
    // SAFETY: it computes no vector that is not there, and writes no filter that is not there.
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

#[cube(launch_unchecked)]
fn sum_rows(values: &[Four], sums: &mut [f32], n: usize, quads: usize, #[comptime] units: usize) {
    let row = CUBE_POS;
    if row >= n {
        terminate!();
    }
    let sum = together(across(row_sum(values, row * quads, quads, units)), units);
    if UNIT_POS == 0 {
        sums[row] = sum;
    }
}

/// Of each slice: the mean, and this share of the sum of the squares of the distances from it.
#[cube(launch_unchecked)]
fn row_moments(
    x: &[Four],
    means: &mut [f32],
    squares: &mut [f32],
    share: f32,
    n: usize,
    quads: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= n {
        terminate!();
    }
    let first = row * quads;
    let mean = together(across(row_sum(x, first, quads, units)), units) / f32::cast_from(quads * LANES);
    let mut square = Four::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE]);
    for round in 0..rounds {
        let mut fours = Sequence::<Four>::new();
        #[unroll]
        for i in 0..AT_ONCE {
            fours.push(x[first + min(spot(round, i, units), quads - 1)]);
        }
        let mut part = Four::new(0.0);
        #[unroll]
        for i in 0..AT_ONCE {
            let distance = fours[i] - Four::new(mean);
            part += distance * distance * Four::new(inside(round, i, quads, units));
        }
        square += part;
    }
    let all = together(across(square), units);
    if UNIT_POS == 0 {
        means[row] = mean;
        squares[row] = all * share;
    }
}

#[cube(launch_unchecked)]
fn row_slopes(
    x: &[Four],
    y: &[Four],
    gradient: &[Four],
    mean: &[f32],
    variance: &[f32],
    sums: &mut [f32],
    slices: usize,
    second: usize,
    epsilon: f32,
    slope: f32,
    n: usize,
    quads: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= n {
        terminate!();
    }
    let channel = row / slices;
    let first = row * quads;
    let middle = Four::new(mean[channel]);
    let factor = 1.0 / (variance[channel] + epsilon).sqrt();
    let mut sum = Four::new(0.0);
    let mut products = Four::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE / 2]);
    for round in 0..rounds {
        let mut slopes = Sequence::<Four>::new();
        let mut distances = Sequence::<Four>::new();
        // Three arrays: half as many of each.
        #[unroll]
        for i in 0..comptime![AT_ONCE / 2] {
            let spot = (round * comptime![AT_ONCE / 2] + i) * units + UNIT_POS as usize;
            let at = first + min(spot, quads - 1);
            let there = select(spot < quads, f32::new(1.0), f32::new(0.0));
            slopes.push(gradient[at] * sloped(y[at], slope) * Four::new(there));
            distances.push(x[at] - middle);
        }
        let mut part = Four::new(0.0);
        let mut part_of_products = Four::new(0.0);
        #[unroll]
        for i in 0..comptime![AT_ONCE / 2] {
            part += slopes[i];
            part_of_products += slopes[i] * distances[i];
        }
        sum += part;
        products += part_of_products;
    }
    let of_all = together(across(sum), units);
    let of_products = together(across(products), units);
    if UNIT_POS == 0 {
        sums[row] = of_all;
        sums[second + row] = of_products * factor;
    }
}

#[cube(launch_unchecked)]
fn sum_parts(
    parts: &[Four],
    bias: &[f32],
    sums: &mut [Four],
    len: usize,
    per_row: usize,
    n_parts: usize,
    slope: f32,
    #[comptime] with_bias: bool,
) {
    if CUBE_POS * SIDE_BY_SIDE >= len {
        terminate!();
    }
    let at = CUBE_POS * SIDE_BY_SIDE + UNIT_POS as usize % SIDE_BY_SIDE;
    let mut sum = shared_sum(parts, at, len, n_parts);
    if (UNIT_POS as usize) < SIDE_BY_SIDE && at < len {
        if comptime![with_bias] {
            sum += Four::new(bias[at / per_row]);
        }
        sums[at] = rectified(sum, slope);
    }
}

#[cube(launch_unchecked)]
fn sum_filters(parts: &[Four], sums: &mut [f32], len: usize, filters: usize, taps: usize, n_parts: usize) {
    if CUBE_POS * SIDE_BY_SIDE >= len {
        terminate!();
    }
    let at = CUBE_POS * SIDE_BY_SIDE + UNIT_POS as usize % SIDE_BY_SIDE;
    let sum = shared_sum(parts, at, len, n_parts);
    if (UNIT_POS as usize) < SIDE_BY_SIDE && at < len {
        let per_tap = len / taps;
        #[unroll]
        for lane in 0..4usize {
            let filter = at % per_tap * 4 + lane;
            if filter < filters {
                sums[filter * taps + at / per_tap] = sum.extract(lane);
            }
        }
    }
}

/// What an invocation has of the sum of a row.
#[cube]
fn row_sum(values: &[Four], first: usize, quads: usize, #[comptime] units: usize) -> Four {
    let mut sum = Four::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE]);
    for round in 0..rounds {
        let mut fours = Sequence::<Four>::new();
        #[unroll]
        for i in 0..AT_ONCE {
            fours.push(values[first + min(spot(round, i, units), quads - 1)]);
        }
        let mut part = Four::new(0.0);
        #[unroll]
        for i in 0..AT_ONCE {
            part += fours[i] * Four::new(inside(round, i, quads, units));
        }
        sum += part;
    }
    sum
}

/// Which vector of its row an invocation reads as its `i`-th of a round: neighbours read neighbouring ones.
#[cube]
fn spot(round: usize, #[comptime] i: usize, #[comptime] units: usize) -> usize {
    (round * AT_ONCE + i) * units + UNIT_POS as usize
}

/// 1 where that vector is in the row, and 0 beyond its end.
#[cube]
fn inside(round: usize, #[comptime] i: usize, quads: usize, #[comptime] units: usize) -> f32 {
    select(spot(round, i, units) < quads, f32::new(1.0), f32::new(0.0))
}

/// The slope of a rectifier at each number.
#[cube]
fn sloped(y: Four, slope: f32) -> Four {
    let mut result = Four::new(0.0);
    #[unroll]
    for lane in 0..4usize {
        result.insert(lane, select(y.extract(lane) > 0.0, f32::new(1.0), slope));
    }
    result
}

/// The sum of the four numbers of a vector.
#[cube]
fn across(four: Four) -> f32 {
    (four.extract(0usize) + four.extract(1usize)) + (four.extract(2usize) + four.extract(3usize))
}

/// The sum of a number of every invocation of a workgroup, always added up in the same order; all of them get it.
#[cube]
fn together(value: f32, #[comptime] units: usize) -> f32 {
    let unit = UNIT_POS as usize;
    let mut shared = Shared::<[f32]>::new_slice(units);
    shared[unit] = value;
    sync_cube();
    #[unroll]
    for step in 1..comptime![units.ilog2() as usize + 1] {
        let half = comptime![units >> step];
        if unit < half {
            shared[unit] = shared[unit] + shared[unit + half];
        }
        sync_cube();
    }
    shared[0]
}

/// The sum of a vector's parts, which those invocations share that have the same place; the first of them get it.
#[cube]
fn shared_sum(parts: &[Four], at: usize, len: usize, n_parts: usize) -> Four {
    let unit = UNIT_POS as usize;
    let share = unit / SIDE_BY_SIDE;
    let inside = min(at, len - 1);
    let mut shared = Shared::<[Four]>::new_slice(comptime![SIDE_BY_SIDE * SHARES]);
    let mut sum = Four::new(0.0);
    for round in 0..n_parts.div_ceil(SHARES) {
        let part = round * SHARES + share;
        let there = select(part < n_parts, f32::new(1.0), f32::new(0.0));
        sum += parts[min(part, n_parts - 1) * len + inside] * Four::new(there);
    }
    shared[unit] = sum;
    sync_cube();
    #[unroll]
    for step in 1..comptime![SHARES.ilog2() as usize + 1] {
        let half = comptime![(SIDE_BY_SIDE * SHARES) >> step];
        if unit < half {
            shared[unit] = shared[unit] + shared[unit + half];
        }
        sync_cube();
    }
    shared[unit]
}
