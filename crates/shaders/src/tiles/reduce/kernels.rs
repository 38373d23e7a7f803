//! What the invocations of a workgroup compute for a sum. Launched by [`super`].

use cubecl::prelude::*;

use super::{AT_ONCE, PART_GROUPS, SIDE_BY_SIDE};
use crate::tiles::{LANES, Vec4, rectified};

/// The sum of each of `n` slices.
#[cube(launch_unchecked)]
pub(super) fn sum_rows(values: &[Vec4], sums: &mut [f32], n: usize, quads: usize, #[comptime] units: usize) {
    let row = CUBE_POS;
    if row >= n {
        terminate!();
    }
    let sum = workgroup_sum(lane_sum(row_sum(values, row * quads, quads, units)), units);
    if UNIT_POS == 0 {
        sums[row] = sum;
    }
}

/// For each of `n` slices: the mean, and the sum of squared deviations from it, multiplied by `weight`.
#[cube(launch_unchecked)]
pub(super) fn row_moments(
    x: &[Vec4],
    means: &mut [f32],
    squares: &mut [f32],
    weight: f32,
    n: usize,
    quads: usize,
    #[comptime] units: usize,
) {
    let row = CUBE_POS;
    if row >= n {
        terminate!();
    }
    let first = row * quads;
    let mean = workgroup_sum(lane_sum(row_sum(x, first, quads, units)), units) / f32::cast_from(quads * LANES);
    let mut squares_sum = Vec4::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE]);
    for round in 0..rounds {
        let mut vec4s = Sequence::<Vec4>::new();
        #[unroll]
        for i in 0..AT_ONCE {
            vec4s.push(x[first + min(quad_index(round, i, units), quads - 1)]);
        }
        let mut chunk_sum = Vec4::new(0.0);
        #[unroll]
        for i in 0..AT_ONCE {
            let deviation = vec4s[i] - Vec4::new(mean);
            chunk_sum += deviation * deviation * Vec4::new(in_row(round, i, quads, units));
        }
        squares_sum += chunk_sum;
    }
    let total = workgroup_sum(lane_sum(squares_sum), units);
    if UNIT_POS == 0 {
        means[row] = mean;
        squares[row] = total * weight;
    }
}

/// For each of `n` slices: the sum of the gradient, and from `second` on the sum of the gradient times the normalised
/// input.
#[cube(launch_unchecked)]
pub(super) fn row_gradient_sums(
    x: &[Vec4],
    y: &[Vec4],
    gradient: &[Vec4],
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
    let channel_mean = Vec4::new(mean[channel]);
    let factor = 1.0 / (variance[channel] + epsilon).sqrt();
    let mut sum = Vec4::new(0.0);
    let mut products = Vec4::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE / 2]);
    for round in 0..rounds {
        let mut gradients = Sequence::<Vec4>::new();
        let mut deviations = Sequence::<Vec4>::new();
        // Half as many vectors at once as elsewhere, since there are three arrays to read.
        #[unroll]
        for i in 0..comptime![AT_ONCE / 2] {
            let quad_index = (round * comptime![AT_ONCE / 2] + i) * units + UNIT_POS as usize;
            let at = first + min(quad_index, quads - 1);
            let in_range = select(quad_index < quads, f32::new(1.0), f32::new(0.0));
            gradients.push(gradient[at] * rectifier_slopes(y[at], slope) * Vec4::new(in_range));
            deviations.push(x[at] - channel_mean);
        }
        let mut chunk_sum = Vec4::new(0.0);
        let mut chunk_products = Vec4::new(0.0);
        #[unroll]
        for i in 0..comptime![AT_ONCE / 2] {
            chunk_sum += gradients[i];
            chunk_products += gradients[i] * deviations[i];
        }
        sum += chunk_sum;
        products += chunk_products;
    }
    let gradient_sum = workgroup_sum(lane_sum(sum), units);
    let product_sum = workgroup_sum(lane_sum(products), units);
    if UNIT_POS == 0 {
        sums[row] = gradient_sum;
        sums[second + row] = product_sum * factor;
    }
}

