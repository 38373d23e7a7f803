//! Sums over the taps of a window, for a few filters at a patch of pixels in registers: the forward pass of a
//! convolution, and its input's gradient.

use cubecl::prelude::*;

use super::{LANES, Vec4};
use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, Columns, Factor, Patches};

/// Largest patch of one invocation, in rows and columns of pixels: with 8 filters, its sums fill the registers of a
/// card. A software adapter has no such registers; twice as many pixels would be a fifth faster there, but take twice
/// as long to compile.
const PIXELS: [usize; 2] = [2, 4];

/// With fewer filters, tiles are no faster: on an H200, they gain a tenth to a half with 64 filters, and lose a tenth
/// with 32.
const MIN_FILTERS: usize = 64;

/// How the weights are arranged: strides between the filters of the result and between the channels of the source.
pub struct Order {
    /// Distance from one filter of the result to the next, in numbers.
    pub filter: usize,
    /// Distance from one channel of the source to the next, in numbers.
    pub channel: usize,
    /// Whether the window is flipped: its last tap comes first.
    pub flipped: bool,
}

/// Sums over the taps of a window, for each filter at each pixel of a result.
pub struct Sums {
    /// Number of images.
    pub n: usize,
    /// Number of channels of the source.
    pub channels: usize,
    /// Number of filters of the result.
    pub filters: usize,
    /// Rows and columns of the source, with padding.
    pub from: [usize; 2],
    /// Rows and columns of the result.
    pub to: [usize; 2],
    /// Rows of the window, and columns.
    pub kernel: usize,
    /// Rows, and columns, of the source from one window to the next.
    pub stride: usize,
}

impl Sums {
    /// The result, `[filters, rows, columns, n]`, from the source `input`, `[channels, rows, columns, n]`. `bias`,
    /// `[filters]`, is added, and negative sums are multiplied by `slope`.
    pub fn run(
        &self,
        gpu: &Gpu,
        input: &Array,
        weights: &Array,
        order: Order,
        bias: Option<&Array>,
        slope: f32,
    ) -> Array {
        let vectors = self.filters.div_ceil(LANES);
        let tile = if vectors.is_multiple_of(2) { 2 } else { 1 };
        let packed = self.pack(gpu, weights, &order, vectors * LANES);
        if tiles::fit(gpu, self.n) && self.filters >= MIN_FILTERS {
            let patches = Patches { n: self.n, from: self.from, to: self.to, kernel: self.kernel, stride: self.stride };
            let depth = self.channels * self.kernel * self.kernel;
            let product = Columns { rows: self.filters, depth, patches };
            return product.run(gpu, [&packed, input], Factor::Columns(vectors * LANES), bias, slope);
        }
        let output = gpu.empty(self.filters * self.to[0] * self.to[1] * self.n);
        let [down, across] = [0, 1].map(|axis| PIXELS[axis].min(self.to[axis]));
        let groups = vectors / tile;
        launch!(
            sums,
            gpu,
            self.n * self.to[0].div_ceil(down) * self.to[1].div_ceil(across) * groups,
            input.arg(),
            packed.vectors(LANES),
            bias.unwrap_or(&packed).arg(),
            output.arg(),
            self.n,
            self.channels,
            self.filters,
            self.from[0],
            self.from[1],
            self.to[0],
            self.to[1],
            groups,
            slope,
            self.kernel,
            self.stride,
            down,
            across,
            tile,
            self.filters.is_multiple_of(tile * LANES),
            bias.is_some()
        );
        output
    }

    /// The weights as `[channels, kernel · kernel, padded]`: the filters of a tap next to each other, with zeros up to
    /// `padded` filters.
    fn pack(&self, gpu: &Gpu, weights: &Array, order: &Order, padded: usize) -> Array {
        let area = self.kernel * self.kernel;
        let packed = gpu.empty(self.channels * area * padded);
        launch!(
            pack,
            gpu,
            packed.len(),
            weights.arg(),
            packed.arg(),
            self.filters,
            self.channels,
            order.filter,
            order.channel,
            area,
            padded,
            order.flipped
        );
        packed
    }
}

