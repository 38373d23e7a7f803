//! The rows of one matrix multiplied by the rows of another. Adds no bias.

use cubecl::prelude::*;

use super::{ACROSS, DEPTH, LANES, PITCH, Patches, ROWS, Vec4, add_parts, launch_grid, row_groups, slices};
use crate::gpu::{Array, Gpu};

/// Columns of the result that one invocation computes.
const COLUMNS: usize = 8;
/// Workgroups among which a product is divided, if its sums are long enough. With as many as [`super::columns`] asks
/// for, adding up the slices costs more than the additional workgroups gain (measured on an H200).
const WORKGROUPS: usize = 256;

/// The product `a · bᵀ`, `[rows, columns]`, of `a`, `[rows, depth]`, and `b`, `[columns, depth]`. `b` is a matrix
/// `[columns, n]`, or the patches of a convolution, with a row for each tap of the window.
#[derive(Clone, Copy, Debug)]
pub struct Products {
    /// Rows of the result.
    pub rows: usize,
    /// Columns of the result; taps of the window in all channels.
    pub columns: usize,
    /// The source of `b`; the depth is the number of its windows.
    pub patches: Patches,
}

impl Products {
    /// The product of the rows of `[rows, n]` with the rows of `[columns, n]`.
    pub fn plain(rows: usize, columns: usize, n: usize) -> Self {
        Self { rows, columns, patches: Patches::none(n) }
    }

    /// The result, `[rows, columns]`.
    pub fn run(&self, gpu: &Gpu, [a, b]: [&Array; 2]) -> Array {
        let Patches { n, from, to, kernel, stride } = self.patches;
        let depth = self.patches.columns();
        let groups = row_groups(self.rows);
        let across = self.columns.div_ceil(ACROSS * COLUMNS);
        let down = self.rows.div_ceil(groups * ROWS);
        let (n_slices, per_slice) = slices(WORKGROUPS, across * down, depth);
        let output = gpu.empty(n_slices * self.rows * self.columns);
        let (count, dim) = launch_grid(gpu, across * down * n_slices, ACROSS * groups);
        // SAFETY: as in `Columns::run`: the kernel keeps within the factors and the result.
        unsafe {
            products_tile::launch_unchecked(
                gpu.client(),
                count,
                dim,
                a.vectors(LANES),
                b.vectors(LANES),
                output.arg(),
                self.rows,
                self.columns,
                depth,
                n_slices,
                per_slice,
                across,
                down,
                n / LANES,
                to[1],
                from[1] * n / LANES,
                from[0] * from[1] * n / LANES,
                kernel,
                stride,
                groups,
            );
        }
        if n_slices == 1 { output } else { add_parts(gpu, &output, n_slices, self.rows, None, 1.0) }
    }
}

