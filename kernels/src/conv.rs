//! Convolution over blocks of images, forward and backward.
//!
//! All three directions are a sum over *taps*: a tap is a pixel's distance in the input and the weight that belongs to
//! it. A tile of a few filters and a few pixels (or, for the weights' gradient, of a few filters and a few taps) stays
//! in registers while the sum runs.
//!
//! - forward: taps are (channel, row, column) of the window; the sum gives a pixel of a filter.
//! - the input's gradient: the same with the roles of filters and channels exchanged; with a stride, each of the
//!   stride² residues of the input's rows and columns meets its own taps.
//! - the weights' gradient: the sum runs over the pixels of all images.

use crate::grid::Grid;
use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{self, Shared};

/// A convolution's sizes, the batch's arrangement included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub isa: Isa,
    /// Images.
    pub n: usize,
    pub channels: usize,
    pub filters: usize,
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Side of the window.
    pub kernel: usize,
    pub stride: usize,
    /// Zeros above and to the left.
    pub before: [usize; 2],
    /// Zeros below and to the right.
    pub after: [usize; 2],
}

impl Window {
    pub fn input_grid(&self) -> Grid {
        Grid::blocked(self.isa, self.n, self.channels, self.input[0] * self.input[1])
    }

    pub fn output_grid(&self) -> Grid {
        Grid::blocked(self.isa, self.n, self.filters, self.output[0] * self.output[1])
    }

    /// The input with its zeros around it.
    pub fn padded_grid(&self) -> Grid {
        let [rows, columns] = self.padded();
        Grid::blocked(self.isa, self.n, self.channels, rows * columns)
    }

