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
mod sizes;
mod sums;

pub use sizes::{Conv2dSizes, SizeError};

use crate::isa::Isa;
use crate::layout::BlockedLayout;
use crate::threads::{self, Shared};
use padding::{Frame, StridePhase};
use products::{Products, product_filters};
use sums::{Steps, Sums, pack};

/// A 2D convolution of a batch: its sizes, which are checked once, and the layouts that follow from them. All kernels
/// rely on the check: no window reaches beyond the padded input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    isa: Isa,
    sizes: Conv2dSizes,
    input: BlockedLayout,
    padded: BlockedLayout,
    output: BlockedLayout,
}

impl Conv2d {
    /// A convolution of `n` images.
    ///
    /// # Errors
    /// When the sizes contradict each other; see [`SizeError`].
    pub fn new(isa: Isa, n: usize, sizes: Conv2dSizes) -> Result<Self, SizeError> {
        sizes.check()?;
        let layout = |channels, [rows, columns]: [usize; 2]| {
            let pixels = rows.checked_mul(columns)?;
            BlockedLayout::checked(isa, n, channels, pixels)
        };
        let layouts = || {
            let conv = Self {
                isa,
                sizes,
                input: layout(sizes.channels, sizes.input)?,
                padded: layout(sizes.channels, sizes.padded())?,
                output: layout(sizes.filters, sizes.output)?,
            };
            // Offsets of taps are 32-bit numbers.
            let bordered = layout(sizes.filters, conv.gradient_frame().outer)?;
            let fits = |layout: &BlockedLayout| u32::try_from(layout.block_stride).is_ok();
            (fits(&conv.padded) && fits(&bordered)).then_some(conv)
        };
        layouts().ok_or(SizeError::TooLarge(sizes))
    }

    /// The sizes that the convolution was made with.
    pub fn sizes(&self) -> &Conv2dSizes {
        &self.sizes
    }

    /// Layout of the input without padding, `[block][channel][row][column][lane]`.
    pub fn input_layout(&self) -> BlockedLayout {
        self.input
    }

    /// Layout of the output, `[block][filter][row][column][lane]`.
    pub fn output_layout(&self) -> BlockedLayout {
        self.output
    }

    /// Layout of the input with padding, `[block][channel][row][column][lane]`.
    pub fn padded_layout(&self) -> BlockedLayout {
        self.padded
    }

    /// Whether the input needs padding.
    pub fn is_padded(&self) -> bool {
        self.sizes.before != [0; 2] || self.sizes.after != [0; 2]
    }

