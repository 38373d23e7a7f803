//! Convolution over blocks of images, forward and backward. Picks no algorithm: there is one for each direction.
//!
//! All three directions are sums over *taps*. A tap is an offset into the input together with the weight for it. A tile
//! of a few filters and a few pixels (for the weights' gradient, of a few filters and a few taps) stays in registers
//! while the sum runs.
//!
//! - Forward: the taps are (channel, row, column) of the window; each sum is a pixel of a filter's output.
//! - Input's gradient: the same with filters and channels exchanged. With a stride, the rows and columns of the input
//!   fall into stride² *stride phases*, and each phase has its own taps; see [`StridePhase`].
//! - Weights' gradient: each sum runs over the pixels of all images.

mod padding;
mod products;
mod sums;

use crate::isa::Isa;
use crate::layout::BlockedLayout;
use crate::threads::{self, Shared};
use padding::{Frame, StridePhase};
use products::{Products, product_filters};
use sums::{Steps, Sums, pack};

/// A 2D convolution: its sizes and the layout of its batch. The window is square, and so is the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// The instruction set, which determines the number of images in a block.
    pub isa: Isa,
    /// Number of images in the batch.
    pub n: usize,
    /// Number of channels of the input.
    pub channels: usize,
    /// Number of filters: channels of the output.
    pub filters: usize,
    /// Rows and columns of the input, without padding.
    pub input: [usize; 2],
    /// Rows and columns of the output. On each axis, `(output − 1) · stride + kernel` must not exceed
    /// `before + input + after`.
    pub output: [usize; 2],
    /// Rows of the window, and columns.
    pub kernel: usize,
    /// Rows, and columns, from one window to the next.
    pub stride: usize,
    /// Padding: zeros above and to the left.
    pub before: [usize; 2],
    /// Padding: zeros below and to the right.
    pub after: [usize; 2],
}

impl Conv2d {
    /// Layout of the input without padding, `[block][channel][row][column][lane]`.
    pub fn input_layout(&self) -> BlockedLayout {
        BlockedLayout::blocked(self.isa, self.n, self.channels, self.input[0] * self.input[1])
    }

    /// Layout of the output, `[block][filter][row][column][lane]`.
    pub fn output_layout(&self) -> BlockedLayout {
        BlockedLayout::blocked(self.isa, self.n, self.filters, self.output[0] * self.output[1])
    }

    /// Layout of the input with padding, `[block][channel][row][column][lane]`.
    pub fn padded_layout(&self) -> BlockedLayout {
        let [rows, columns] = self.padded();
        BlockedLayout::blocked(self.isa, self.n, self.channels, rows * columns)
    }

    /// Whether the input needs padding.
    pub fn is_padded(&self) -> bool {
        self.before != [0; 2] || self.after != [0; 2]
    }

