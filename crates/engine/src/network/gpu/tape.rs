//! The way back: from the gradient of the logits to those of all arrays.

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_core::models::Shape;
use inkling_shaders::{self as shaders, Array, Dense};

use super::{Card, Dropped, Machine, norm, window};
use crate::network::plan::{Cursor, LINEAR, Op, Rectifier};

/// What a forward pass leaves for the way back.
pub struct Tape {
    pub machine: Rc<Machine>,
    pub card: Card,
    pub parameters: Vec<Array>,
    pub n: usize,
    /// The input of each op, and at the end the output of the last.
    pub values: Vec<Array>,
    /// What else each op keeps.
    pub kept: Vec<Kept>,
}

/// What an op keeps for the way back besides its input.
pub enum Kept {
    Nothing,
    /// The input of a convolution with its zeros around it.
    Padded(Array),
    /// Mean and variance of a normalisation.
    Statistics([Array; 2]),
    /// What a dropout layer dropped.
    Dropped(Dropped),
}

impl Tape {
    /// The gradient of every trained array, from that of the logits.
    pub fn backward(self, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        let (_, rows) = Card::of(logits_gradient);
        let mut gradient = shaders::transpose(&self.card.gpu, &rows, rows.len() / self.n, 1.0, 0.0);
        let shapes = self.shapes();
        let mut cursor = Cursor { parameter: 0, statistic: 0 };
        self.machine.ops.iter().for_each(|op| cursor.pass(op));
        let mut gradients = vec![];
        for (at, op) in self.machine.ops.iter().enumerate().rev() {
            cursor.back(op);
            let (of_arrays, before) = self.back(at, op, shapes[at], gradient, cursor);
            gradients.extend(of_arrays.into_iter().rev());
            let Some(before) = before else { break };
            gradient = before;
        }
        gradients.reverse();
        gradients.into_iter().map(|gradient| self.card.tensor(gradient)).collect()
    }

    /// What goes into each op.
    fn shapes(&self) -> Vec<Shape> {
        let next = |shape: &mut Shape, op: &Op| Some(std::mem::replace(shape, op.output(*shape)));
        self.machine.ops.iter().scan(Shape::IMAGE, next).collect()
    }

    /// The gradients of an op's arrays and of its input. The first arrays' input needs none.
    pub fn back(&self, at: usize, op: &Op, shape: Shape, g: Array, cursor: Cursor) -> (Vec<Array>, Option<Array>) {
        let (gpu, x, n) = (&self.card.gpu, &self.values[at], self.n);
        let array = |number: usize| &self.parameters[cursor.parameter + number];
        let first = cursor.parameter == 0;
        match *op {
            Op::Standardize { .. } => (vec![], None),
            Op::Conv { conv, input, rectifier } => {
                let (g, window) = (self.rectifier_back(at, rectifier, g), window(n, conv, input));
                let Kept::Padded(padded) = &self.kept[at] else { unreachable!("a convolution keeps its padded input") };
                let of_weights = window.weights_gradient(gpu, padded, &g);
                let pixels = window.output.iter().product();
                let of_bias = conv.bias.then(|| shaders::sum_channels(gpu, &g, pixels, n));
                let before = (!first).then(|| window.input_gradient(gpu, &g, array(0)));
                (std::iter::once(of_weights).chain(of_bias).collect(), before)
            }
            Op::Dense { inputs, units, rectifier } => {
                let (g, dense) = (self.rectifier_back(at, rectifier, g), Dense { n, inputs, units });
                let of_weights = dense.weights_gradient(gpu, x, &g);
                let of_bias = shaders::sum_channels(gpu, &g, 1, n);
                (vec![of_weights, of_bias], (!first).then(|| dense.input_gradient(gpu, &g, array(0))))
            }
            Op::Norm { rectified } => {
                let Kept::Statistics([mean, variance]) = &self.kept[at] else {
                    unreachable!("a normalisation keeps its statistics")
                };
                let around = [x, &self.values[at + 1], &g];
                let norm = norm(n, shape, rectified);
                let [of_gamma, of_beta, before] = norm.backward(gpu, around, array(0), [mean, variance]);
                (vec![of_gamma, of_beta], Some(before))
            }
            Op::Pool { input } => {
                let slope = self.rectifier_before(at).map_or(LINEAR, |rectifier| rectifier.slope);
                (vec![], Some(shaders::pool_backward(gpu, [x, &g], input.channels, input.height, n, slope)))
            }
            Op::Dropout(_) => match &self.kept[at] {
                Kept::Dropped(dropped) => (vec![], Some(dropped.apply(gpu, &g, n))),
                _ => (vec![], Some(g)),
            },
            Op::Flatten => (vec![], Some(g)),
        }
    }

    /// The way back through a rectifier, where what follows has not done it along.
    fn rectifier_back(&self, at: usize, rectifier: Rectifier, g: Array) -> Array {
        let in_pool = matches!(self.machine.ops.get(at + 1), Some(Op::Pool { .. }));
        if rectifier.slope == LINEAR || rectifier.back_in_norm || in_pool {
            return g;
        }
        shaders::rectify_backward(&self.card.gpu, &self.values[at + 1], &g, rectifier.slope)
    }

    /// The rectifier that the input of an op comes from.
    fn rectifier_before(&self, at: usize) -> Option<Rectifier> {
        match self.machine.ops[..at].last() {
            Some(Op::Conv { rectifier, .. } | Op::Dense { rectifier, .. }) => Some(*rectifier),
            _ => None,
        }
    }
}
