//! Weighted sums over taps: the forward pass and the input's gradient.

use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{self, Shared};

/// Distances in floats from one row, column or block to the next.
#[derive(Clone, Copy)]
pub struct Steps {
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
    /// From one block of images to the next.
    pub block: usize,
}

/// Weighted sums over taps, for every filter at every pixel of the result.
pub struct Sums<'a> {
    /// The instruction set.
    pub isa: Isa,
    /// Offset of each tap in the source, in floats, from the first tap of a pixel.
    pub taps: Vec<u32>,
    /// The weights of all filters and taps, in the order of [`pack`].
    pub weights: Vec<f32>,
    /// Added to the sums of each filter: `[filters]`.
    pub bias: Option<&'a [f32]>,
    /// Factor for negative results (0 for ReLU, 1 for no rectifier).
    pub slope: f32,
    /// Number of filters of the result.
    pub filters: usize,
    /// Rows of the result.
    pub rows: usize,
    /// Columns of the result.
    pub columns: usize,
    /// Distances in the source between the first taps of two pixels of the result.
    pub from: Steps,
    /// Distances in the result between two of its pixels.
    pub to: Steps,
    /// Distance in the result between two filters, in floats.
    pub to_filter: usize,
}

impl Sums<'_> {
    /// Computes the sums of all blocks, in parallel. `start` is the offset of the first pixel in `to`, in floats.
    ///
    /// # Panics
    /// If a pixel is out of bounds of `from` or `to`.
    ///
    /// # Safety
    /// No two sums are written to the same place in `to`, and nobody else accesses these places meanwhile.
    pub unsafe fn run(&self, from: &[f32], start: usize, n_blocks: usize, to: &Shared<'_>) {
        // With a small batch, blocks are cut into bands of rows, so that every thread has a task.
        let parts = (2 * threads::count()).div_ceil(n_blocks.max(1)).min(self.rows).max(1);
        let parts = if threads::count() == 1 { 1 } else { parts };
        threads::each(n_blocks * parts, |task| {
            let (block, part) = (task / parts, task % parts);
            let rows = part * self.rows / parts..(part + 1) * self.rows / parts;
            // SAFETY: tasks take blocks or rows that do not overlap; the caller guarantees the rest.
            unsafe { self.run_block(from, block * self.from.block, to, start + block * self.to.block, rows) };
        });
    }

    /// Computes the sums of some rows of one block. `start` is the block's offset in `from` and `to_start` that of its
    /// first pixel in `to`, in floats.
    ///
    /// # Panics
    /// If a pixel of the block is out of bounds of `from` or `to`, or the weights or the bias have the wrong length.
    ///
    /// # Safety
    /// No two sums are written to the same place in `to`, and nobody else accesses the places of these rows meanwhile.
    pub unsafe fn run_block(
        &self,
        from: &[f32],
        start: usize,
        to: &Shared<'_>,
        to_start: usize,
        rows: std::ops::Range<usize>,
    ) {
        if rows.is_empty() || self.columns == 0 {
            return;
        }
        let lanes = self.isa.lanes();
        let farthest = |steps: &Steps| (self.rows - 1) * steps.row + (self.columns - 1) * steps.column + lanes;
        let farthest_tap = self.taps.iter().max().map_or(0, |tap| *tap as usize);
        assert!(start + farthest_tap + farthest(&self.from) <= from.len());
        assert!(rows.end <= self.rows && self.weights.len() == self.filters * self.taps.len());
        assert!(self.bias.is_none_or(|bias| bias.len() == self.filters));
        let to = to.at(to_start, (self.filters - 1) * self.to_filter + farthest(&self.to));
        // SAFETY: the assertions above and `at` checked that the farthest tap of the farthest pixel and the farthest
        // result are in bounds, and all others come before them. The caller guarantees that nobody else writes there.
        unsafe { self.isa.run(Rows { sums: self, from: from[start..].as_ptr(), to, rows }) };
    }
}

/// Number of filters of the widest tile, by the number of lanes. Together with the pixels in [`Rows::row`] these are 24
/// sums in the 32 registers of AVX-512, 12 in the 16 of AVX2, and 8 in WebAssembly, where browsers leave 15 of x86's 16
/// registers and spill the rest to memory.
const fn widest(lanes: usize) -> usize {
    if lanes == 16 { 8 } else { 4 }
}

/// Splits the filters into tiles, `(first filter, number of filters)`: the widest first, then narrower ones by halves.
fn tiles(lanes: usize, filters: usize) -> Vec<(usize, usize)> {
    let mut tiles = vec![];
    let (mut first, mut width) = (0, widest(lanes));
    while first < filters {
        while width > filters - first {
            width /= 2;
        }
        tiles.push((first, width));
        first += width;
    }
    tiles
}

