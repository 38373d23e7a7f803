//! Convolution: forward, the input's gradient and the weights' gradient.
//!
//! Forward and the input's gradient are one kernel, [`sums`]: an invocation keeps the sums of a few filters at a few
//! neighbouring pixels of one image in registers, while it walks over the channels and rows of the window. The weights'
//! gradient is [`products`]: an invocation keeps whole windows of a few filters, and walks over pixels and images. Both
//! read a source that has its zeros around it (and, for the gradient of strided windows, between its pixels), so nothing
//! is asked in their loops.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};

/// Numbers in one vector of weights.
const LANES: usize = 4;
/// Most neighbouring pixels of one invocation: 8 pixels of 8 filters fill the registers of a card well, and on a
/// software adapter, where a read costs ten times a multiplication, they keep reads rare.
const PIXELS: usize = 8;
/// The same for the weights' gradient, which keeps whole windows.
const WINDOW_PIXELS: usize = 4;
/// Invocations that share the images of a weights' gradient: enough to read side by side, few enough to add up fast.
const SHARES: usize = 32;
/// Invocations that a weights' gradient is split into at least, where there are rows enough.
const INVOCATIONS: usize = 8_192;

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
        let vectors = self.filters.div_ceil(LANES);
        // Larger windows fill the registers with a single vector of filters.
        let tile = if self.kernel <= 3 && vectors.is_multiple_of(2) { 2 } else { 1 };
        let groups = vectors / tile;
        let shares = self.n.min(SHARES);
        let slices = INVOCATIONS.div_ceil(shares * groups * self.channels).clamp(1, self.output[0]);
        let taps = self.channels * self.area();
        let partial = gpu.empty(shares * slices * taps * vectors * LANES);
        let [_, width] = self.padded();
        let height = input.len() / (self.channels * width * self.n);
        launch!(
            products,
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

/// Zeros around planes, and between their pixels.
struct Frame {
    planes: usize,
    n: usize,
    inner: [usize; 2],
    outer: [usize; 2],
    before: [usize; 2],
    /// Distance of two neighbouring pixels in the frame.
    gap: usize,
}

impl Frame {
    fn fill(&self, gpu: &Gpu, inner: &Array) -> Array {
        let outer = gpu.empty(self.planes * self.outer[0] * self.outer[1] * self.n);
        launch!(
            frame,
            gpu,
            outer.len(),
            inner.arg(),
            outer.arg(),
            outer.len(),
            self.n,
            self.inner[0],
            self.inner[1],
            self.outer[0],
            self.outer[1],
            self.before[0],
            self.before[1],
            self.gap
        );
        outer
    }
}

#[cube(launch_unchecked)]
fn frame(
    inner: &[f32],
    outer: &mut [f32],
    len: usize,
    n: usize,
    rows: usize,
    columns: usize,
    outer_rows: usize,
    outer_columns: usize,
    top: usize,
    left: usize,
    gap: usize,
) {
    let at = ABSOLUTE_POS;
    if at < len {
        let place = at / n;
        let column = place % outer_columns;
        let row = place / outer_columns % outer_rows;
        let mut value = f32::new(0.0);
        if row >= top && column >= left {
            let down = row - top;
            let right = column - left;
            if down % gap == 0 && right % gap == 0 && down / gap < rows && right / gap < columns {
                let plane = place / outer_columns / outer_rows;
                value = inner[((plane * rows + down / gap) * columns + right / gap) * n + at % n];
            }
        }
        outer[at] = value;
    }
}

/// Where the weight of a result's filter and a source's channel lies.
struct Order {
    /// From one filter to the next.
    filter: usize,
    /// From one channel to the next.
    channel: usize,
    /// The last tap of the window first.
    flipped: bool,
}

/// Sums over the taps of a window.
struct Sums {
    n: usize,
    /// Of the source.
    channels: usize,
    /// Of the result.
    filters: usize,
    from: [usize; 2],
    to: [usize; 2],
    kernel: usize,
    stride: usize,
}

impl Sums {
    fn run(&self, gpu: &Gpu, input: &Array, weights: &Array, order: Order, bias: Option<&Array>, slope: f32) -> Array {
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

#[cube(launch_unchecked)]
fn products(
    input: &[f32],
    gradient: &[f32],
    partial: &mut [Four],
    n: usize,
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    shares: usize,
    slices: usize,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] pixels: usize,
    #[comptime] tile: usize,
) {
    let share = ABSOLUTE_POS % shares;
    let rest = ABSOLUTE_POS / shares;
    let slice = rest % slices;
    let channel = rest / slices % channels;
    let group = rest / slices / channels;
    let vectors = (filters + 3) / 4;
    if group * tile >= vectors {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Four>>::new();
    #[unroll]
    for _i in 0..comptime![kernel * kernel * tile] {
        totals.push(RuntimeCell::<Four>::new(Four::new(0.0)));
    }
    let line_len = comptime![(pixels - 1) * stride + kernel];
    let mut image = share;
    while image < n {
        let mut row = slice;
        while row < rows {
            for chunk in 0..(columns + pixels - 1) / pixels {
                let column = chunk * pixels;
                let mut slopes = Sequence::<Four>::new();
                #[unroll]
                for vector in 0..tile {
                    #[unroll]
                    for pixel in 0..pixels {
                        let mut four = Four::new(0.0);
                        #[unroll]
                        for lane in 0..4usize {
                            let filter = min((group * tile + vector) * 4 + lane, filters - 1);
                            let at = (filter * rows + row) * columns + min(column + pixel, columns - 1);
                            four.insert(lane, select(column + pixel < columns, gradient[at * n + image], 0.0));
                        }
                        slopes.push(four);
                    }
                }
                #[unroll]
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
                    #[unroll]
                    for window_column in 0..kernel {
                        #[unroll]
                        for vector in 0..tile {
                            let total = &totals[comptime![(window_row * kernel + window_column) * tile + vector]];
                            let mut sum = total.read();
                            #[unroll]
                            for pixel in 0..pixels {
                                let value = line[comptime![pixel * stride + window_column]];
                                sum += slopes[comptime![vector * pixels + pixel]] * Four::new(value);
                            }
                            total.store(sum);
                        }
                    }
                }
            }
            row += slices;
        }
        image += shares;
    }
    let start = ((slice * shares + share) * channels + channel) * kernel * kernel;
    #[unroll]
    for tap in 0..comptime![kernel * kernel] {
        #[unroll]
        for vector in 0..tile {
            let total = &totals[comptime![tap * tile + vector]];
            partial[(start + tap) * vectors + group * tile + vector] = total.read();
        }
    }
}

#[cube(launch_unchecked)]
fn fold_products(partial: &[f32], weights: &mut [f32], filters: usize, taps: usize, padded: usize, n_parts: usize) {
    let to = ABSOLUTE_POS;
    if to < filters * taps {
        let from = to % taps * padded + to / taps;
        let mut sum = f32::new(0.0);
        for part in 0..n_parts {
            sum += partial[part * taps * padded + from];
        }
        weights[to] = sum;
    }
}