    /// Whether there are zeros around the input.
    pub fn is_padded(&self) -> bool {
        self.before != [0; 2] || self.after != [0; 2]
    }

    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    fn weights_per_filter(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Puts the zeros around the input. `padded` holds what a pass before left there, or anything at first.
    pub fn pad(&self, input: &[f32], padded: &mut [f32]) {
        assert_eq!((input.len(), padded.len()), (self.input_grid().len(), self.padded_grid().len()));
        let padded = Shared::new(padded);
        let frame = Frame { inner: self.input, before: self.before, outer: self.padded(), lanes: self.isa.lanes() };
        let planes = self.input_grid().n_blocks();
        threads::each(planes, |block| {
            for plane in block * self.channels..(block + 1) * self.channels {
                // SAFETY: the planes of this block are this task's.
                let outer = unsafe { padded.part(plane * frame.outer_len(), frame.outer_len()) };
                frame.fill(&input[plane * frame.inner_len()..][..frame.inner_len()], outer);
            }
        });
    }

    /// Every filter at every place; `input` is padded.
    ///
    /// # Shapes
    /// - `weights`: `[filters, channels, kernel, kernel]`
    /// - `bias`: `[filters]`
    /// - `slope`: what becomes of negative sums: this part of them (0 for ReLU, 1 to leave them)
    pub fn forward(&self, input: &[f32], weights: &[f32], bias: Option<&[f32]>, slope: f32, output: &mut [f32]) {
        assert_eq!(weights.len(), self.filters * self.weights_per_filter());
        assert_eq!((input.len(), output.len()), (self.padded_grid().len(), self.output_grid().len()));
        let [padded_rows, padded_columns] = self.padded();
        let area = self.kernel * self.kernel;
        let tap = |tap: usize| {
            let (channel, row, column) = (tap / area, tap % area / self.kernel, tap % self.kernel);
            (((channel * padded_rows + row) * padded_columns + column) * self.isa.lanes()) as u32
        };
        let per_filter = self.weights_per_filter();
        let sums = Sums {
            isa: self.isa,
            taps: (0..per_filter).map(tap).collect(),
            weights: pack(self.isa, self.filters, per_filter, |filter, tap| weights[filter * per_filter + tap]),
            bias,
            slope,
            filters: self.filters,
            rows: self.output[0],
            columns: self.output[1],
            from: Steps {
                row: self.stride * padded_columns * self.isa.lanes(),
                column: self.stride * self.isa.lanes(),
                block: self.padded_grid().block_stride,
            },
            to: Steps {
                row: self.output[1] * self.isa.lanes(),
                column: self.isa.lanes(),
                block: self.output_grid().block_stride,
            },
            to_filter: self.output_grid().channel_stride,
        };
        sums.run(input, 0, self.output_grid().n_blocks(), &Shared::new(output));
    }

    /// The gradient of the input (without its padding) from the gradient of the output.
    pub fn input_gradient(&self, output_gradient: &[f32], weights: &[f32], gradient: &mut [f32]) {
        assert_eq!((output_gradient.len(), gradient.len()), (self.output_grid().len(), self.input_grid().len()));
        let residues = [0, 1].map(|axis| Residue::all(self, axis));
        // The same border for all residues.
        let before = [0, 1].map(|axis| residues[axis].iter().map(|r| r.before).max().unwrap_or(0));
        let after = [0, 1].map(|axis| residues[axis].iter().map(|r| r.after).max().unwrap_or(0));
        let lanes = self.isa.lanes();
        let outer = [0, 1].map(|axis| before[axis] + self.output[axis] + after[axis]);
        let frame = Frame { inner: self.output, before, outer, lanes };
        let sums: Vec<_> = residues[0]
            .iter()
            .flat_map(|rows| residues[1].iter().map(move |columns| (rows, columns)))
            .map(|(rows, columns)| self.residue_sums(weights, rows, columns, &frame))
            .collect();
        let gradient = Shared::new(gradient);
        let (from, block_len) = (self.output_grid(), self.filters * frame.outer_len());
        threads::each(from.n_blocks(), |block| {
            let mut bordered = vec![0.0; block_len];
            let inner = &output_gradient[block * from.block_stride..][..from.block_stride];
            let planes = inner.chunks_exact(frame.inner_len()).zip(bordered.chunks_exact_mut(frame.outer_len()));
            planes.for_each(|(inner, outer)| frame.fill(inner, outer));
            for (sums, start) in &sums {
                sums.run_block(&bordered, 0, &gradient, start + block * sums.to.block, 0..sums.rows);
            }
        });
    }

    /// The sums that give every input pixel of a residue, and where the first of them lies.
    fn residue_sums(&self, weights: &[f32], rows: &Residue, columns: &Residue, frame: &Frame) -> (Sums<'_>, usize) {
        let (lanes, area, per_filter) = (self.isa.lanes(), self.kernel * self.kernel, self.weights_per_filter());
        let mut places = vec![];
        for filter in 0..self.filters {
            for row in rows.taps() {
                for column in columns.taps() {
                    let place = (filter * frame.outer[0] + frame.before[0] + rows.shift - row) * frame.outer[1];
                    let tap = ((place + frame.before[1] + columns.shift - column) * lanes) as u32;
                    let weight = (rows.first + row * self.stride) * self.kernel + columns.first + column * self.stride;
                    places.push((tap, filter * per_filter + weight));
                }
            }
        }
        let sums = Sums {
            isa: self.isa,
            taps: places.iter().map(|(tap, _)| *tap).collect(),
            weights: pack(self.isa, self.channels, places.len(), |channel, tap| {
                weights[places[tap].1 + channel * area]
            }),
            bias: None,
            slope: 1.0,
            filters: self.channels,
            rows: rows.n,
            columns: columns.n,
            from: Steps { row: frame.outer[1] * lanes, column: lanes, block: 0 },
            to: Steps {
                row: self.stride * self.input[1] * lanes,
                column: self.stride * lanes,
                block: self.input_grid().block_stride,
            },
            to_filter: self.input_grid().channel_stride,
        };
        (sums, (rows.start * self.input[1] + columns.start) * lanes)
    }

    /// The gradient of the weights; `input` is padded. Spare lanes of the output's gradient must be 0.
    pub fn weights_gradient(&self, input: &[f32], output_gradient: &[f32], gradient: &mut [f32]) {
        assert_eq!((input.len(), output_gradient.len()), (self.padded_grid().len(), self.output_grid().len()));
        assert_eq!(gradient.len(), self.filters * self.weights_per_filter());
        let [padded_rows, padded_columns] = self.padded();
        let (lanes, area) = (self.isa.lanes(), self.kernel * self.kernel);
        let tap = |tap: usize| {
            let (channel, row, column) = (tap / area, tap % area / self.kernel, tap % self.kernel);
            ((channel * padded_rows + row) * padded_columns + column) * lanes
        };
        let taps: Vec<usize> = (0..self.weights_per_filter()).map(tap).collect();
        let gradient = Shared::new(gradient);
        let group = product_filters(lanes);
        threads::each(self.filters.div_ceil(group), |task| {
            let first = task * group;
            let filters = group.min(self.filters - first);
            self.isa.run(Products { window: self, input, output_gradient, taps: &taps, first, filters, to: gradient });
        });
    }
}

/// A plane with a border of zeros.
struct Frame {
    inner: [usize; 2],
    before: [usize; 2],
    outer: [usize; 2],
    lanes: usize,
}

impl Frame {
    fn inner_len(&self) -> usize {
        self.inner[0] * self.inner[1] * self.lanes
    }

