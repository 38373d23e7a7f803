//! Dense layers: the product `[units, inputs] × [inputs, n]`, and the gradients of both factors. Stores nothing between
//! calls.
//!
//! An invocation keeps the sums of a few units (or inputs) for a few images in registers. Its images are a fixed
//! distance apart, so that neighbouring invocations read neighbouring numbers.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, Columns, Factor, Products};

/// Numbers in a vector of weights.
const LANES: usize = 4;
/// Units, or inputs, that one invocation handles.
const TILE: usize = 8;
/// Images that one invocation handles, if there are as many.
const IMAGES: usize = 8;
/// Inputs that one invocation adds up at least before the sum is divided among several.
const SLICE: usize = 512;

/// A vector of four floats.
type Vec4 = Vector<f32, Const<4>>;

/// A dense layer and its batch: the sizes. The number of inputs must be a multiple of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Number of images in the batch.
    pub n: usize,
    /// Number of inputs, a multiple of 4.
    pub inputs: usize,
    /// Number of outputs.
    pub units: usize,
}

impl Dense {
    /// `weights · x + bias`, rectified.
    ///
    /// # Shapes
    /// - `x`: `[inputs, n]`; the output is `[units, n]`
    /// - `weights`: `[units, inputs]`
    /// - `bias`: `[units]`
    /// - `slope`: factor for negative outputs (0 for ReLU, 1 for no rectifier)
    pub fn forward(&self, gpu: &Gpu, x: &Array, weights: &Array, bias: &Array, slope: f32) -> Array {
        if self.is_tiled(gpu) {
            let product = Columns::plain(self.units, self.inputs, self.n);
            return product.run(gpu, [weights, x], Factor::Rows, Some(bias), slope);
        }
        let slices = self.inputs.div_ceil(SLICE);
        let per_slice = (self.inputs / LANES).div_ceil(slices);
        let (images, across) = self.images();
        let partial = gpu.empty(slices * self.units * self.n);
        let n_invocations = across * self.units.div_ceil(TILE) * slices;
        launch!(
            forward,
            gpu,
            n_invocations,
            x.arg(),
            weights.vectors(LANES),
            partial.arg(),
            self.n,
            self.inputs / LANES,
            self.units,
            across,
            slices,
            per_slice,
            TILE,
            images
        );
        let y = gpu.empty(self.units * self.n);
        launch!(finish, gpu, y.len(), partial.arg(), bias.arg(), y.arg(), y.len(), self.n, slices, slope);
        y
    }

    /// The gradient of the input, `[inputs, n]`, from `gradient`, that of the output, `[units, n]`.
    pub fn input_gradient(&self, gpu: &Gpu, gradient: &Array, weights: &Array) -> Array {
        if self.is_tiled(gpu) {
            let product = Columns::plain(self.inputs, self.units, self.n);
            return product.run(gpu, [weights, gradient], Factor::Columns(self.inputs), None, 1.0);
        }
        let x_gradient = gpu.empty(self.inputs * self.n);
        let (images, across) = self.images();
        let tile = self.tile();
        let n_invocations = across * (self.inputs / LANES / tile);
        launch!(
            input_gradient,
            gpu,
            n_invocations,
            gradient.arg(),
            weights.vectors(LANES),
            x_gradient.arg(),
            self.n,
            self.inputs / LANES,
            self.units,
            across,
            tile,
            images
        );
        x_gradient
    }

    /// The gradient of the weights, `[units, inputs]`, from the input `x`, `[inputs, n]`, and `gradient`, that of the
    /// output, `[units, n]`.
    pub fn weights_gradient(&self, gpu: &Gpu, x: &Array, gradient: &Array) -> Array {
        if self.is_tiled(gpu) {
            return Products::plain(self.units, self.inputs, self.n).run(gpu, [gradient, x]);
        }
        let w_gradient = gpu.empty(self.units * self.inputs);
        let tile = self.tile();
        let n_invocations = self.units.div_ceil(TILE) * (self.inputs / LANES / tile);
        launch!(
            weights_gradient,
            gpu,
            n_invocations,
            x.arg(),
            gradient.arg(),
            w_gradient.vectors(LANES),
            self.n,
            self.inputs / LANES,
            self.units,
            TILE,
            tile
        );
        w_gradient
    }

    /// Whether products are computed in tiles. With the few units of a last layer, tiles would be almost empty.
    fn is_tiled(&self, gpu: &Gpu) -> bool {
        tiles::fit(gpu, self.n) && self.units >= 32 && self.units.is_multiple_of(LANES)
    }

    /// Vectors of inputs that one invocation of a gradient handles.
    fn tile(&self) -> usize {
        if self.inputs.is_multiple_of(TILE) { TILE / LANES } else { 1 }
    }

    /// Number of images that one invocation handles, and number of invocations among which all images are divided.
    fn images(&self) -> (usize, usize) {
        let images = IMAGES.min(self.n);
        (images, self.n.div_ceil(images))
    }
}

