//! Convolution: forward, the input's gradient and the weights' gradient.
//!
//! Forward and the input's gradient are one kernel, [`sums::sums`]: an invocation keeps the sums of a few filters at a
//! patch of pixels of one image in registers, while it walks over the channels. The weights' gradient is
//! [`products::window_products`]: an invocation keeps whole windows of a few filters, and walks over pixels and images. Both
//! read a source that has its zeros around it (and, for the gradient of strided windows, between its pixels), so nothing
//! is asked in their loops.

mod frame;
mod products;
mod sums;

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, Patches, Products, reduce};
use frame::Frame;
use products::{fold_products, window_products};
use sums::{Order, Sums};

/// Numbers in one vector of weights.
const LANES: usize = 4;
/// Most neighbouring pixels of one invocation of a weights' gradient.
const WINDOW_PIXELS: usize = 4;
/// Invocations that share the images of a weights' gradient: enough to read side by side, few enough to add up fast.
const SHARES: usize = 32;
/// Invocations that a weights' gradient is split into at least, where there are rows enough.
const INVOCATIONS: usize = 8_192;

/// A tile is all but empty with fewer columns.
const FEWEST_TAPS: usize = 16;

type Four = Vector<f32, Const<4>>;

/// A convolution's sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
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
    fn area(&self) -> usize {
        self.kernel * self.kernel
    }

    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    /// The input with its zeros around it; the input itself where there are none.
    pub fn pad(&self, gpu: &Gpu, input: &Array) -> Array {
        if self.padded() == self.input {
            return input.clone();
        }
        let frame = Frame {
            planes: self.channels,
            n: self.n,
            inner: self.input,
            outer: self.padded(),
            before: self.before,
            gap: 1,
        };
        frame.fill(gpu, input)
    }

    /// Every filter at every place; `input` is padded.
    ///
    /// # Shapes
    /// - `input`: `[channels, rows, columns, n]`; the output is alike
    /// - `weights`: `[filters, channels, kernel, kernel]`
    /// - `bias`: `[filters]`
    /// - `slope`: what becomes of negative sums: this part of them (0 for ReLU, 1 to leave them)
    pub fn forward(&self, gpu: &Gpu, input: &Array, weights: &Array, bias: Option<&Array>, slope: f32) -> Array {
        let order = Order { filter: self.channels * self.area(), channel: self.area(), flipped: false };
        let sums = Sums {
            n: self.n,
            channels: self.channels,
            filters: self.filters,
            from: self.padded(),
            to: self.output,
            kernel: self.kernel,
            stride: self.stride,
        };
        sums.run(gpu, input, weights, order, bias, slope)
    }

    /// The gradient of the input (without its padding) from the gradient of the output.
    pub fn input_gradient(&self, gpu: &Gpu, gradient: &Array, weights: &Array) -> Array {
        let outer = self.input.map(|side| side + self.kernel - 1);
        let before = self.before.map(|before| self.kernel - 1 - before);
        let frame = Frame { planes: self.filters, n: self.n, inner: self.output, outer, before, gap: self.stride };
        let order = Order { filter: self.area(), channel: self.channels * self.area(), flipped: true };
        let sums = Sums {
            n: self.n,
            channels: self.filters,
            filters: self.channels,
            from: outer,
            to: self.input,
            kernel: self.kernel,
            stride: 1,
        };
        sums.run(gpu, &frame.fill(gpu, gradient), weights, order, None, 1.0)
    }

    /// The gradient of the weights; `input` is padded.
    pub fn weights_gradient(&self, gpu: &Gpu, input: &Array, gradient: &Array) -> Array {
        let taps = self.channels * self.area();
        if tiles::fit(gpu, self.n) && taps >= FEWEST_TAPS && (self.filters * taps).is_multiple_of(LANES) {
            let patches =
                Patches { n: self.n, from: self.padded(), to: self.output, kernel: self.kernel, stride: self.stride };
            let products = Products { rows: self.filters, columns: taps, patches };
            return products.run(gpu, [gradient, input]);
        }
        let vectors = self.filters.div_ceil(LANES);
        // Larger windows fill the registers with a single vector of filters.
        let tile = if self.kernel <= 3 && vectors.is_multiple_of(2) { 2 } else { 1 };
        let groups = vectors / tile;
        let shares = self.n.min(SHARES);
        let slices = INVOCATIONS.div_ceil(shares * groups * self.channels).clamp(1, self.output[0]);
        let partial = gpu.empty(shares * slices * taps * vectors * LANES);
        let [_, width] = self.padded();
        let height = input.len() / (self.channels * width * self.n);
        launch!(
            window_products,
            gpu,
            shares * slices * groups * self.channels,
            input.arg(),
            gradient.arg(),
            partial.vectors(LANES),
            self.n,
            self.channels,
            self.filters,
            height,
            width,
            self.output[0],
            self.output[1],
            shares,
            slices,
            self.kernel,
            self.stride,
            even_parts(self.output[1], WINDOW_PIXELS),
            tile
        );
        if reduce::fits_parts(gpu, shares * slices) {
            return reduce::filters(gpu, &partial, shares * slices, [self.filters, taps]);
        }
        let weights = gpu.empty(self.filters * taps);
        launch!(
            fold_products,
            gpu,
            weights.len(),
            partial.arg(),
            weights.arg(),
            self.filters,
            taps,
            vectors * LANES,
            shares * slices
        );
        weights
    }
}

/// The size of parts of a whole that are as even as can be, and not larger than `most`.
fn even_parts(whole: usize, most: usize) -> usize {
    whole.div_ceil(whole.div_ceil(most))
}

/// So many neighbouring pixels of a row that starts at `start`; beyond its end, the last one again.
#[cube]
fn line(
    input: &[f32],
    start: usize,
    column: usize,
    width: usize,
    n: usize,
    image: usize,
    #[comptime] len: usize,
) -> Sequence<f32> {
    let mut line = Sequence::<f32>::new();
    #[unroll]
    for i in 0..len {
        line.push(input[(start + min(column + i, width - 1)) * n + image]);
    }
    line
}
