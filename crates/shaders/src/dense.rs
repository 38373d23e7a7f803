//! Every output from every input: `[units, inputs] × [inputs, n]`, and its two ways back.
//!
//! An invocation keeps the sums of a few units (or inputs) for a few images, a stride apart, in registers.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::tiles::{self, Columns, Factor, Products};

/// Numbers in one vector of weights.
const LANES: usize = 4;
/// Units, or inputs, of one invocation.
const TILE: usize = 8;
/// Images of one invocation, where there are as many.
const IMAGES: usize = 8;
/// Inputs that one invocation adds up at least, before another shares the work.
const SLICE: usize = 512;

type Four = Vector<f32, Const<4>>;

/// A dense layer's sizes. The number of inputs is a multiple of 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dense {
    /// Images.
    pub n: usize,
    pub inputs: usize,
    pub units: usize,
}

impl Dense {
    /// # Shapes
    /// - `x`: `[inputs, n]`; the output is `[units, n]`
    /// - `weights`: `[units, inputs]`
    /// - `slope`: what becomes of negative outputs
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

    /// The gradient of the input from that of the output, `[units, n]`.
    pub fn input_gradient(&self, gpu: &Gpu, gradient: &Array, weights: &Array) -> Array {
        if self.is_tiled(gpu) {
            let product = Columns::plain(self.inputs, self.units, self.n);
            return product.run(gpu, [weights, gradient], Factor::Columns(self.inputs), None, 1.0);
        }
        let before = gpu.empty(self.inputs * self.n);
        let (images, across) = self.images();
        let tile = self.tile();
        let n_invocations = across * (self.inputs / LANES / tile);
        launch!(
            input_gradient,
            gpu,
            n_invocations,
            gradient.arg(),
            weights.vectors(LANES),
            before.arg(),
            self.n,
            self.inputs / LANES,
            self.units,
            across,
            tile,
            images
        );
        before
    }

    /// The gradient of the weights.
    pub fn weights_gradient(&self, gpu: &Gpu, x: &Array, gradient: &Array) -> Array {
        if self.is_tiled(gpu) {
            return Products::plain(self.units, self.inputs, self.n).run(gpu, [gradient, x]);
        }
        let of_weights = gpu.empty(self.units * self.inputs);
        let tile = self.tile();
        let n_invocations = self.units.div_ceil(TILE) * (self.inputs / LANES / tile);
        launch!(
            weights_gradient,
            gpu,
            n_invocations,
            x.arg(),
            gradient.arg(),
            of_weights.vectors(LANES),
            self.n,
            self.inputs / LANES,
            self.units,
            TILE,
            tile
        );
        of_weights
    }

    /// Whether tiles compute it: those of the few units of a last layer would be all but empty.
    fn is_tiled(&self, gpu: &Gpu) -> bool {
        tiles::fit(gpu, self.n) && self.units >= 32 && self.units.is_multiple_of(LANES)
    }

    /// Vectors of inputs of one invocation.
    fn tile(&self) -> usize {
        if self.inputs.is_multiple_of(TILE) { TILE / LANES } else { 1 }
    }

    /// Images of one invocation, and how many invocations share all images.
    fn images(&self) -> (usize, usize) {
        let images = IMAGES.min(self.n);
        (images, self.n.div_ceil(images))
    }
}

#[cube(launch_unchecked)]
fn forward(
    x: &[f32],
    weights: &[Four],
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
        let mut values = Sequence::<Four>::new();
        #[unroll]
        for i in 0..images {
            let from = min(image + i * across, n - 1);
            let mut four = Four::new(0.0);
            #[unroll]
            for lane in 0..4usize {
                four.insert(lane, x[(vector * 4 + lane) * n + from]);
            }
            values.push(four);
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

#[cube(launch_unchecked)]
fn input_gradient(
    gradient: &[f32],
    weights: &[Four],
    before: &mut [f32],
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
    let mut totals = Sequence::<RuntimeCell<Four>>::new();
    #[unroll]
    for _i in 0..comptime![tile * images] {
        totals.push(RuntimeCell::<Four>::new(Four::new(0.0)));
    }
    for unit in 0..units {
        let mut slopes = Sequence::<f32>::new();
        #[unroll]
        for i in 0..images {
            slopes.push(gradient[unit * n + min(image + i * across, n - 1)]);
        }
        #[unroll]
        for v in 0..tile {
            let weight = weights[unit * vectors + vector + v];
            #[unroll]
            for i in 0..images {
                let total = &totals[comptime![v * images + i]];
                total.store(total.read() + weight * Four::new(slopes[i]));
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
                    before[((vector + v) * 4 + lane) * n + to] = value;
                }
            }
        }
    }
}

#[cube(launch_unchecked)]
fn weights_gradient(
    x: &[f32],
    gradient: &[f32],
    of_weights: &mut [Four],
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
    let mut totals = Sequence::<RuntimeCell<Four>>::new();
    #[unroll]
    for _i in 0..comptime![unit_tile * tile] {
        totals.push(RuntimeCell::<Four>::new(Four::new(0.0)));
    }
    for image in 0..n {
        let mut values = Sequence::<Four>::new();
        #[unroll]
        for v in 0..tile {
            let mut four = Four::new(0.0);
            #[unroll]
            for lane in 0..4usize {
                four.insert(lane, x[((vector + v) * 4 + lane) * n + image]);
            }
            values.push(four);
        }
        #[unroll]
        for u in 0..unit_tile {
            let slope = gradient[min(unit + u, units - 1) * n + image];
            #[unroll]
            for v in 0..tile {
                let total = &totals[comptime![u * tile + v]];
                total.store(total.read() + values[v] * Four::new(slope));
            }
        }
    }
    #[unroll]
    for u in 0..unit_tile {
        if unit + u < units {
            #[unroll]
            for v in 0..tile {
                of_weights[(unit + u) * vectors + vector + v] = totals[comptime![u * tile + v]].read();
            }
        }
    }
}