/// Arranges weights as [`Sums::pack`] describes. An invocation copies one weight.
#[cube(launch_unchecked)]
fn pack(
    weights: &[f32],
    packed: &mut [f32],
    filters: usize,
    channels: usize,
    filter_stride: usize,
    channel_stride: usize,
    area: usize,
    padded: usize,
    #[comptime] flipped: bool,
) {
    let filter = ABSOLUTE_POS % padded;
    let tap = ABSOLUTE_POS / padded;
    if tap < channels * area {
        let mut tap_in_window = tap % area;
        if comptime![flipped] {
            tap_in_window = area - 1 - tap_in_window;
        }
        let mut value = f32::new(0.0);
        if filter < filters {
            value = weights[filter * filter_stride + tap / area * channel_stride + tap_in_window];
        }
        packed[ABSOLUTE_POS] = value;
    }
}

/// An invocation computes `4 · tile` filters at a patch of `down` by `across` pixels of one image.
///
/// - `input`: `[channels, height, width, n]`
/// - `weights`: as [`Sums::pack`] arranges them
/// - `output`: `[filters, rows, columns, n]`
/// - `whole`: whether every group has all its `4 · tile` filters
#[cube(launch_unchecked)]
fn sums(
    input: &[f32],
    weights: &[Vec4],
    bias: &[f32],
    output: &mut [f32],
    n: usize,
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    groups: usize,
    slope: f32,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] down: usize,
    #[comptime] across: usize,
    #[comptime] tile: usize,
    #[comptime] whole: bool,
    #[comptime] with_bias: bool,
) {
    let image = ABSOLUTE_POS % n;
    let patch_index = ABSOLUTE_POS / n;
    let parts = (columns + across - 1) / across;
    let column = patch_index % parts * across;
    let bands = (rows + down - 1) / down;
    let row = patch_index / parts % bands * down;
    let group = patch_index / parts / bands;
    if group >= groups {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![tile * down * across] {
        totals.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    let wide = comptime![(across - 1) * stride + kernel];
    for channel in 0..channels {
        let mut patch = Sequence::<f32>::new();
        #[unroll]
        for i in 0..comptime![(down - 1) * stride + kernel] {
            let start = (channel * height + min(row * stride + i, height - 1)) * width;
            #[unroll]
            for j in 0..wide {
                patch.push(input[(start + min(column * stride + j, width - 1)) * n + image]);
            }
        }
        #[unroll]
        for tap in 0..comptime![kernel * kernel] {
            let first = ((channel * (kernel * kernel) + tap) * groups + group) * tile;
            #[unroll]
            for vector in 0..tile {
                let weight = weights[first + vector];
                #[unroll]
                for i in 0..down {
                    #[unroll]
                    for j in 0..across {
                        let total = &totals[comptime![(vector * down + i) * across + j]];
                        let at = comptime![(i * stride + tap / kernel) * wide + j * stride + tap % kernel];
                        total.store(total.read() + weight * Vec4::new(patch[at]));
                    }
                }
            }
        }
    }
    #[unroll]
    for i in 0..down {
        #[unroll]
        for j in 0..across {
            if row + i < rows && column + j < columns {
                let pixel = ((row + i) * columns + column + j) * n + image;
                #[unroll]
                for vector in 0..tile {
                    let sums = totals[comptime![(vector * down + i) * across + j]].read();
                    #[unroll]
                    for lane in 0..4usize {
                        let filter = (group * tile + vector) * 4 + lane;
                        let to = filter * rows * columns * n + pixel;
                        if comptime![whole] {
                            output[to] = activated(sums.extract(lane), bias, filter, slope, with_bias);
                        } else {
                            if filter < filters {
                                output[to] = activated(sums.extract(lane), bias, filter, slope, with_bias);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A sum with its bias added, and multiplied by `slope` if it is negative.
#[cube]
fn activated(sum: f32, bias: &[f32], filter: usize, slope: f32, #[comptime] with_bias: bool) -> f32 {
    let mut value = sum;
    if comptime![with_bias] {
        value = sum + bias[filter];
    }
    select(value > 0.0, value, value * slope)
}