/// Weights in the order in which tiles read them: `[tile][tap][filter of the tile]`. `weight(filter, tap)` is called
/// once for each.
pub fn pack(isa: Isa, filters: usize, n_taps: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut packed = Vec::with_capacity(filters * n_taps);
    for (first, width) in tiles(isa.lanes(), filters) {
        packed.extend(
            (0..n_taps)
                .flat_map(|tap| (first..first + width).map(move |filter| (filter, tap)))
                .map(|(filter, tap)| weight(filter, tap)),
        );
    }
    packed
}

/// Computes some rows of one block, whose source and result begin at `from` and `to`. Below, *checked* means that
/// [`Sums::run_block`] checked it: all taps at all pixels are in bounds of the source, all pixels of all filters in
/// bounds of the result, and there are as many weights as filters and taps.
struct Rows<'a> {
    sums: &'a Sums<'a>,
    from: *const f32,
    to: *mut f32,
    rows: std::ops::Range<usize>,
}

impl Kernel for Rows<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let tiles = tiles(S::LANES, self.sums.filters);
        for row in self.rows.clone() {
            for (first, width) in &tiles {
                // SAFETY: the rows are checked, and tiles do not go beyond the filters.
                unsafe {
                    match width {
                        8 if S::LANES == 16 => self.row::<S, 8>(row, *first),
                        4 => self.row::<S, 4>(row, *first),
                        2 => self.row::<S, 2>(row, *first),
                        _ => self.row::<S, 1>(row, *first),
                    }
                }
            }
        }
    }
}

impl Rows<'_> {
    /// Computes one row for the `F` filters from `first` on.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, which are those of the sums, and the row and the filters exist.
    #[inline(always)]
    unsafe fn row<S: Simd, const F: usize>(&self, row: usize, first: usize) {
        let Sums { columns, from, to, to_filter, .. } = *self.sums;
        // SAFETY: the row and its pixels are checked. The pointers move without `add` because the last move may leave the
        // slices; nothing is read or written there.
        unsafe {
            let mut x = self.from.add(row * from.row);
            let mut y = self.to.add(first * to_filter + row * to.row);
            let mut n_left = columns;
            while S::LANES == 4 && n_left >= 2 {
                self.tile::<S, F, 2>(first, x, y);
                (x, y, n_left) = (x.wrapping_add(2 * from.column), y.wrapping_add(2 * to.column), n_left - 2);
            }
            while n_left >= 3 {
                self.tile::<S, F, 3>(first, x, y);
                (x, y, n_left) = (x.wrapping_add(3 * from.column), y.wrapping_add(3 * to.column), n_left - 3);
            }
            match n_left {
                2 => self.tile::<S, F, 2>(first, x, y),
                1 => self.tile::<S, F, 1>(first, x, y),
                _ => {}
            }
        }
    }

    /// Computes the `F` filters from `first` on at `P` neighbouring pixels of a row, whose first tap is at `x` and whose
    /// result for the filter `first` is at `y`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, which are those of the sums, and the filters and the pixels exist.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const P: usize>(&self, first: usize, x: *const f32, y: *mut f32) {
        let sums = self.sums;
        // SAFETY: taps, pixels and weights are checked, and `pack` put the tile's weights side by side, `F` for each tap.
        unsafe {
            let start: [S::V; F] = std::array::from_fn(|f| S::splat(sums.bias.map_or(0.0, |bias| bias[first + f])));
            let mut sum: [[S::V; P]; F] = std::array::from_fn(|f| [start[f]; P]);
            let mut weights = sums.weights.as_ptr().add(first * sums.taps.len());
            for tap in &sums.taps {
                let x = x.add(*tap as usize);
                let x: [S::V; P] = std::array::from_fn(|p| S::load(x.add(p * sums.from.column)));
                for f in 0..F {
                    let weight = S::splat(*weights.add(f));
                    for p in 0..P {
                        sum[f][p] = S::mul_add(weight, x[p], sum[f][p]);
                    }
                }
                weights = weights.add(F);
            }
            for f in 0..F {
                for p in 0..P {
                    let value = rectified::<S>(sum[f][p], sums.slope);
                    S::store(y.add(f * sums.to_filter + p * sums.to.column), value);
                }
            }
        }
    }
}

/// A leaky rectifier: `value · slope` where `value` is negative.
///
/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn rectified<S: Simd>(value: S::V, slope: f32) -> S::V {
    // SAFETY: arithmetic only; the caller guarantees the instructions.
    unsafe { if slope == 1.0 { value } else { S::if_positive(value, value, S::mul(value, S::splat(slope))) } }
}