    /// Rows and columns of the padded input.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    fn weights_per_filter(&self) -> usize {
        self.channels * self.kernel * self.kernel
    }

    /// Copies `input` into `padded` and surrounds it with zeros. `padded` may hold anything before the call.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn pad(&self, input: &[f32], padded: &mut [f32]) {
        assert_eq!((input.len(), padded.len()), (self.input_layout().len(), self.padded_layout().len()));
        let padded = Shared::new(padded);
        let frame = Frame { inner: self.input, before: self.before, outer: self.padded(), lanes: self.isa.lanes() };
        let n_blocks = self.input_layout().n_blocks();
        threads::each(n_blocks, |block| {
            for plane in block * self.channels..(block + 1) * self.channels {
                // SAFETY: the planes of this block are this task's only.
                let outer = unsafe { padded.part(plane * frame.outer_len(), frame.outer_len()) };
                frame.fill(&input[plane * frame.inner_len()..][..frame.inner_len()], outer);
            }
        });
    }

    /// The convolution of `input`, with bias and rectifier.
    ///
    /// # Shapes
    /// - `input`: padded, as [`Conv2d::padded_layout`]
    /// - `weights`: `[filters, channels, kernel, kernel]`
    /// - `bias`: `[filters]`
    /// - `slope`: factor for negative outputs (0 for ReLU, 1 for no rectifier)
    /// - `output`: as [`Conv2d::output_layout`]
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn forward(&self, input: &[f32], weights: &[f32], bias: Option<&[f32]>, slope: f32, output: &mut [f32]) {
        assert_eq!(weights.len(), self.filters * self.weights_per_filter());
        assert_eq!((input.len(), output.len()), (self.padded_layout().len(), self.output_layout().len()));
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
                block: self.padded_layout().block_stride,
            },
            to: Steps {
                row: self.output[1] * self.isa.lanes(),
                column: self.isa.lanes(),
                block: self.output_layout().block_stride,
            },
            to_filter: self.output_layout().channel_stride,
        };
        sums.run(input, 0, self.output_layout().n_blocks(), &Shared::new(output));
    }

    /// The gradient of the input, without its padding, from the gradient of the output.
    ///
    /// # Shapes
    /// - `output_gradient`: as [`Conv2d::output_layout`]
    /// - `weights`: `[filters, channels, kernel, kernel]`
    /// - `gradient`: as [`Conv2d::input_layout`]
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn input_gradient(&self, output_gradient: &[f32], weights: &[f32], gradient: &mut [f32]) {
        assert_eq!((output_gradient.len(), gradient.len()), (self.output_layout().len(), self.input_layout().len()));
        let phases = [0, 1].map(|axis| StridePhase::all(self, axis));
        // One border that is wide enough for all phases, so that the output's gradient is copied once.
        let before = [0, 1].map(|axis| phases[axis].iter().map(|phase| phase.before).max().unwrap_or(0));
        let after = [0, 1].map(|axis| phases[axis].iter().map(|phase| phase.after).max().unwrap_or(0));
        let lanes = self.isa.lanes();
        let outer = [0, 1].map(|axis| before[axis] + self.output[axis] + after[axis]);
        let frame = Frame { inner: self.output, before, outer, lanes };
        let sums: Vec<_> = phases[0]
            .iter()
            .flat_map(|rows| phases[1].iter().map(move |columns| (rows, columns)))
            .map(|(rows, columns)| self.phase_sums(weights, rows, columns, &frame))
            .collect();
        let gradient = Shared::new(gradient);
        let (from, block_len) = (self.output_layout(), self.filters * frame.outer_len());
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

    /// The sums that compute the input's gradient at all pixels of one stride phase of rows and one of columns, and the
    /// offset of the first of these pixels in a channel, in floats.
    fn phase_sums(
        &self,
        weights: &[f32],
        rows: &StridePhase,
        columns: &StridePhase,
        frame: &Frame,
    ) -> (Sums<'_>, usize) {
        let (lanes, area, per_filter) = (self.isa.lanes(), self.kernel * self.kernel, self.weights_per_filter());
        let mut taps = vec![];
        for filter in 0..self.filters {
            for row in rows.taps() {
                for column in columns.taps() {
                    let row_start = (filter * frame.outer[0] + frame.before[0] + rows.shift - row) * frame.outer[1];
                    let tap = ((row_start + frame.before[1] + columns.shift - column) * lanes) as u32;
                    let weight = (rows.first + row * self.stride) * self.kernel + columns.first + column * self.stride;
                    taps.push((tap, filter * per_filter + weight));
                }
            }
        }
        let sums = Sums {
            isa: self.isa,
            taps: taps.iter().map(|(tap, _)| *tap).collect(),
            weights: pack(self.isa, self.channels, taps.len(), |channel, tap| weights[taps[tap].1 + channel * area]),
            bias: None,
            slope: 1.0,
            filters: self.channels,
            rows: rows.n,
            columns: columns.n,
            from: Steps { row: frame.outer[1] * lanes, column: lanes, block: 0 },
            to: Steps {
                row: self.stride * self.input[1] * lanes,
                column: self.stride * lanes,
                block: self.input_layout().block_stride,
            },
            to_filter: self.input_layout().channel_stride,
        };
        (sums, (rows.start * self.input[1] + columns.start) * lanes)
    }

    /// The gradient of the weights from the gradient of the output. Spare lanes of the output's gradient must be 0.
    ///
    /// # Shapes
    /// - `input`: padded, as [`Conv2d::padded_layout`]
    /// - `output_gradient`: as [`Conv2d::output_layout`]
    /// - `gradient`: `[filters, channels, kernel, kernel]`
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn weights_gradient(&self, input: &[f32], output_gradient: &[f32], gradient: &mut [f32]) {
        assert_eq!((input.len(), output_gradient.len()), (self.padded_layout().len(), self.output_layout().len()));
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