/// Partial sums of the output, `[slices, units, n]`. An invocation computes `tile` units of `images` images, `across`
/// apart, over one slice of the inputs. `vectors` is inputs / 4.
#[cube(launch_unchecked)]
fn forward(
    x: &[f32],
    weights: &[Vec4],
    partial: &mut [f32],
    n: usize,
    vectors: usize,
    units: usize,
    across: usize,
    slices: usize,
    per_slice: usize,
    #[comptime] tile: usize,
    #[comptime] images: usize,
) {
    let image = ABSOLUTE_POS % across;
    let slice = ABSOLUTE_POS / across % slices;
    let unit = ABSOLUTE_POS / across / slices * tile;
    if unit >= units {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<f32>>::new();
    #[unroll]
    for _i in 0..comptime![tile * images] {
        totals.push(RuntimeCell::<f32>::new(0.0));
    }
    for vector in slice * per_slice..min((slice + 1) * per_slice, vectors) {
        let mut values = Sequence::<Vec4>::new();
        #[unroll]
        for i in 0..images {
            let from = min(image + i * across, n - 1);
            let mut vec4 = Vec4::new(0.0);
            #[unroll]
            for lane in 0..4usize {
                vec4.insert(lane, x[(vector * 4 + lane) * n + from]);
            }
            values.push(vec4);
        }
        #[unroll]
        for u in 0..tile {
            let weight = weights[min(unit + u, units - 1) * vectors + vector];
            #[unroll]
            for i in 0..images {
                let total = &totals[comptime![u * images + i]];
                total.store(total.read() + weight.dot(values[i]));
            }
        }
    }
    #[unroll]
    for u in 0..tile {
        #[unroll]
        for i in 0..images {
            let to = image + i * across;
            if unit + u < units && to < n {
                partial[(slice * units + unit + u) * n + to] = totals[comptime![u * images + i]].read();
            }
        }
    }
}

/// Adds up the slices of [`forward`], adds the bias, and multiplies negative results by `slope`. An invocation computes
/// one output.
#[cube(launch_unchecked)]
fn finish(partial: &[f32], bias: &[f32], y: &mut [f32], len: usize, n: usize, slices: usize, slope: f32) {
    let at = ABSOLUTE_POS;
    if at < len {
        let mut sum = bias[at / n];
        for slice in 0..slices {
            sum += partial[slice * len + at];
        }
        y[at] = select(sum > 0.0, sum, sum * slope);
    }
}

/// An invocation computes the gradients of `4 · tile` inputs of `images` images, `across` apart. `vectors` is inputs /
/// 4.
#[cube(launch_unchecked)]
fn input_gradient(
    gradient: &[f32],
    weights: &[Vec4],
    x_gradient: &mut [f32],
    n: usize,
    vectors: usize,
    units: usize,
    across: usize,
    #[comptime] tile: usize,
    #[comptime] images: usize,
) {
    let image = ABSOLUTE_POS % across;
    let vector = ABSOLUTE_POS / across * tile;
    if vector >= vectors {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![tile * images] {
        totals.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    for unit in 0..units {
        let mut gradients = Sequence::<f32>::new();
        #[unroll]
        for i in 0..images {
            gradients.push(gradient[unit * n + min(image + i * across, n - 1)]);
        }
        #[unroll]
        for v in 0..tile {
            let weight = weights[unit * vectors + vector + v];
            #[unroll]
            for i in 0..images {
                let total = &totals[comptime![v * images + i]];
                total.store(total.read() + weight * Vec4::new(gradients[i]));
            }
        }
    }
    #[unroll]
    for i in 0..images {
        let to = image + i * across;
        if to < n {
            #[unroll]
            for v in 0..tile {
                #[unroll]
                for lane in 0..4usize {
                    let value = totals[comptime![v * images + i]].read().extract(lane);
                    x_gradient[((vector + v) * 4 + lane) * n + to] = value;
                }
            }
        }
    }
}

/// An invocation computes the gradients of the weights between `4 · tile` inputs and `unit_tile` units. `vectors` is
/// inputs / 4.
#[cube(launch_unchecked)]
fn weights_gradient(
    x: &[f32],
    gradient: &[f32],
    w_gradient: &mut [Vec4],
    n: usize,
    vectors: usize,
    units: usize,
    #[comptime] unit_tile: usize,
    #[comptime] tile: usize,
) {
    let across = vectors / tile;
    let vector = ABSOLUTE_POS % across * tile;
    let unit = ABSOLUTE_POS / across * unit_tile;
    if unit >= units {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![unit_tile * tile] {
        totals.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    for image in 0..n {
        let mut values = Sequence::<Vec4>::new();
        #[unroll]
        for v in 0..tile {
            let mut vec4 = Vec4::new(0.0);
            #[unroll]
            for lane in 0..4usize {
                vec4.insert(lane, x[((vector + v) * 4 + lane) * n + image]);
            }
            values.push(vec4);
        }
        #[unroll]
        for u in 0..unit_tile {
            let gradient_value = gradient[min(unit + u, units - 1) * n + image];
            #[unroll]
            for v in 0..tile {
                let total = &totals[comptime![u * tile + v]];
                total.store(total.read() + values[v] * Vec4::new(gradient_value));
            }
        }
    }
    #[unroll]
    for u in 0..unit_tile {
        if unit + u < units {
            #[unroll]
            for v in 0..tile {
                w_gradient[(unit + u) * vectors + vector + v] = totals[comptime![u * tile + v]].read();
            }
        }
    }
}
