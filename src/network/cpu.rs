//! The way through the layers by our own kernels, on the CPU: forward and back by hand, without automatic
//! differentiation, over buffers that are used again.

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::{Tensor, TensorData};
use inkling_kernels::{self as kernels, Dense, Grid, Isa, Norm, Rectified, Window};

use super::{BATCH_NORM_EPSILON, Masks, Pass, flex, moved};
use crate::spec::{IMAGE_PIXELS, N_CLASSES};
use crate::zoo::{self, Conv, Layer, Shape};

/// A rectifier that leaves everything as it is.
const LINEAR: f32 = 1.0;

/// A layer as it is computed: rectifiers join the layer before them.
#[derive(Clone, Copy, Debug)]
enum Op {
    Standardize { mean: f32, deviation: f32 },
    Conv { conv: Conv, input: Shape, rectifier: Rectifier },
    Dense { inputs: usize, units: usize, rectifier: Rectifier },
    Norm { rectified: Rectified },
    Pool { input: Shape },
    Dropout(f64),
    Flatten,
}

/// The rectifier behind a layer.
#[derive(Clone, Copy, Debug)]
struct Rectifier {
    slope: f32,
    /// Its way back is done by the normalisation that follows.
    back_in_norm: bool,
}

/// The layers of a network, ready to run on the CPU.
pub struct Machine {
    isa: Isa,
    ops: Vec<Op>,
    /// Buffers that are free.
    free: RefCell<Vec<Vec<f32>>>,
}

/// Which arrays an op uses: the number of the first one, counted over the network.
#[derive(Clone, Copy)]
struct Cursor {
    parameter: usize,
    statistic: usize,
}

/// What a forward pass leaves for the way back.
pub struct Tape {
    machine: Rc<Machine>,
    parameters: Vec<Tensor<1>>,
    n: usize,
    /// The input of each op; `None` when the op changed it in place.
    values: Vec<Option<Vec<f32>>>,
    /// What else each op keeps.
    kept: Vec<Kept>,
    output: Grid,
}

/// What an op keeps for the way back besides its input.
enum Kept {
    Nothing,
    /// The input of a convolution with its zeros around it.
    Padded(Vec<f32>),
    /// Mean and variance of a normalisation.
    Statistics([Vec<f32>; 2]),
    /// What dropout multiplied with.
    Mask(Vec<f32>),
}

impl Machine {
    pub fn new(layers: &[Layer]) -> Self {
        Self { isa: Isa::best(), ops: ops(layers), free: RefCell::default() }
    }

    /// Logits `[batch, 10]` in evaluation mode.
    pub fn evaluate(&self, parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
        let (mut grid, mut x) = self.enter(images);
        let mut cursor = Cursor { parameter: 0, statistic: 0 };
        for op in &self.ops {
            let arrays = Arrays { parameters, cursor };
            if let Op::Norm { rectified } = *op {
                let norm = Norm { grid, epsilon: BATCH_NORM_EPSILON as f32, rectified };
                let [mean, variance] = [0, 1].map(|i| flex::of(statistics[cursor.statistic + i].clone()));
                let (gamma, beta) = (arrays.flex(0), arrays.flex(1));
                let settled = [mean.storage::<f32>(), variance.storage()];
                norm.evaluate(&mut x, [gamma.storage(), beta.storage()], settled);
            } else if !matches!(op, Op::Dropout(_)) {
                let (output, y, kept) = self.forward(op, grid, x, &arrays);
                if let Kept::Padded(padded) = kept {
                    self.give(padded);
                }
                (grid, x) = (output, y.0);
                y.1.into_iter().for_each(|input| self.give(input));
            }
            cursor.pass(op);
        }
        self.leave(&grid, x)
    }

