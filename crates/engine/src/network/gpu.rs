//! The way through the layers by our own kernels, on a graphics card: forward and back by hand, without automatic
//! differentiation. Nothing is read back.

mod card;
mod single;
mod tape;

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_core::models::{Conv, Layer, Shape};
use inkling_core::spec::{IMAGE_PIXELS, N_CLASSES};
use inkling_shaders::{self as shaders, Array, Dense, Gpu, Norm, Window};
use tape::Kept;

use super::plan::{self, Cursor, Op};
use super::{BATCH_NORM_EPSILON, BATCH_NORM_KEPT, Dropouts, Pass};

pub use card::{Card, arrays};
pub use single::run_single;
pub use tape::Tape;

/// The layers of a network, ready to run on a card.
pub struct Machine {
    ops: Vec<Op>,
}

/// A pass through the layers as far as it has come.
struct Flow<'a> {
    card: &'a Card,
    /// Images.
    n: usize,
    /// What goes into the next layer.
    shape: Shape,
    x: Array,
    parameters: &'a [Array],
    cursor: Cursor,
}

impl Machine {
    pub fn new(layers: &[Layer]) -> Self {
        Self { ops: plan::ops(layers) }
    }

    /// Logits `[batch, 10]` in evaluation mode.
    pub fn evaluate(&self, parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
        let (card, n, x) = enter(images);
        let (parameters, statistics) = (card::arrays(parameters), card::arrays(statistics));
        let mut flow = Flow::new(&card, n, x, &parameters);
        for op in &self.ops {
            flow.x = match *op {
                Op::Norm { rectified } => {
                    let norm = flow.norm(rectified);
                    let settled = [0, 1].map(|i| &statistics[flow.cursor.statistic + i]);
                    norm.apply(&card.gpu, &flow.x, flow.pair(), settled)
                }
                Op::Dropout(_) => flow.x.clone(),
                _ => flow.forward(op).0,
            };
            flow.pass(op);
        }
        flow.logits()
    }

    /// A pass in training mode. The words of the dropouts' key are uploaded where they are not on the card yet.
    pub fn train(
        machine: &Rc<Self>,
        parameters: &[Tensor<1>],
        images: Tensor<4>,
        dropouts: &mut Dropouts,
        mut key: Option<Array>,
    ) -> Pass {
        let (card, n, x) = enter(images);
        let parameters = card::arrays(parameters);
        let mut flow = Flow::new(&card, n, x, &parameters);
        let (mut values, mut kept, mut statistics) = (vec![], vec![], vec![]);
        for op in &machine.ops {
            let dropout = if let Op::Dropout(rate) = *op { dropouts.next(rate) } else { None };
            let dropped = dropout.map(|dropout| {
                let key = key.get_or_insert_with(|| card.gpu.upload_words(&dropouts.key.words(dropouts.first_image)));
                Dropped { dropout, key: key.clone() }
            });
            let (output, keep) = flow.forward_train(op, dropped);
            if let Kept::Statistics(of_batch) = &keep {
                statistics.extend(of_batch.iter().map(|array| card.tensor(array.clone())));
            }
            values.push(std::mem::replace(&mut flow.x, output));
            kept.push(keep);
            flow.pass(op);
        }
        values.push(flow.x.clone());
        let (logits, shape) = (flow.logits(), flow.shape);
        debug_assert_eq!(shape.size(), N_CLASSES);
        let machine = machine.clone();
        let tape = Tape { machine, card, parameters, n, values, kept };
        Pass { logits, statistics, tape: super::Tape::Gpu(Box::new(tape)) }
    }
}

impl<'a> Flow<'a> {
    fn new(card: &'a Card, n: usize, x: Array, parameters: &'a [Array]) -> Self {
        let cursor = Cursor { parameter: 0, statistic: 0 };
        Self { card, n, shape: Shape::IMAGE, x, parameters, cursor }
    }

    fn gpu(&self) -> &Gpu {
        &self.card.gpu
    }