/// [`parts`]: a workgroup computes [`SIDE_BY_SIDE`] vectors. `len` and `per_row` are in vectors.
#[cube(launch_unchecked)]
pub(super) fn sum_parts(
    parts: &[Vec4],
    bias: &[f32],
    sums: &mut [Vec4],
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
            sum += Vec4::new(bias[at / per_row]);
        }
        sums[at] = rectified(sum, slope);
    }
}

/// [`filters`]: a workgroup computes [`SIDE_BY_SIDE`] vectors. `len` is in vectors.
#[cube(launch_unchecked)]
pub(super) fn sum_filters(parts: &[Vec4], sums: &mut [f32], len: usize, filters: usize, taps: usize, n_parts: usize) {
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

/// This invocation's part of the sum of a slice that begins at vector `first`.
#[cube]
fn row_sum(values: &[Vec4], first: usize, quads: usize, #[comptime] units: usize) -> Vec4 {
    let mut sum = Vec4::new(0.0);
    let rounds = quads.div_ceil(comptime![units * AT_ONCE]);
    for round in 0..rounds {
        let mut vec4s = Sequence::<Vec4>::new();
        #[unroll]
        for i in 0..AT_ONCE {
            vec4s.push(values[first + min(quad_index(round, i, units), quads - 1)]);
        }
        let mut chunk_sum = Vec4::new(0.0);
        #[unroll]
        for i in 0..AT_ONCE {
            chunk_sum += vec4s[i] * Vec4::new(in_row(round, i, quads, units));
        }
        sum += chunk_sum;
    }
    sum
}

/// Index in its slice of the `i`-th vector that this invocation reads in a round. Neighbouring invocations read
/// neighbouring vectors.
#[cube]
fn quad_index(round: usize, #[comptime] i: usize, #[comptime] units: usize) -> usize {
    (round * AT_ONCE + i) * units + UNIT_POS as usize
}

/// 1 if that vector is within the slice, 0 past its end.
#[cube]
fn in_row(round: usize, #[comptime] i: usize, quads: usize, #[comptime] units: usize) -> f32 {
    select(quad_index(round, i, units) < quads, f32::new(1.0), f32::new(0.0))
}

/// Derivative of a leaky rectifier with output `y`: 1 where `y` is positive, `slope` elsewhere.
#[cube]
fn rectifier_slopes(y: Vec4, slope: f32) -> Vec4 {
    let mut result = Vec4::new(0.0);
    #[unroll]
    for lane in 0..4usize {
        result.insert(lane, select(y.extract(lane) > 0.0, f32::new(1.0), slope));
    }
    result
}

/// The sum of the four numbers of a vector.
#[cube]
fn lane_sum(vec4: Vec4) -> f32 {
    (vec4.extract(0usize) + vec4.extract(1usize)) + (vec4.extract(2usize) + vec4.extract(3usize))
}

/// The sum of the `value`s of all invocations of a workgroup, added up in a fixed order. All invocations get the
/// result.
#[cube]
fn workgroup_sum(value: f32, #[comptime] units: usize) -> f32 {
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

/// The sum of the parts of the vector at index `at`. The invocations of a workgroup with the same `at` divide its parts
/// among them; those of the first part group get the result.
#[cube]
fn shared_sum(parts: &[Vec4], at: usize, len: usize, n_parts: usize) -> Vec4 {
    let unit = UNIT_POS as usize;
    let part_group = unit / SIDE_BY_SIDE;
    let clamped = min(at, len - 1);
    let mut shared = Shared::<[Vec4]>::new_slice(comptime![SIDE_BY_SIDE * PART_GROUPS]);
    let mut sum = Vec4::new(0.0);
    for round in 0..n_parts.div_ceil(PART_GROUPS) {
        let part = round * PART_GROUPS + part_group;
        let in_range = select(part < n_parts, f32::new(1.0), f32::new(0.0));
        sum += parts[min(part, n_parts - 1) * len + clamped] * Vec4::new(in_range);
    }
    shared[unit] = sum;
    sync_cube();
    #[unroll]
    for step in 1..comptime![PART_GROUPS.ilog2() as usize + 1] {
        let half = comptime![(SIDE_BY_SIDE * PART_GROUPS) >> step];
        if unit < half {
            shared[unit] = shared[unit] + shared[unit + half];
        }
        sync_cube();
    }
    shared[unit]
}