    /// A pass in training mode.
    pub fn train(
        machine: &Rc<Self>,
        parameters: &[Tensor<1>],
        statistics: &[Tensor<1>],
        images: Tensor<4>,
        masks: &mut Masks,
    ) -> Pass {
        let (mut grid, mut x) = machine.enter(images);
        let (mut values, mut kept, mut new_statistics) = (vec![], vec![], vec![]);
        let mut cursor = Cursor { parameter: 0, statistic: 0 };
        for op in &machine.ops {
            let arrays = Arrays { parameters, cursor };
            let (input, keep);
            match *op {
                Op::Norm { rectified } => {
                    let mut y = machine.take(x.len());
                    let of_batch = normalise(grid, rectified, &x, &arrays, &mut y);
                    for (i, of_batch) in of_batch.iter().enumerate() {
                        let running = &statistics[cursor.statistic + i];
                        new_statistics.push(moved(running, flex::flat(of_batch.clone())));
                    }
                    (input, keep) = (Some(x), Kept::Statistics(of_batch));
                    x = y;
                }
                Op::Dropout(rate) => {
                    keep = machine.drop_units(&grid, &mut x, rate, masks);
                    input = None;
                }
                _ => {
                    let (output, y, padded) = machine.forward(op, grid, x, &arrays);
                    (grid, x, input, keep) = (output, y.0, y.1, padded);
                }
            }
            values.push(input);
            kept.push(keep);
            cursor.pass(op);
        }
        let (n, logits) = (grid.n, machine.read_logits(&grid, &x));
        values.push(Some(x));
        let machine = machine.clone();
        let tape = Tape { machine, parameters: parameters.to_vec(), n, values, kept, output: grid };
        Pass { logits, statistics: new_statistics, tape: super::Tape::Cpu(tape) }
    }

    /// The output of an op that is the same in both modes; with it the input, unless it was changed in place.
    fn forward(
        &self,
        op: &Op,
        grid: Grid,
        mut x: Vec<f32>,
        arrays: &Arrays,
    ) -> (Grid, (Vec<f32>, Option<Vec<f32>>), Kept) {
        match *op {
            Op::Standardize { mean, deviation } => {
                x.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
                (grid, (x, None), Kept::Nothing)
            }
            Op::Conv { conv, input, rectifier } => {
                let window = window(self.isa, grid.n, conv, input);
                let padded = window.is_padded().then(|| {
                    let mut padded = self.take(window.padded_grid().len());
                    window.pad(&x, &mut padded);
                    padded
                });
                let mut y = self.take(window.output_grid().len());
                let (weights, bias) = (arrays.flex(0), conv.bias.then(|| arrays.flex(1)));
                let bias = bias.as_ref().map(|bias| bias.storage());
                let from = padded.as_deref().unwrap_or(&x);
                window.forward(from, weights.storage(), bias, rectifier.slope, &mut y);
                (window.output_grid(), (y, Some(x)), padded.map_or(Kept::Nothing, Kept::Padded))
            }
            Op::Dense { inputs, units, rectifier } => {
                let dense = dense(self.isa, grid.n, inputs, units);
                let mut y = self.take(dense.output.len());
                let (weights, bias) = (arrays.flex(0), arrays.flex(1));
                dense.forward(&x, weights.storage(), &mut y);
                kernels::add_bias(&dense.output, &mut y, bias.storage(), rectifier.slope);
                (dense.output, (y, Some(x)), Kept::Nothing)
            }
            Op::Pool { input } => {
                let half = input.height / 2;
                let output = Grid::blocked(self.isa, grid.n, input.channels, half * half);
                let mut y = self.take(output.len());
                kernels::pool(&grid, input.height, &x, &mut y);
                (output, (y, Some(x)), Kept::Nothing)
            }
            Op::Flatten => {
                let mut y = self.take(x.len());
                let flat = grid.flatten(&x, &mut y);
                (flat, (y, Some(x)), Kept::Nothing)
            }
            Op::Norm { .. } | Op::Dropout(_) => unreachable!("what differs between the modes is done by them"),
        }
    }

    fn drop_units(&self, grid: &Grid, x: &mut [f32], rate: f64, masks: &mut Masks) -> Kept {
        let Some(drawn) = masks.draw(rate, grid.n * grid.channels * grid.pixels) else { return Kept::Nothing };
        let mut mask = self.take(x.len());
        grid.scatter(&drawn, &mut mask);
        kernels::multiply(self.isa, x, &mask);
        Kept::Mask(mask)
    }

