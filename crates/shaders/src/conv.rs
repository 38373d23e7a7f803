//! Convolution: forward, the input's gradient and the weights' gradient. Stores nothing between calls.
//!
//! The forward pass and the input's gradient are the same kernel, [`sums::sums`]: an invocation keeps the sums of a few
//! filters at a patch of pixels of one image in registers, while it loops over the channels. The weights' gradient is
//! [`products::window_products`]: an invocation keeps the whole windows of a few filters in registers, while it loops
//! over pixels and images. Both read a source that already has zeros around it (and between its pixels, for the input's
//! gradient with a stride), so their loops need no branches for the border.

mod padding;
mod products;
mod sums;

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, Patches, Products, reduce};
use padding::Frame;
use products::{fold_products, window_products};
use sums::{Order, Sums};

/// Numbers in a vector of weights.
const LANES: usize = 4;
/// Largest number of neighbouring pixels that an invocation of the weights' gradient handles at a time.
const WINDOW_PIXELS: usize = 4;
/// Invocations among which the images of a batch are divided for the weights' gradient: enough to read neighbouring
/// numbers together, few enough that adding up their results is fast.
const IMAGE_GROUPS: usize = 32;
/// The weights' gradient is divided among at least this many invocations, if the output has enough rows.
const MIN_INVOCATIONS: usize = 8_192;

/// With fewer taps (columns of the product), a tile would be almost empty.
const MIN_TAPS: usize = 16;

/// A vector of four floats.
type Vec4 = Vector<f32, Const<4>>;

/// A 2D convolution of a batch: its sizes. The window is square, and so is the stride.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv2d {
    /// Number of images in the batch.
    pub n: usize,
    /// Number of channels of the input.
    pub channels: usize,
    /// Number of filters: channels of the output.
    pub filters: usize,
    /// Rows and columns of the input, without padding.
    pub input: [usize; 2],
    /// Rows and columns of the output.
    pub output: [usize; 2],
    /// Rows of the window, and columns.
    pub kernel: usize,
    /// Rows, and columns, from one window to the next.
    pub stride: usize,
    /// Padding: zeros above and to the left. Each must be below `kernel`.
    pub before: [usize; 2],
    /// Padding: zeros below and to the right.
    pub after: [usize; 2],
}

impl Conv2d {
    /// Taps of a window in one channel.
    fn area(&self) -> usize {
        self.kernel * self.kernel
    }

    /// Rows and columns of the padded input.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.before[axis] + self.input[axis] + self.after[axis])
    }

    /// The input, `[channels, rows, columns, n]`, with its padding. Without padding, the input itself: the result
    /// shares its memory.
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

    /// The convolution of the padded `input`, with bias and rectifier.
    ///
    /// # Shapes
    /// - `input`: `[channels, padded rows, padded columns, n]`
    /// - the output: `[filters, rows, columns, n]`
    /// - `weights`: `[filters, channels, kernel, kernel]`
    /// - `bias`: `[filters]`
    /// - `slope`: factor for negative outputs (0 for ReLU, 1 for no rectifier)
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

    /// The gradient of the input, `[channels, rows, columns, n]` without padding, from `gradient`, that of the output,
    /// `[filters, rows, columns, n]`.
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

    /// The gradient of the weights, `[filters, channels, kernel, kernel]`, from the padded `input`,
    /// `[channels, padded rows, padded columns, n]`, and `gradient`, that of the output, `[filters, rows, columns, n]`.
    pub fn weights_gradient(&self, gpu: &Gpu, input: &Array, gradient: &Array) -> Array {
        let taps = self.channels * self.area();
        if tiles::fit(gpu, self.n) && taps >= MIN_TAPS && (self.filters * taps).is_multiple_of(LANES) {
            let patches =
                Patches { n: self.n, from: self.padded(), to: self.output, kernel: self.kernel, stride: self.stride };
            let products = Products { rows: self.filters, columns: taps, patches };
            return products.run(gpu, [gradient, input]);
        }
        let vectors = self.filters.div_ceil(LANES);
        // With a larger window, one vector of filters fills the registers.
        let tile = if self.kernel <= 3 && vectors.is_multiple_of(2) { 2 } else { 1 };
        let groups = vectors / tile;
        let image_groups = self.n.min(IMAGE_GROUPS);
        let slices = MIN_INVOCATIONS.div_ceil(image_groups * groups * self.channels).clamp(1, self.output[0]);
        let partial = gpu.empty(image_groups * slices * taps * vectors * LANES);
        let [_, width] = self.padded();
        let height = input.len() / (self.channels * width * self.n);
        launch!(
            window_products,
            gpu,
            image_groups * slices * groups * self.channels,
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
            image_groups,
            slices,
            self.kernel,
            self.stride,
            even_parts(self.output[1], WINDOW_PIXELS),
            tile
        );
        if reduce::fits_parts(gpu, image_groups * slices) {
            return reduce::filters(gpu, &partial, image_groups * slices, [self.filters, taps]);
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
            image_groups * slices
        );
        weights
    }
}

/// Size of the parts of `whole`, if it is divided as evenly as possible into parts of at most `most`.
fn even_parts(whole: usize, most: usize) -> usize {
    whole.div_ceil(whole.div_ceil(most))
}

/// `len` neighbouring pixels of one image, from `column` on, in the row of `width` pixels that begins at pixel `start`.
/// Past the end of the row, its last pixel is repeated.
#[cube]
fn row_pixels(
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
