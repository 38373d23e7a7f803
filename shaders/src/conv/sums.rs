//! Sums over the taps of a window, a few filters at a few neighbouring pixels in registers: a convolution forward, and its
//! input's gradient.

use cubecl::prelude::*;

use super::{Four, LANES, PIXELS, even_parts, line};
use crate::gpu::{Array, Gpu, launch};

/// Where the weight of a result's filter and a source's channel lies.
pub struct Order {
    /// From one filter to the next.
    pub filter: usize,
    /// From one channel to the next.
    pub channel: usize,
    /// The last tap of the window first.
    pub flipped: bool,
}

/// Sums over the taps of a window.
pub struct Sums {
    pub n: usize,
    /// Of the source.
    pub channels: usize,
    /// Of the result.
    pub filters: usize,
    pub from: [usize; 2],
    pub to: [usize; 2],
    pub kernel: usize,
    pub stride: usize,
}

impl Sums {
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
        let tile = [2, 3].into_iter().find(|tile| vectors.is_multiple_of(*tile)).unwrap_or(1);
        let packed = self.pack(gpu, weights, &order, vectors * LANES);
        let output = gpu.empty(self.filters * self.to[0] * self.to[1] * self.n);
        let pixels = even_parts(self.to[1], PIXELS);
        let groups = vectors / tile;
        launch!(
            sums,
            gpu,
            self.n * self.to[1].div_ceil(pixels) * self.to[0] * groups,
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
            pixels,
            tile,
            bias.is_some()
        );
        output
    }

    /// The weights with all filters of a tap side by side, as many as `padded`.
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
        let mut place = tap % area;
        if comptime![flipped] {
            place = area - 1 - place;
        }
        let mut value = f32::new(0.0);
        if filter < filters {
            value = weights[filter * filter_stride + tap / area * channel_stride + place];
        }
        packed[ABSOLUTE_POS] = value;
    }
}

#[cube(launch_unchecked)]
fn sums(
    input: &[f32],
    weights: &[Four],
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
    #[comptime] pixels: usize,
    #[comptime] tile: usize,
    #[comptime] with_bias: bool,
) {
    let image = ABSOLUTE_POS % n;
    let place = ABSOLUTE_POS / n;
    let across = (columns + pixels - 1) / pixels;
    let column = place % across * pixels;
    let row = place / across % rows;
    let group = place / across / rows;
    if group >= groups {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Four>>::new();
    #[unroll]
    for _i in 0..comptime![tile * pixels] {
        totals.push(RuntimeCell::<Four>::new(Four::new(0.0)));
    }
    let line_len = comptime![(pixels - 1) * stride + kernel];
    for channel in 0..channels {
        for window_row in 0..kernel {
            let line = line(
                input,
                (channel * height + row * stride + window_row) * width,
                column * stride,
                width,
                n,
                image,
                line_len,
            );
            let tap = (channel * kernel + window_row) * kernel;
            #[unroll]
            for window_column in 0..kernel {
                let first = ((tap + window_column) * groups + group) * tile;
                #[unroll]
                for vector in 0..tile {
                    let weight = weights[first + vector];
                    #[unroll]
                    for pixel in 0..pixels {
                        let total = &totals[comptime![vector * pixels + pixel]];
                        let value = line[comptime![pixel * stride + window_column]];
                        total.store(total.read() + weight * Four::new(value));
                    }
                }
            }
        }
    }
    #[unroll]
    for vector in 0..tile {
        #[unroll]
        for lane in 0..4usize {
            let filter = (group * tile + vector) * 4 + lane;
            if filter < filters {
                let mut offset = f32::new(0.0);
                if comptime![with_bias] {
                    offset = bias[filter];
                }
                #[unroll]
                for pixel in 0..pixels {
                    if column + pixel < columns {
                        let sum = totals[comptime![vector * pixels + pixel]].read().extract(lane) + offset;
                        let to = ((filter * rows + row) * columns + column + pixel) * n + image;
                        output[to] = select(sum > 0.0, sum, sum * slope);
                    }
                }
            }
        }
    }
}