/// An invocation computes 8 × 8 numbers of the result. While its workgroup computes with one tile of the factors, it
/// already reads the next one from the card's memory. `line` and `plane` are the lengths of a row and a channel of the
/// source in vectors, and `image_quads` is `n` in vectors.
#[cube(launch_unchecked)]
fn products_tile(
    a: &[Vec4],
    b: &[Vec4],
    output: &mut [f32],
    rows: usize,
    columns: usize,
    depth: usize,
    n_slices: usize,
    per_slice: usize,
    across: usize,
    down: usize,
    image_quads: usize,
    pixel_columns: usize,
    line: usize,
    plane: usize,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] groups: usize,
) {
    let slice = CUBE_POS / (across * down);
    if slice >= n_slices {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let column_in_tile = unit % ACROSS;
    let group = unit / ACROSS;
    let first_column = CUBE_POS % across * comptime![ACROSS * COLUMNS];
    let first_row = CUBE_POS / across % down * comptime![groups * ROWS];
    let mut a_tile = Shared::<[Vec4]>::new_slice(comptime![groups * ROWS * PITCH]);
    let mut b_tile = Shared::<[Vec4]>::new_slice(comptime![ACROSS * COLUMNS * PITCH]);
    let mut totals = Sequence::<RuntimeCell<f32>>::new();
    #[unroll]
    for _i in 0..comptime![ROWS * COLUMNS] {
        totals.push(RuntimeCell::<f32>::new(0.0));
    }
    // Offsets of the rows of `b` that this invocation reads.
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for i in 0..comptime![ACROSS * COLUMNS * 4 / (ACROSS * groups)] {
        let column = min(first_column + unit / 4 + i * comptime![ACROSS * groups / 4], columns - 1);
        let tap = column % comptime![kernel * kernel];
        starts.push(column / comptime![kernel * kernel] * plane + tap / kernel * line + tap % kernel * image_quads);
    }
    let end = min((slice + 1) * per_slice, depth);
    let mut a_next = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..2usize {
        a_next.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    let mut b_next = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![ACROSS * COLUMNS * 4 / (ACROSS * groups)] {
        b_next.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    let mut k = slice * per_slice;
    read_rows(a, &a_next, first_row, k, rows, end, depth, groups);
    let from = patch_start(k, end, image_quads, pixel_columns, line, stride);
    read_patches(b, &b_next, &starts, from, groups);
    while k < end {
        sync_cube();
        #[unroll]
        for i in 0..2usize {
            let at = unit + i * comptime![ACROSS * groups];
            a_tile[at / 4 * PITCH + at % 4] = a_next[i].read();
        }
        #[unroll]
        for i in 0..comptime![ACROSS * COLUMNS * 4 / (ACROSS * groups)] {
            let at = unit + i * comptime![ACROSS * groups];
            b_tile[at / 4 * PITCH + at % 4] = b_next[i].read();
        }
        sync_cube();
        k += DEPTH;
        if k < end {
            read_rows(a, &a_next, first_row, k, rows, end, depth, groups);
            let from = patch_start(k, end, image_quads, pixel_columns, line, stride);
            read_patches(b, &b_next, &starts, from, groups);
        }
        for step in 0..comptime![DEPTH / LANES] {
            let mut factors = Sequence::<Vec4>::new();
            #[unroll]
            for i in 0..ROWS {
                factors.push(a_tile[(group * ROWS + i) * PITCH + step]);
            }
            #[unroll]
            for j in 0..COLUMNS {
                let factor = b_tile[(column_in_tile + j * ACROSS) * PITCH + step];
                #[unroll]
                for i in 0..ROWS {
                    let total = &totals[comptime![j * ROWS + i]];
                    let mut sum = total.read();
                    #[unroll]
                    for lane in 0..4usize {
                        sum = fma(factors[i].extract(lane), factor.extract(lane), sum);
                    }
                    total.store(sum);
                }
            }
        }
    }
    #[unroll]
    for i in 0..ROWS {
        let row = first_row + group * ROWS + i;
        #[unroll]
        for j in 0..COLUMNS {
            let column = first_column + column_in_tile + j * ACROSS;
            if row < rows && column < columns {
                output[(slice * rows + row) * columns + column] = totals[comptime![j * ROWS + i]].read();
            }
        }
    }
}

/// Reads this invocation's part of the next tile of `a`. Past the last row or the end of the slice, 0 is read.
#[cube]
fn read_rows(
    a: &[Vec4],
    a_next: &Sequence<RuntimeCell<Vec4>>,
    first_row: usize,
    k: usize,
    rows: usize,
    end: usize,
    depth: usize,
    #[comptime] groups: usize,
) {
    let unit = UNIT_POS as usize;
    let quad = k / 4 + unit % 4;
    #[unroll]
    for i in 0..2usize {
        let row = first_row + unit / 4 + i * comptime![ACROSS * groups / 4];
        let mut vec4 = Vec4::new(0.0);
        if row < rows && quad * 4 < end {
            vec4 = a[row * (depth / 4) + quad];
        }
        a_next[i].store(vec4);
    }
}

/// Where this invocation's part of the next tile of `b` begins, in vectors from the start of each of its rows. Past the
/// end of the slice it is that of the last vector.
#[cube]
fn patch_start(
    k: usize,
    end: usize,
    image_quads: usize,
    pixel_columns: usize,
    line: usize,
    #[comptime] stride: usize,
) -> usize {
    let inside = min(k / 4 + UNIT_POS as usize % 4, end / 4 - 1);
    let pixel = inside / image_quads;
    pixel / pixel_columns * stride * line + pixel % pixel_columns * stride * image_quads + inside % image_quads
}

/// Reads this invocation's part of the next tile of `b`. Past the last row or the end of the slice, some other number
/// is read: its products are not written, or are multiplied by a 0 of `a`.
#[cube]
fn read_patches(
    b: &[Vec4],
    b_next: &Sequence<RuntimeCell<Vec4>>,
    starts: &Sequence<usize>,
    from: usize,
    #[comptime] groups: usize,
) {
    #[unroll]
    for i in 0..comptime![ACROSS * COLUMNS * 4 / (ACROSS * groups)] {
        b_next[i].store(b[from + starts[i]]);
    }
}
