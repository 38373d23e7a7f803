//! The way through the layers by our own kernels, on the CPU: forward and back by hand, without automatic
//! differentiation, over buffers that are used again.

mod single;
mod tape;

use std::cell::RefCell;
use std::rc::Rc;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::models::{Conv, Layer, Shape};
use inkling_core::spec::{IMAGE_PIXELS, N_CLASSES};
use inkling_kernels::{self as kernels, Dense, Dropout, Grid, Isa, Norm, Rectified, Window};
use tape::Kept;

use super::plan::{self, Cursor, Op};
use super::{BATCH_NORM_EPSILON, Dropouts, Pass, flex};

pub use single::run_single;
pub use tape::Tape;

/// The layers of a network, ready to run on the CPU.
pub struct Machine {
    isa: Isa,
    ops: Vec<Op>,
    /// Buffers that are free.
    free: RefCell<Vec<Vec<f32>>>,
}

/// What an op came to.
struct Done {
    /// The arrangement of the output.
    grid: Grid,
    output: Vec<f32>,
    /// The input, unless it was changed in place.
    input: Option<Vec<f32>>,
    kept: Kept,
}

impl Done {
    fn new(grid: Grid, output: Vec<f32>, input: Vec<f32>) -> Self {
        Self { grid, output, input: Some(input), kept: Kept::Nothing }
    }
}

impl Machine {
    pub fn new(layers: &[Layer]) -> Self {
        Self::of(plan::ops(layers))
    }

    fn of(ops: Vec<Op>) -> Self {
        Self { isa: Isa::best(), ops, free: RefCell::default() }
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
                let done = self.forward(op, grid, x, &arrays);
                if let Kept::Padded(padded) = done.kept {
                    self.give(padded);
                }
                (grid, x) = (done.grid, done.output);
                done.input.into_iter().for_each(|input| self.give(input));
            }
            cursor.pass(op);
        }
        self.leave(&grid, x)
    }

    /// A pass in training mode.
    pub fn train(machine: &Rc<Self>, parameters: &[Tensor<1>], images: Tensor<4>, dropouts: &mut Dropouts) -> Pass {
        let (mut grid, mut x) = machine.enter(images);
        let (mut values, mut grids, mut kept, mut statistics) = (vec![], vec![], vec![], vec![]);
        let mut cursor = Cursor { parameter: 0, statistic: 0 };
        for op in &machine.ops {
            grids.push(grid);
            let dropout = if let Op::Dropout(rate) = *op { dropouts.next(rate) } else { None };
            let done = machine.forward_train(op, grid, x, &Arrays { parameters, cursor }, dropout);
            if let Kept::Statistics(of_batch) = &done.kept {
                statistics.extend(of_batch.iter().cloned().map(flex::flat));
            }
            (grid, x) = (done.grid, done.output);
            values.push(done.input);
            kept.push(done.kept);
            cursor.pass(op);
        }
        let (n, logits) = (grid.n, machine.read_logits(&grid, &x));
        values.push(Some(x));
        let machine = machine.clone();
        let tape = Tape { machine, parameters: parameters.to_vec(), n, values, grids, kept, output: grid };
        Pass { logits, statistics, tape: super::Tape::Cpu(Box::new(tape)) }
    }

    /// Does an op in training mode.
    fn forward_train(&self, op: &Op, grid: Grid, mut x: Vec<f32>, arrays: &Arrays, dropout: Option<Dropout>) -> Done {
        match *op {
            Op::Norm { rectified } => {
                let mut y = self.take(x.len());
                let kept = Kept::Statistics(normalise(grid, rectified, &x, arrays, &mut y));
                Done { grid, output: y, input: Some(x), kept }
            }
            Op::Dropout(_) => {
                let kept = dropout.map_or(Kept::Nothing, Kept::Dropout);
                dropout.into_iter().for_each(|dropout| dropout.apply(&grid, &mut x));
                Done { grid, output: x, input: None, kept }
            }
            _ => self.forward(op, grid, x, arrays),
        }
    }

    /// Does an op that is the same in both modes.
    fn forward(&self, op: &Op, grid: Grid, mut x: Vec<f32>, arrays: &Arrays) -> Done {
        match *op {
            Op::Standardize { mean, deviation } => {
                x.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
                Done { grid, output: x, input: None, kept: Kept::Nothing }
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
                let kept = padded.map_or(Kept::Nothing, Kept::Padded);
                Done { grid: window.output_grid(), output: y, input: Some(x), kept }
            }
            Op::Dense { inputs, units, rectifier } => {
                let dense = dense(self.isa, grid.n, inputs, units);
                let mut y = self.take(dense.output.len());
                let (weights, bias) = (arrays.flex(0), arrays.flex(1));
                dense.forward(&x, weights.storage(), &mut y);
                kernels::add_bias(&dense.output, &mut y, bias.storage(), rectifier.slope);
                Done::new(dense.output, y, x)
            }
            Op::Pool { input } => {
                let half = input.height / 2;
                let output = Grid::blocked(self.isa, grid.n, input.channels, half * half);
                let mut y = self.take(output.len());
                kernels::pool(&grid, input.height, &x, &mut y);
                Done::new(output, y, x)
            }
            Op::Flatten => {
                let mut y = self.take(x.len());
                let flat = grid.flatten(&x, &mut y);
                Done::new(flat, y, x)
            }
            Op::Norm { .. } | Op::Dropout(_) => unreachable!("what differs between the modes is done by them"),
        }
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
        Tensor::from_data(TensorData::new(rows, [grid.n, N_CLASSES]), &Device::flex())
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

/// The arrays of the network, seen from one op.
struct Arrays<'a> {
    parameters: &'a [Tensor<1>],
    cursor: Cursor,
}

impl Arrays<'_> {
    /// The op's own array with this number.
    fn flex(&self, number: usize) -> FlexTensor {
        flex::of(self.parameters[self.cursor.parameter + number].clone())
    }

    fn size(&self, number: usize) -> usize {
        self.parameters[self.cursor.parameter + number].dims()[0]
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

/// Mean and variance of the batch; the normalised values go to `y`.
fn normalise(grid: Grid, rectified: Rectified, x: &[f32], arrays: &Arrays, y: &mut [f32]) -> [Vec<f32>; 2] {
    let (mut mean, mut variance) = (vec![0.0; grid.channels], vec![0.0; grid.channels]);
    let norm = Norm { grid, epsilon: BATCH_NORM_EPSILON as f32, rectified };
    let (gamma, beta) = (arrays.flex(0), arrays.flex(1));
    norm.forward(x, [gamma.storage(), beta.storage()], y, [&mut mean, &mut variance]);
    [mean, variance]
}