    fn outer_len(&self) -> usize {
        self.outer[0] * self.outer[1] * self.lanes
    }

    fn fill(&self, inner: &[f32], outer: &mut [f32]) {
        let (row, outer_row) = (self.inner[1] * self.lanes, self.outer[1] * self.lanes);
        let start = self.before[0] * outer_row + self.before[1] * self.lanes;
        let mut end = 0;
        for (y, values) in inner.chunks_exact(row).enumerate() {
            let at = start + y * outer_row;
            outer[end..at].fill(0.0);
            outer[at..at + row].copy_from_slice(values);
            end = at + row;
        }
        outer[end..].fill(0.0);
    }
}

/// Input rows (or columns) that meet the same taps: those at `start`, `start + stride` …
struct Residue {
    start: usize,
    /// How many there are.
    n: usize,
    /// The first tap they meet; the others follow by the stride.
    first: usize,
    n_taps: usize,
    /// The output row that the first input row meets with the first tap.
    shift: usize,
    /// Rows of zeros that the output's gradient needs above and below.
    before: usize,
    after: usize,
}

impl Residue {
    fn all(window: &Window, axis: usize) -> Vec<Self> {
        (0..window.stride.min(window.input[axis])).map(|first| Self::new(window, axis, first)).collect()
    }

    fn new(window: &Window, axis: usize, first: usize) -> Self {
        let (stride, pad) = (window.stride, window.before[axis]);
        let start = (first + stride - pad % stride) % stride;
        let n = (window.input[axis] - start).div_ceil(stride);
        let n_taps = if first < window.kernel { (window.kernel - first).div_ceil(stride) } else { 0 };
        let shift = (start + pad - first) / stride;
        let before = n_taps.saturating_sub(shift + 1);
        let after = (n + shift).saturating_sub(window.output[axis]);
        Self { start, n, first, n_taps, shift, before, after }
    }

    fn taps(&self) -> std::ops::Range<usize> {
        0..self.n_taps
    }
}

/// Distances in floats from a row, a column or a block to the next.
#[derive(Clone, Copy)]
struct Steps {
    row: usize,
    column: usize,
    block: usize,
}

/// Weighted sums over taps, for every filter at every pixel.
struct Sums<'a> {
    isa: Isa,
    taps: Vec<u32>,
    /// As [`pack`] orders them.
    weights: Vec<f32>,
    bias: Option<&'a [f32]>,
    slope: f32,
    filters: usize,
    rows: usize,
    columns: usize,
    from: Steps,
    to: Steps,
    to_filter: usize,
}

impl Sums<'_> {
    fn run(&self, from: &[f32], start: usize, n_blocks: usize, to: &Shared<'_>) {
        // Enough tasks for every thread, also when the batch is small.
        let parts = (2 * threads::count()).div_ceil(n_blocks).min(self.rows).max(1);
        let parts = if threads::count() == 1 { 1 } else { parts };
        threads::each(n_blocks * parts, |task| {
            let (block, part) = (task / parts, task % parts);
            let rows = part * self.rows / parts..(part + 1) * self.rows / parts;
            self.run_block(from, block * self.from.block, to, start + block * self.to.block, rows);
        });
    }

    fn run_block(&self, from: &[f32], start: usize, to: &Shared<'_>, to_start: usize, rows: std::ops::Range<usize>) {
        if rows.is_empty() || self.columns == 0 {
            return;
        }
        let lanes = self.isa.lanes();
        let farthest = |steps: &Steps| (self.rows - 1) * steps.row + (self.columns - 1) * steps.column + lanes;
        let reach = self.taps.iter().max().map_or(0, |tap| *tap as usize);
        assert!(start + reach + farthest(&self.from) <= from.len());
        let to = to.at(to_start, (self.filters - 1) * self.to_filter + farthest(&self.to));
        // SAFETY: the farthest element of both was just found to be within.
        let from = unsafe { from.as_ptr().add(start) };
        self.isa.run(Rows { sums: self, from, to, rows });
    }
}

/// Filters of the widest tile, by the number of lanes: 24 sums in the 32 registers of AVX-512, 12 or fewer in 16.
const fn widest(lanes: usize) -> usize {
    if lanes == 16 { 8 } else { 4 }
}

/// Tiles of filters: the widest first, then halves.
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