    /// Copies `input` into `padded` and surrounds it with zeros. `padded` may hold anything before the call.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn pad(&self, input: &[f32], padded: &mut [f32]) {
        assert_eq!((input.len(), padded.len()), (self.input.len(), self.padded.len()));
        let padded = Shared::new(padded);
        let frame = Frame {
            inner: self.sizes.input,
            before: self.sizes.before,
            outer: self.sizes.padded(),
            lanes: self.isa.lanes(),
        };
        let n_blocks = self.input.n_blocks();
        threads::each(n_blocks, |block| {
            for plane in block * self.sizes.channels..(block + 1) * self.sizes.channels {
                // SAFETY: only this task writes the planes of this block; `part` checks the bounds.
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
        self.check_weights(weights);
        assert!(bias.is_none_or(|bias| bias.len() == self.sizes.filters));
        assert_eq!((input.len(), output.len()), (self.padded.len(), self.output.len()));
        let [padded_rows, padded_columns] = self.sizes.padded();
        let area = self.sizes.area();
        let tap = |tap: usize| {
            let (channel, row, column) = (tap / area, tap % area / self.sizes.kernel, tap % self.sizes.kernel);
            (((channel * padded_rows + row) * padded_columns + column) * self.isa.lanes()) as u32
        };
        let per_filter = self.sizes.weights_per_filter();
        let sums = Sums {
            isa: self.isa,
            taps: (0..per_filter).map(tap).collect(),
            weights: pack(self.isa, self.sizes.filters, per_filter, |filter, tap| weights[filter * per_filter + tap]),
            bias,
            slope,
            filters: self.sizes.filters,
            rows: self.sizes.output[0],
            columns: self.sizes.output[1],
            from: Steps {
                row: self.sizes.stride * padded_columns * self.isa.lanes(),
                column: self.sizes.stride * self.isa.lanes(),
                block: self.padded.block_stride,
            },
            to: Steps {
                row: self.sizes.output[1] * self.isa.lanes(),
                column: self.isa.lanes(),
                block: self.output.block_stride,
            },
            to_filter: self.output.channel_stride,
        };
        // SAFETY: the steps are those of the output's layout, in which no pixels overlap, and `output` is borrowed.
        unsafe { sums.run(input, 0, self.output.n_blocks(), &Shared::new(output)) };
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
        self.check_weights(weights);
        assert_eq!((output_gradient.len(), gradient.len()), (self.output.len(), self.input.len()));
        let (frame, phases) = (self.gradient_frame(), self.phases());
        let sums: Vec<_> = phases[0]
            .iter()
            .flat_map(|rows| phases[1].iter().map(move |columns| (rows, columns)))
            .map(|(rows, columns)| self.phase_sums(weights, rows, columns, &frame))
            .collect();
        let gradient = Shared::new(gradient);
        let (from, block_len) = (self.output, self.sizes.filters * frame.outer_len());
        threads::each(from.n_blocks(), |block| {
            let mut bordered = vec![0.0; block_len];
            let inner = &output_gradient[block * from.block_stride..][..from.block_stride];
            let planes = inner.chunks_exact(frame.inner_len()).zip(bordered.chunks_exact_mut(frame.outer_len()));
            planes.for_each(|(inner, outer)| frame.fill(inner, outer));
            for (sums, start) in &sums {
                // SAFETY: only this task writes this block, and the pixels of a phase lie a stride apart within it.
                unsafe { sums.run_block(&bordered, 0, &gradient, start + block * sums.to.block, 0..sums.rows) };
            }
        });
    }

    /// The stride phases of the input's rows and of its columns.
    fn phases(&self) -> [Vec<StridePhase>; 2] {
        [0, 1].map(|axis| StridePhase::all(&self.sizes, axis))
    }

    /// A border around the output's gradient that is wide enough for all phases, so that it is copied once.
    fn gradient_frame(&self) -> Frame {
        let phases = self.phases();
        let before = [0, 1].map(|axis| phases[axis].iter().map(|phase| phase.before).max().unwrap_or(0));
        let after = [0, 1].map(|axis| phases[axis].iter().map(|phase| phase.after).max().unwrap_or(0));
        let inner = self.sizes.output;
        let outer = [0, 1].map(|axis| before[axis] + inner[axis] + after[axis]);
        Frame { inner, before, outer, lanes: self.isa.lanes() }
    }

    /// Asserts the length of the weights, or of their gradient.
    fn check_weights(&self, weights: &[f32]) {
        assert_eq!(weights.len(), self.sizes.filters * self.sizes.weights_per_filter());
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
        let (lanes, area, per_filter) = (self.isa.lanes(), self.sizes.area(), self.sizes.weights_per_filter());
        let mut taps = vec![];
        for filter in 0..self.sizes.filters {
            for row in rows.taps() {
                for column in columns.taps() {
                    let row_start = (filter * frame.outer[0] + frame.before[0] + rows.shift - row) * frame.outer[1];
                    let tap = ((row_start + frame.before[1] + columns.shift - column) * lanes) as u32;
                    let weight = (rows.first + row * self.sizes.stride) * self.sizes.kernel
                        + columns.first
                        + column * self.sizes.stride;
                    taps.push((tap, filter * per_filter + weight));
                }
            }
        }
        let sums = Sums {
            isa: self.isa,
            taps: taps.iter().map(|(tap, _)| *tap).collect(),
            weights: pack(self.isa, self.sizes.channels, taps.len(), |channel, tap| {
                weights[taps[tap].1 + channel * area]
            }),
            bias: None,
            slope: 1.0,
            filters: self.sizes.channels,
            rows: rows.n,
            columns: columns.n,
            from: Steps { row: frame.outer[1] * lanes, column: lanes, block: 0 },
            to: Steps {
                row: self.sizes.stride * self.sizes.input[1] * lanes,
                column: self.sizes.stride * lanes,
                block: self.input.block_stride,
            },
            to_filter: self.input.channel_stride,
        };
        (sums, (rows.start * self.sizes.input[1] + columns.start) * lanes)
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
        assert_eq!((input.len(), output_gradient.len()), (self.padded.len(), self.output.len()));
        self.check_weights(gradient);
        let [padded_rows, padded_columns] = self.sizes.padded();
        let (lanes, area) = (self.isa.lanes(), self.sizes.area());
        let tap = |tap: usize| {
            let (channel, row, column) = (tap / area, tap % area / self.sizes.kernel, tap % self.sizes.kernel);
            ((channel * padded_rows + row) * padded_columns + column) * lanes
        };
        let taps: Vec<usize> = (0..self.sizes.weights_per_filter()).map(tap).collect();
        let gradient = Shared::new(gradient);
        let group = product_filters(lanes);
        threads::each(self.sizes.filters.div_ceil(group), |task| {
            let first = task * group;
            let filters = group.min(self.sizes.filters - first);
            let products = Products { window: self, input, output_gradient, taps: &taps, first, filters, to: gradient };
            // SAFETY: the lengths are checked, and tasks take filters that do not overlap.
            unsafe { self.isa.run(products) };
        });
    }
}