    fn enter(&self, images: Tensor<4>) -> (Grid, Vec<f32>) {
        let grid = Grid::blocked(self.isa, images.dims()[0], 1, IMAGE_PIXELS);
        let mut x = self.take(grid.len());
        grid.scatter(flex::of(images).storage(), &mut x);
        (grid, x)
    }

    fn leave(&self, grid: &Grid, x: Vec<f32>) -> Tensor<2> {
        let logits = self.read_logits(grid, &x);
        self.give(x);
        logits
    }

    fn read_logits(&self, grid: &Grid, x: &[f32]) -> Tensor<2> {
        let mut rows = vec![0.0; grid.n * N_CLASSES];
        grid.gather(x, &mut rows);
        Tensor::from_data(TensorData::new(rows, [grid.n, N_CLASSES]), &burn::tensor::Device::flex())
    }

    /// A buffer of this length that holds anything.
    fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.free.borrow_mut();
        match free.iter().position(|buffer| buffer.len() == len) {
            Some(at) => free.swap_remove(at),
            None => vec![0.0; len],
        }
    }

    fn give(&self, buffer: Vec<f32>) {
        /// More than any network has in flight; batches of other sizes leave theirs behind, and the oldest go.
        const MOST: usize = 64;
        let mut free = self.free.borrow_mut();
        if free.len() == MOST {
            free.remove(0);
        }
        free.push(buffer);
    }
}

impl Tape {
    /// The gradient of every trained array, from that of the logits.
    pub fn backward(mut self, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        let machine = self.machine.clone();
        let mut gradient = machine.take(self.output.len());
        self.output.scatter(flex::of(logits_gradient).storage(), &mut gradient);
        let mut cursor = self.end();
        let mut gradients = vec![];
        for (at, op) in machine.ops.iter().enumerate().rev() {
            cursor.back(op);
            let (arrays_of_op, before) = self.back(at, op, gradient, cursor);
            gradients.extend(arrays_of_op.into_iter().rev());
            if cursor.parameter == 0 {
                before.into_iter().for_each(|buffer| machine.give(buffer));
                break;
            }
            gradient = before.expect("an op with parameters before it gives its input's gradient");
        }
        self.values.drain(..).flatten().for_each(|buffer| machine.give(buffer));
        for kept in self.kept {
            if let Kept::Padded(buffer) | Kept::Mask(buffer) = kept {
                machine.give(buffer);
            }
        }
        gradients.reverse();
        gradients.into_iter().map(flex::flat).collect()
    }

    /// Past all arrays.
    fn end(&self) -> Cursor {
        let mut cursor = Cursor { parameter: 0, statistic: 0 };
        self.machine.ops.iter().for_each(|op| cursor.pass(op));
        cursor
    }

