//! A matrix multiplied by a matrix of images, or of patches of images.

use cubecl::prelude::*;

use super::{ACROSS, DEPTH, LANES, PITCH, Patches, ROWS, Vec4, add_parts, launch_grid, rectified, row_groups, slices};
use crate::gpu::{Array, Gpu};

/// Workgroups that keep a large card busy (measured on an H200). A product of fewer tiles is divided along the summed
/// dimension.
const WORKGROUPS: usize = 512;

/// How the first factor is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// Row by row; the length of a row is a multiple of 4.
    Rows,
    /// Column by column. This is the length of a column in numbers, a multiple of 4 and at least the number of rows.
    Columns(usize),
}

/// The product `a · b`, `[rows, columns]`, of `a`, `[rows, depth]`, and `b`, `[depth, columns]`. `b` is a matrix
/// `[depth, n]`, or the patches of a convolution, with a row for each tap of the window and a column for each window.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// Rows of the result.
    pub rows: usize,
    /// Length of the summed dimension; taps of the window in all channels.
    pub depth: usize,
    /// The source of `b`.
    pub patches: Patches,
}

impl Columns {
    /// A product with a matrix `[depth, n]`.
    pub fn plain(rows: usize, depth: usize, n: usize) -> Self {
        Self { rows, depth, patches: Patches::none(n) }
    }

    /// The result, `[rows, columns]`. `bias`, `[rows]`, is added, and negative results are multiplied by `slope`.
    pub fn run(&self, gpu: &Gpu, [a, b]: [&Array; 2], factor: Factor, bias: Option<&Array>, slope: f32) -> Array {
        let Patches { n, from, to, kernel, stride } = self.patches;
        let columns = self.patches.columns();
        let groups = row_groups(self.rows);
        let across = columns.div_ceil(ACROSS * LANES);
        let down = self.rows.div_ceil(groups * ROWS);
        let (n_slices, per_slice) = slices(WORKGROUPS, across * down, self.depth);
        let output = gpu.empty(n_slices * self.rows * columns);
        let (count, dim) = launch_grid(gpu, across * down * n_slices, ACROSS * groups);
        let (by_rows, pitch) = match factor {
            Factor::Rows => (true, self.depth / LANES),
            Factor::Columns(length) => (false, length / LANES),
        };
        let finished = n_slices == 1;
        // SAFETY: the kernel reads nothing outside of the factors, and writes nothing outside of the result.
        unsafe {
            columns_tile::launch_unchecked(
                gpu.client(),
                count,
                dim,
                a.vectors(LANES),
                b.vectors(LANES),
                bias.unwrap_or(b).arg(),
                output.vectors(LANES),
                self.rows,
                self.depth,
                columns / LANES,
                pitch,
                n_slices,
                per_slice,
                across,
                down,
                n / LANES,
                to[1],
                from[1] * n / LANES,
                from[0] * from[1] * n / LANES,
                u32::from(finished && bias.is_some()),
                if finished { slope } else { 1.0 },
                by_rows,
                kernel,
                stride,
                groups,
            );
        }
        if finished { output } else { add_parts(gpu, &output, n_slices, self.rows, bias, slope) }
    }
}