/// Weights in the order in which tiles need them: `[tile][tap][filter of the tile]`.
fn pack(isa: Isa, filters: usize, n_taps: usize, weight: impl Fn(usize, usize) -> f32) -> Vec<f32> {
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
                // SAFETY: `run_block` checked the farthest elements.
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
    #[inline(always)]
    unsafe fn row<S: Simd, const F: usize>(&self, row: usize, first: usize) {
        let Sums { columns, from, to, to_filter, .. } = *self.sums;
        // SAFETY: `run_block` checked the farthest elements.
        unsafe {
            let mut x = self.from.add(row * from.row);
            let mut y = self.to.add(first * to_filter + row * to.row);
            let mut left = columns;
            while left >= 3 {
                self.tile::<S, F, 3>(first, x, y);
                (x, y, left) = (x.add(3 * from.column), y.add(3 * to.column), left - 3);
            }
            match left {
                2 => self.tile::<S, F, 2>(first, x, y),
                1 => self.tile::<S, F, 1>(first, x, y),
                _ => {}
            }
        }
    }

    /// `F` filters at `P` pixels.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const P: usize>(&self, first: usize, x: *const f32, y: *mut f32) {
        let sums = self.sums;
        // SAFETY: `run_block` checked the farthest elements.
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

#[inline(always)]
unsafe fn rectified<S: Simd>(value: S::V, slope: f32) -> S::V {
    // SAFETY: plain arithmetic.
    unsafe { if slope == 1.0 { value } else { S::if_positive(value, value, S::mul(value, S::splat(slope))) } }
}

/// Filters whose weights' gradients are summed at once, by the number of lanes: with 6 taps 24 sums in the 32 registers
/// of AVX-512, with 3 taps 9 in 16.
const fn product_filters(lanes: usize) -> usize {
    if lanes == 16 { 4 } else { 3 }
}

/// The weights' gradients of a few filters: products of the output's gradient and the input, summed over all pixels.
struct Products<'a> {
    window: &'a Window,
    input: &'a [f32],
    output_gradient: &'a [f32],
    taps: &'a [usize],
    first: usize,
    filters: usize,
    to: Shared<'a>,
}

impl Kernel for Products<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `weights_gradient` checked the lengths of both slices against the window.
        unsafe {
            match self.filters {
                4 if S::LANES == 16 => self.filters::<S, 4>(),
                3 => self.filters::<S, 3>(),
                2 => self.filters::<S, 2>(),
                _ => self.filters::<S, 1>(),
            }
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    unsafe fn filters<S: Simd, const F: usize>(&self) {
        let n = self.taps.len();
        let mut tap = 0;
        // SAFETY: as in `run`.
        unsafe {
            while S::LANES == 16 && n - tap >= 6 {
                self.tile::<S, F, 6>(tap);
                tap += 6;
            }
            while n - tap >= 3 {
                self.tile::<S, F, 3>(tap);
                tap += 3;
            }
            while n - tap >= 1 {
                self.tile::<S, F, 1>(tap);
                tap += 1;
            }
        }
    }

    /// `F` filters and `T` taps.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const T: usize>(&self, first_tap: usize) {
        let window = self.window;
        let (from, to) = (window.padded_grid(), window.output_grid());
        let [rows, columns] = window.output;
        let row_step = window.stride * window.padded()[1] * S::LANES;
        let taps: [usize; T] = std::array::from_fn(|t| self.taps[first_tap + t]);
        // SAFETY: as in `run`.
        unsafe {
            let mut sum = [[S::zero(); T]; F];
            for block in 0..to.n_blocks() {
                let x = self.input.as_ptr().add(block * from.block_stride);
                let dy = self.output_gradient.as_ptr();
                let mut dy = dy.add(block * to.block_stride + self.first * to.channel_stride);
                for row in 0..rows {
                    let mut x = x.add(row * row_step);
                    for _ in 0..columns {
                        let g: [S::V; F] = std::array::from_fn(|f| S::load(dy.add(f * to.channel_stride)));
                        for t in 0..T {
                            let x = S::load(x.add(taps[t]));
                            for f in 0..F {
                                sum[f][t] = S::mul_add(g[f], x, sum[f][t]);
                            }
                        }
                        (x, dy) = (x.add(window.stride * S::LANES), dy.add(S::LANES));
                    }
                }
            }
            for f in 0..F {
                let to = self.to.at((self.first + f) * self.taps.len() + first_tap, T);
                for t in 0..T {
                    *to.add(t) = S::sum(sum[f][t]);
                }
            }
        }
    }
}