    /// The gradients of an op's arrays and of its input. The first layer's input needs none.
    fn back(&self, at: usize, op: &Op, mut g: Vec<f32>, cursor: Cursor) -> (Vec<Vec<f32>>, Option<Vec<f32>>) {
        let machine = &self.machine;
        let arrays = Arrays { parameters: &self.parameters, cursor };
        match *op {
            Op::Standardize { .. } => (vec![], Some(g)),
            Op::Conv { conv, input, rectifier } => {
                self.rectifier_back(at, rectifier, &mut g);
                let window = window(machine.isa, self.n, conv, input);
                let from = if let Kept::Padded(padded) = &self.kept[at] { padded } else { self.input(at) };
                let mut of_weights = vec![0.0; arrays.size(0)];
                window.weights_gradient(from, &g, &mut of_weights);
                let of_bias = conv.bias.then(|| sums(&window.output_grid(), &g));
                let before = (cursor.parameter > 0).then(|| {
                    let mut before = machine.take(window.input_grid().len());
                    window.input_gradient(&g, arrays.flex(0).storage(), &mut before);
                    before
                });
                machine.give(g);
                (std::iter::once(of_weights).chain(of_bias).collect(), before)
            }
            Op::Dense { inputs, units, rectifier } => {
                self.rectifier_back(at, rectifier, &mut g);
                let dense = dense(machine.isa, self.n, inputs, units);
                let mut of_weights = vec![0.0; arrays.size(0)];
                dense.weights_gradient(self.input(at), &g, &mut of_weights);
                let of_bias = sums(&dense.output, &g);
                let mut before = machine.take(dense.input.len());
                dense.input_gradient(&g, arrays.flex(0).storage(), &mut before);
                machine.give(g);
                (vec![of_weights, of_bias], Some(before))
            }
            Op::Norm { rectified } => {
                let x = self.input(at);
                let Kept::Statistics([mean, variance]) = &self.kept[at] else {
                    unreachable!("a normalisation keeps its statistics")
                };
                let grid = self.grid_of_norm(at, mean.len());
                let norm = Norm { grid, epsilon: BATCH_NORM_EPSILON as f32, rectified };
                let (mut of_gamma, mut of_beta) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
                let gamma = arrays.flex(0);
                let into = [&mut of_gamma[..], &mut of_beta[..]];
                norm.backward([x, self.output(at)], gamma.storage(), [mean, variance], &mut g, into);
                (vec![of_gamma, of_beta], Some(g))
            }
            Op::Pool { input } => {
                let grid = Grid::blocked(machine.isa, self.n, input.channels, input.height * input.width);
                let mut before = machine.take(grid.len());
                kernels::pool_backward(&grid, input.height, self.input(at), &g, &mut before);
                machine.give(g);
                (vec![], Some(before))
            }
            Op::Dropout(_) => {
                if let Kept::Mask(mask) = &self.kept[at] {
                    kernels::multiply(machine.isa, &mut g, mask);
                }
                (vec![], Some(g))
            }
            Op::Flatten => {
                let mut before = machine.take(g.len());
                self.blocked_before(at).unflatten(&g, &mut before);
                machine.give(g);
                (vec![], Some(before))
            }
        }
    }

    /// The input of an op that did not change it.
    fn input(&self, at: usize) -> &[f32] {
        self.values[at].as_deref().expect("an op that does not work in place leaves its input")
    }

    /// The output of an op; what a dropout made of it has the same signs, which is what counts.
    fn output(&self, at: usize) -> &[f32] {
        self.values[at + 1..].iter().find_map(|value| value.as_deref()).expect("the last value is always there")
    }

    fn rectifier_back(&self, at: usize, rectifier: Rectifier, g: &mut [f32]) {
        if rectifier.slope != LINEAR && !rectifier.back_in_norm {
            kernels::rectify_backward(self.machine.isa, self.output(at), g, rectifier.slope);
        }
    }

    /// The arrangement of what goes into the op at `at`.
    fn blocked_before(&self, at: usize) -> Grid {
        let shape = self.machine.ops[..at].iter().rev().find_map(Op::output_shape).unwrap_or(Shape::IMAGE);
        Grid::blocked(self.machine.isa, self.n, shape.channels, shape.height * shape.width)
    }

    fn grid_of_norm(&self, at: usize, channels: usize) -> Grid {
        let flat = self.machine.ops[..at].iter().any(|op| matches!(op, Op::Flatten));
        if flat { Grid::flat(self.machine.isa, self.n, channels) } else { self.blocked_before(at) }
    }
}

/// The arrays of the network, seen from one op.
struct Arrays<'a> {
    parameters: &'a [Tensor<1>],
    cursor: Cursor,
}

impl Arrays<'_> {
    /// The op's own array with this number.
    fn flex(&self, number: usize) -> burn::backend::flex::FlexTensor {
        flex::of(self.parameters[self.cursor.parameter + number].clone())
    }

    fn size(&self, number: usize) -> usize {
        self.parameters[self.cursor.parameter + number].dims()[0]
    }
}

impl Cursor {
    fn pass(&mut self, op: &Op) {
        let (parameters, statistics) = op.n_arrays();
        (self.parameter, self.statistic) = (self.parameter + parameters, self.statistic + statistics);
    }

    fn back(&mut self, op: &Op) {
        let (parameters, statistics) = op.n_arrays();
        (self.parameter, self.statistic) = (self.parameter - parameters, self.statistic - statistics);
    }
}