/// An invocation computes 8 rows of one vector of columns. While its workgroup computes with one tile of the factors,
/// it already reads the next one from the card's memory.
///
/// - `quads`: columns of the result, in vectors
/// - `pitch`: length of a row of `a` (a column, unless `by_rows`), in vectors
/// - `image_quads`: images, in vectors
/// - `columns`: windows in a row of the result's plane
/// - `line`, `plane`: lengths of a row and of a channel of the source, in vectors
#[cube(launch_unchecked)]
fn columns_tile(
    a: &[Vec4],
    b: &[Vec4],
    bias: &[f32],
    output: &mut [Vec4],
    rows: usize,
    depth: usize,
    quads: usize,
    pitch: usize,
    n_slices: usize,
    per_slice: usize,
    across: usize,
    down: usize,
    image_quads: usize,
    columns: usize,
    line: usize,
    plane: usize,
    with_bias: u32,
    slope: f32,
    #[comptime] by_rows: bool,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] groups: usize,
) {
    let slice = CUBE_POS / (across * down);
    if slice >= n_slices {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let quad_in_tile = unit % ACROSS;
    let group = unit / ACROSS;
    let first_quad = CUBE_POS % across * ACROSS;
    let first_row = CUBE_POS / across % down * comptime![groups * ROWS];
    let mut a_tile = Shared::<[Vec4]>::new_slice(comptime![groups * ROWS * PITCH]);
    let mut b_tile = Shared::<[Vec4]>::new_slice(comptime![DEPTH * ACROSS]);
    let mut totals = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..ROWS {
        totals.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    // Offset of this invocation's columns of `b`.
    let quad = min(first_quad + quad_in_tile, quads - 1);
    let pixel = quad / image_quads;
    let start = pixel / columns * stride * line + pixel % columns * stride * image_quads + quad % image_quads;
    let end = min((slice + 1) * per_slice, depth);
    let mut a_next = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..2usize {
        a_next.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    let mut b_next = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![DEPTH / groups] {
        b_next.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    let mut k = slice * per_slice;
    read_a(a, &a_next, first_row, k, rows, end, pitch, by_rows, groups);
    read_b(b, &b_next, start, k, end, image_quads, line, plane, kernel, groups);
    while k < end {
        sync_cube();
        #[unroll]
        for i in 0..2usize {
            let at = unit + i * comptime![ACROSS * groups];
            if comptime![by_rows] {
                a_tile[at / 4 * PITCH + at % 4] = a_next[i].read();
            } else {
                a_tile[at] = a_next[i].read();
            }
        }
        #[unroll]
        for i in 0..comptime![DEPTH / groups] {
            b_tile[(group + i * groups) * ACROSS + quad_in_tile] = b_next[i].read();
        }
        sync_cube();
        k += DEPTH;
        if k < end {
            read_a(a, &a_next, first_row, k, rows, end, pitch, by_rows, groups);
            read_b(b, &b_next, start, k, end, image_quads, line, plane, kernel, groups);
        }
        if comptime![by_rows] {
            for step in 0..comptime![DEPTH / LANES] {
                let mut factors = Sequence::<Vec4>::new();
                #[unroll]
                for i in 0..ROWS {
                    factors.push(a_tile[(group * ROWS + i) * PITCH + step]);
                }
                #[unroll]
                for lane in 0..4usize {
                    let column = b_tile[(step * 4 + lane) * ACROSS + quad_in_tile];
                    #[unroll]
                    for i in 0..ROWS {
                        let total = &totals[i];
                        total.store(total.read() + column * Vec4::new(factors[i].extract(lane)));
                    }
                }
            }
        } else {
            for step in 0..DEPTH {
                let from = step * comptime![groups * 2] + group * 2;
                let upper = a_tile[from];
                let lower = a_tile[from + 1];
                let column = b_tile[step * ACROSS + quad_in_tile];
                #[unroll]
                for i in 0..4usize {
                    let total = &totals[i];
                    total.store(total.read() + column * Vec4::new(upper.extract(i)));
                    let total = &totals[comptime![i + 4]];
                    total.store(total.read() + column * Vec4::new(lower.extract(i)));
                }
            }
        }
    }
    #[unroll]
    for i in 0..ROWS {
        let row = first_row + group * ROWS + i;
        let to = first_quad + quad_in_tile;
        if row < rows && to < quads {
            let mut sum = totals[i].read();
            if with_bias > 0 {
                sum += Vec4::new(bias[row]);
            }
            output[(slice * rows + row) * quads + to] = rectified(sum, slope);
        }
    }
}

/// Reads this invocation's part of the next tile of `a` into `next`; 0 outside of `a`.
#[cube]
fn read_a(
    a: &[Vec4],
    next: &Sequence<RuntimeCell<Vec4>>,
    first_row: usize,
    k: usize,
    rows: usize,
    end: usize,
    pitch: usize,
    #[comptime] by_rows: bool,
    #[comptime] groups: usize,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for i in 0..2usize {
        let at = unit + i * comptime![ACROSS * groups];
        let mut vec4 = Vec4::new(0.0);
        if comptime![by_rows] {
            let row = first_row + at / 4;
            if row < rows && k + at % 4 * 4 < end {
                vec4 = a[row * pitch + k / 4 + at % 4];
            }
        } else {
            let quad = first_row / 4 + at % comptime![groups * 2];
            let step = k + at / comptime![groups * 2];
            if quad < pitch && step < end {
                vec4 = a[step * pitch + quad];
            }
        }
        next[i].store(vec4);
    }
}

/// Reads this invocation's part of the next tile of `b` into `next`. Past the last row of the slice it is some other
/// number of `b`, which is multiplied by a 0 of `a`.
#[cube]
fn read_b(
    b: &[Vec4],
    next: &Sequence<RuntimeCell<Vec4>>,
    start: usize,
    k: usize,
    end: usize,
    image_quads: usize,
    line: usize,
    plane: usize,
    #[comptime] kernel: usize,
    #[comptime] groups: usize,
) {
    let group = UNIT_POS as usize / ACROSS;
    #[unroll]
    for i in 0..comptime![DEPTH / groups] {
        let row = min(k + group + i * groups, end - 1);
        let tap = row % comptime![kernel * kernel];
        let from = row / comptime![kernel * kernel] * plane + tap / kernel * line + tap % kernel * image_quads;
        next[i].store(b[from + start]);
    }
}
