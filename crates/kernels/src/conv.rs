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

mod border;
mod products;
mod sums;

use crate::grid::Grid;
use crate::isa::Isa;
use crate::threads::{self, Shared};
use border::{Frame, Residue};
use products::{Products, product_filters};
use sums::{Steps, Sums, pack};

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