    /// The op's own array with this number.
    fn array(&self, number: usize) -> &'a Array {
        &self.parameters[self.cursor.parameter + number]
    }

    fn pair(&self) -> [&'a Array; 2] {
        [self.array(0), self.array(1)]
    }

    fn norm(&self, rectified: inkling_kernels::Rectified) -> Norm {
        norm(self.n, self.shape, rectified)
    }

    /// Does an op in training mode.
    fn forward_train(&self, op: &Op, dropped: Option<Dropped>) -> (Array, Kept) {
        let gpu = self.gpu();
        match (*op, dropped) {
            (Op::Norm { rectified }, _) => {
                let norm = self.norm(rectified);
                let [mean, variance] = norm.moments(gpu, &self.x);
                let y = norm.apply(gpu, &self.x, self.pair(), [&mean, &variance]);
                (y, Kept::Statistics([mean, variance]))
            }
            (Op::Dropout(_), Some(dropped)) => (dropped.apply(gpu, &self.x, self.n), Kept::Dropped(dropped)),
            (Op::Dropout(_), None) => (self.x.clone(), Kept::Nothing),
            _ => self.forward(op),
        }
    }

    /// Does an op that is the same in both modes.
    fn forward(&self, op: &Op) -> (Array, Kept) {
        let (gpu, x) = (self.gpu(), &self.x);
        let y = match *op {
            Op::Standardize { mean, deviation } => shaders::mix(gpu, [x, x], [1.0 / deviation, 0.0, -mean / deviation]),
            Op::Conv { conv, input, rectifier } => {
                let (window, bias) = (window(self.n, conv, input), conv.bias.then(|| self.array(1)));
                let padded = window.pad(gpu, x);
                let y = window.forward(gpu, &padded, self.array(0), bias, rectifier.slope);
                return (y, Kept::Padded(padded));
            }
            Op::Dense { inputs, units, rectifier } => {
                let [weights, bias] = self.pair();
                Dense { n: self.n, inputs, units }.forward(gpu, x, weights, bias, rectifier.slope)
            }
            Op::Pool { input } => shaders::pool(gpu, x, input.channels, input.height, self.n),
            // Rows and columns lie one after another already.
            Op::Flatten => x.clone(),
            Op::Norm { .. } | Op::Dropout(_) => unreachable!("what differs between the modes is done by them"),
        };
        (y, Kept::Nothing)
    }

    fn pass(&mut self, op: &Op) {
        self.shape = op.output(self.shape);
        self.cursor.pass(op);
    }

    /// What came out, as `[batch, 10]`.
    fn logits(&self) -> Tensor<2> {
        let rows = shaders::transpose(self.gpu(), &self.x, self.n, 1.0, 0.0);
        self.card.tensor(rows).reshape([self.n, N_CLASSES])
    }
}

/// Images `[n, 1, 28, 28]` as they lie on the way: `[pixels, n]`.
fn enter(images: Tensor<4>) -> (Card, usize, Array) {
    let n = images.dims()[0];
    let (card, array) = Card::of(images);
    let x = shaders::transpose(&card.gpu, &array, IMAGE_PIXELS, 1.0, 0.0);
    (card, n, x)
}

/// Moves mean and variance of a normalisation towards those of one more batch, in place.
pub fn move_statistics(running: &[Tensor<1>], of_batch: &[Tensor<1>]) {
    let (card, _) = Card::of(running[0].clone());
    let (running, of_batch) = (card::arrays(running), card::arrays(of_batch));
    let [running, of_batch] = [&running, &of_batch].map(|pair| [&pair[0], &pair[1]]);
    shaders::move_towards(&card.gpu, running, of_batch, BATCH_NORM_KEPT as f32);
}

/// What a layer drops in a step whose key is on the card.
pub struct Dropped {
    dropout: inkling_kernels::Dropout,
    /// [`super::DropoutKey::words`].
    key: Array,
}

impl Dropped {
    /// A layer with its units dropped; on the way back, its gradient.
    fn apply(&self, gpu: &Gpu, x: &Array, n: usize) -> Array {
        let inkling_kernels::Dropout { layer, limit, scale, .. } = self.dropout;
        shaders::dropout(gpu, x, n, &self.key, layer, limit, scale)
    }
}

fn norm(n: usize, shape: Shape, rectified: inkling_kernels::Rectified) -> Norm {
    Norm {
        n,
        channels: shape.channels,
        pixels: shape.height * shape.width,
        epsilon: BATCH_NORM_EPSILON as f32,
        slope_before: rectified.slope_before(),
        slope_after: rectified.slope_after(),
    }
}

fn window(n: usize, conv: Conv, input: Shape) -> Window {
    let ((top, bottom), (left, right)) = (conv.pads(input.height), conv.pads(input.width));
    Window {
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
