//! The way back: from the gradient of the logits to those of all arrays.

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_kernels::{self as kernels, Dropout, Grid, Norm};

use super::{Arrays, Machine, dense, window};
use crate::network::plan::{Cursor, LINEAR, Op, Rectifier};
use crate::network::{BATCH_NORM_EPSILON, flex};

/// What a forward pass leaves for the way back.
pub struct Tape {
    pub machine: Rc<Machine>,
    pub parameters: Vec<Tensor<1>>,
    pub n: usize,
    /// The input of each op; `None` when the op changed it in place.
    pub values: Vec<Option<Vec<f32>>>,
    /// How the input of each op lies.
    pub grids: Vec<Grid>,
    /// What else each op keeps.
    pub kept: Vec<Kept>,
    pub output: Grid,
}

/// What an op keeps for the way back besides its input.
pub enum Kept {
    Nothing,
    /// The input of a convolution with its zeros around it.
    Padded(Vec<f32>),
    /// Mean and variance of a normalisation.
    Statistics([Vec<f32>; 2]),
    /// What a dropout layer dropped.
    Dropout(Dropout),
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
            if let Kept::Padded(buffer) = kept {
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
    pub fn back(&self, at: usize, op: &Op, mut g: Vec<f32>, cursor: Cursor) -> (Vec<Vec<f32>>, Option<Vec<f32>>) {
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
                let grid = self.grids[at];
                let norm = Norm { grid, epsilon: BATCH_NORM_EPSILON as f32, rectified };
                let (mut of_gamma, mut of_beta) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
                let gamma = arrays.flex(0);
                let into = [&mut of_gamma[..], &mut of_beta[..]];
                norm.backward([x, self.output(at)], gamma.storage(), [mean, variance], &mut g, into);
                (vec![of_gamma, of_beta], Some(g))
            }
            Op::Pool { input } => {
                let grid = self.grids[at];
                let mut before = machine.take(grid.len());
                kernels::pool_backward(&grid, input.height, self.input(at), &g, &mut before);
                machine.give(g);
                (vec![], Some(before))
            }
            Op::Dropout(_) => {
                if let Kept::Dropout(dropout) = &self.kept[at] {
                    dropout.apply(&self.grids[at], &mut g);
                }
                (vec![], Some(g))
            }
            Op::Flatten => {
                let mut before = machine.take(g.len());
                self.grids[at].unflatten(&g, &mut before);
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
}

fn sums(grid: &Grid, values: &[f32]) -> Vec<f32> {
    let mut sums = vec![0.0; grid.channels];
    kernels::sum_channels(grid, values, &mut sums);
    sums
}