impl Op {
    /// Trained arrays and running statistics.
    fn n_arrays(&self) -> (usize, usize) {
        match self {
            Self::Conv { conv, .. } => (1 + usize::from(conv.bias), 0),
            Self::Dense { .. } => (2, 0),
            Self::Norm { .. } => (2, 2),
            _ => (0, 0),
        }
    }

    /// What comes out of a layer that decides its shape.
    fn output_shape(&self) -> Option<Shape> {
        match self {
            Self::Conv { conv, input, .. } => Some(Layer::Conv(*conv).output(*input)),
            Self::Pool { input } => Some(Layer::MaxPool.output(*input)),
            _ => None,
        }
    }
}

/// Joins each rectifier with the layer before it.
fn ops(layers: &[Layer]) -> Vec<Op> {
    let with_inputs: Vec<_> = zoo::with_inputs(layers).collect();
    let slope = |at: usize| match layers.get(at) {
        Some(Layer::Relu) => Some(0.0),
        Some(Layer::LeakyRelu(slope)) => Some(*slope as f32),
        _ => None,
    };
    let rectifier = |at: usize| Rectifier {
        slope: slope(at + 1).unwrap_or(LINEAR),
        back_in_norm: slope(at + 1).is_some()
            && layers.get(at + 2) == Some(&Layer::BatchNorm)
            && slope(at + 3).is_none(),
    };
    let op = |(at, (layer, input)): (usize, &(Layer, Shape))| {
        let (input, rectifier) = (*input, rectifier(at));
        Some(match *layer {
            Layer::Standardize { mean, deviation } => {
                Op::Standardize { mean: mean as f32, deviation: deviation as f32 }
            }
            Layer::Conv(conv) => Op::Conv { conv, input, rectifier },
            Layer::Dense(units) => Op::Dense { inputs: input.size(), units, rectifier },
            Layer::BatchNorm => Op::Norm { rectified: rectified(at, &slope) },
            Layer::MaxPool => Op::Pool { input },
            Layer::Dropout(rate) => Op::Dropout(rate),
            Layer::Flatten => Op::Flatten,
            // Part of the layer before.
            Layer::Relu | Layer::LeakyRelu(_) => return None,
        })
    };
    with_inputs.iter().enumerate().filter_map(op).collect()
}

fn rectified(at: usize, slope: &impl Fn(usize) -> Option<f32>) -> Rectified {
    match (at.checked_sub(1).and_then(slope), slope(at + 1)) {
        (_, Some(slope)) => Rectified::After(slope),
        (Some(slope), None) => Rectified::Before(slope),
        (None, None) => Rectified::Neither,
    }
}

fn window(isa: Isa, n: usize, conv: Conv, input: Shape) -> Window {
    let ((top, bottom), (left, right)) = (conv.pads(input.height), conv.pads(input.width));
    Window {
        isa,
        n,
        channels: input.channels,
        filters: conv.filters,
        input: [input.height, input.width],
        output: [conv.output_side(input.height), conv.output_side(input.width)],
        kernel: conv.kernel,
        stride: conv.stride,
        before: [top, left],
        after: [bottom, right],
    }
}

fn dense(isa: Isa, n: usize, inputs: usize, units: usize) -> Dense {
    Dense { input: Grid::flat(isa, n, inputs), output: Grid::flat(isa, n, units) }
}

fn sums(grid: &Grid, values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; grid.channels];
    kernels::sum_channels(grid, values, &mut sums);
    sums
}

/// Mean and variance of the batch; the normalised values go to `y`.
fn normalise(grid: Grid, rectified: Rectified, x: &[f32], arrays: &Arrays, y: &mut [f32]) -> [Vec<f32>; 2] {
    let (mut mean, mut variance) = (vec![0.0; grid.channels], vec![0.0; grid.channels]);
    let norm = Norm { grid, epsilon: BATCH_NORM_EPSILON as f32, rectified };
    let (gamma, beta) = (arrays.flex(0), arrays.flex(1));
    norm.forward(x, [gamma.storage(), beta.storage()], y, [&mut mean, &mut variance]);
    [mean, variance]
}
