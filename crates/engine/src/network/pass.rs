//! The pass over a plan, written once: forward in both modes, and backward. What an op computes is the business of [`Kernels`].

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_core::models::Shape;
use inkling_kernels::{Dropout, FusedRectifier};

use super::Dropouts;
use super::plan::{Cursor, Op};

/// Kernels of one kind of device, op by op.
pub trait Kernels: 'static {
    /// Numbers of a batch between two ops, in the layout that these kernels want.
    type Value;
    /// A trained array, a running statistic, or the gradient of an array.
    type Array;
    /// What an op saves for its backward pass besides its input.
    type Saved;
    /// The source of a pass's dropout masks where the kernels read it.
    type MaskKey: Clone;
    /// What one dropout layer drops in one pass.
    type Mask;

    /// A tensor as the kernels read it.
    fn array(&self, tensor: &Tensor<1>) -> Self::Array;
    /// An array as a flat tensor.
    fn tensor(&self, array: Self::Array) -> Tensor<1>;
    /// Images `[batch, 1, 28, 28]`, 0 to 1, in the kernels' layout.
    fn images(&self, images: Tensor<4>) -> Self::Value;
    /// The last value as logits `[batch, 10]`.
    fn logits(&self, value: &Self::Value) -> Tensor<2>;
    /// The gradient of the logits, `[batch, 10]`, in the layout of the last value.
    fn logits_gradient(&self, gradient: Tensor<2>, last: &Self::Value) -> Self::Value;
    /// Puts the words of a dropout key ([`super::DropoutKey::words`]) where the kernels read them.
    fn mask_key(&self, words: [u32; 3]) -> Self::MaskKey;
    /// The mask of one dropout layer.
    fn mask(&self, dropout: Dropout, key: Self::MaskKey) -> Self::Mask;

    /// One op in training mode; `shape` is that of an image before it, `arrays` are the op's own.
    fn forward(
        &self,
        op: &Op,
        shape: Shape,
        x: Self::Value,
        arrays: &[Self::Array],
        mask: Option<Self::Mask>,
    ) -> Forward<Self>;
    /// A normalisation in evaluation mode: by its running mean and variance.
    fn evaluate_norm(
        &self,
        rectified: FusedRectifier,
        shape: Shape,
        x: Self::Value,
        arrays: &[Self::Array],
        statistics: &[Self::Array],
    ) -> Self::Value;
    /// The gradients of an op's arrays and of its input, from that of its output. The input's may be left out unless
    /// [`Context::needs_input_gradient`].
    fn backward(&self, op: &Op, context: &Context<'_, Self>, gradient: Self::Value) -> Gradients<Self>;
    /// Mean and variance of the batch, of a normalisation.
    fn statistics(&self, saved: &Self::Saved) -> Option<[Self::Array; 2]>;

    /// Takes back the memory of a value that is not needed any more.
    fn recycle(&self, _: Self::Value) {}
    /// Takes back the memory of what an op saved.
    fn recycle_saved(&self, _: Self::Saved) {}
}

/// What an op results in.
pub struct Forward<K: Kernels + ?Sized> {
    /// Its output.
    pub output: K::Value,
    /// Its input; `None` when it was changed in place.
    pub input: Option<K::Value>,
    /// What its backward pass needs besides.
    pub saved: K::Saved,
}

/// What the backward pass of an op may read.
pub struct Context<'a, K: Kernels + ?Sized> {
    /// The op's input; `None` when it was changed in place.
    pub input: Option<&'a K::Value>,
    /// The op's output. A dropout behind it may have scaled it: its signs are the output's own.
    pub output: &'a K::Value,
    /// What the op saved.
    pub saved: &'a K::Saved,
    /// The op's own trained arrays.
    pub arrays: &'a [K::Array],
    /// Shape of an image before the op.
    pub shape: Shape,
    /// Whether an array is trained before this op.
    pub needs_input_gradient: bool,
}

impl<'a, K: Kernels + ?Sized> Context<'a, K> {
    /// The input of an op that does not work in place.
    pub fn input(&self) -> &'a K::Value {
        self.input.expect("an op that does not work in place saves its input")
    }
}

/// The gradients of an op's arrays, in their order, and of its input.
pub type Gradients<K> = (Vec<<K as Kernels>::Array>, Option<<K as Kernels>::Value>);

/// A pass in training mode, ready for its backward pass.
pub struct Pass {
    /// `[batch, 10]`, without gradients.
    pub logits: Tensor<2>,
    /// Mean and variance of this batch in each normalisation, in the order of the network's running statistics.
    pub statistics: Vec<Tensor<1>>,
    tape: Box<dyn Tape>,
}

/// What a forward pass saves for its backward pass.
pub trait Tape {
    /// The gradient of every trained array, in the network's order, from that of the logits, `[batch, 10]`.
    fn backward(self: Box<Self>, logits_gradient: Tensor<2>) -> Vec<Tensor<1>>;
}

impl Pass {
    /// A pass that ends in these logits.
    pub fn new(logits: Tensor<2>, statistics: Vec<Tensor<1>>, tape: impl Tape + 'static) -> Self {
        Self { logits, statistics, tape: Box::new(tape) }
    }

    /// The gradient of every trained array, in the network's order, from that of the logits, `[batch, 10]`.
    pub fn backward(self, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        self.tape.backward(logits_gradient)
    }
}

/// An op as it was run in a forward pass.
struct Record<K: Kernels> {
    input: Option<K::Value>,
    saved: K::Saved,
    /// Of an image before the op.
    shape: Shape,
    /// The op's first array.
    parameter: usize,
}

struct PlanTape<K: Kernels> {
    kernels: Rc<K>,
    ops: Rc<[Op]>,
    parameters: Vec<K::Array>,
    records: Vec<Record<K>>,
    last: K::Value,
}

/// Logits `[batch, 10]` in evaluation mode: running statistics, no dropout.
pub fn evaluate<K: Kernels>(
    kernels: &K,
    ops: &[Op],
    parameters: &[Tensor<1>],
    statistics: &[Tensor<1>],
    images: Tensor<4>,
) -> Tensor<2> {
    let [parameters, statistics] = [parameters, statistics].map(|arrays| all_arrays(kernels, arrays));
    let (mut x, mut shape, mut cursor) = (kernels.images(images), Shape::IMAGE, Cursor::default());
    for op in ops {
        let arrays = &parameters[cursor.parameter..][..op.n_arrays().0];
        x = match *op {
            Op::Dropout(_) => x,
            Op::BatchNorm { rectified } => {
                kernels.evaluate_norm(rectified, shape, x, arrays, &statistics[cursor.statistic..][..2])
            }
            _ => {
                let Forward { output, input, saved } = kernels.forward(op, shape, x, arrays, None);
                input.into_iter().for_each(|input| kernels.recycle(input));
                kernels.recycle_saved(saved);
                output
            }
        };
        shape = op.output(shape);
        cursor.pass(op);
    }
    let logits = kernels.logits(&x);
    kernels.recycle(x);
    logits
}

/// A pass in training mode. The key of its dropout masks is uploaded unless it is given.
pub fn train<K: Kernels>(
    kernels: &Rc<K>,
    ops: &Rc<[Op]>,
    parameters: &[Tensor<1>],
    images: Tensor<4>,
    dropouts: &mut Dropouts,
    mut key: Option<K::MaskKey>,
) -> Pass {
    let parameters = all_arrays(&**kernels, parameters);
    let (mut x, mut shape, mut cursor) = (kernels.images(images), Shape::IMAGE, Cursor::default());
    let (mut records, mut statistics) = (vec![], vec![]);
    for op in ops.iter() {
        let dropout = if let Op::Dropout(rate) = *op { dropouts.next(rate) } else { None };
        let mask = dropout.map(|dropout| {
            let key = key.get_or_insert_with(|| kernels.mask_key(dropouts.key.words(dropouts.first_image)));
            kernels.mask(dropout, key.clone())
        });
        let arrays = &parameters[cursor.parameter..][..op.n_arrays().0];
        let Forward { output, input, saved } = kernels.forward(op, shape, x, arrays, mask);
        statistics.extend(kernels.statistics(&saved).into_iter().flatten().map(|array| kernels.tensor(array)));
        records.push(Record { input, saved, shape, parameter: cursor.parameter });
        x = output;
        shape = op.output(shape);
        cursor.pass(op);
    }
    let logits = kernels.logits(&x);
    let (kernels, ops) = (kernels.clone(), ops.clone());
    Pass::new(logits, statistics, PlanTape { kernels, ops, parameters, records, last: x })
}

fn all_arrays<K: Kernels>(kernels: &K, tensors: &[Tensor<1>]) -> Vec<K::Array> {
    tensors.iter().map(|tensor| kernels.array(tensor)).collect()
}

impl<K: Kernels> Tape for PlanTape<K> {
    fn backward(self: Box<Self>, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        let Self { kernels, ops, parameters, records, last } = *self;
        let mut gradient = Some(kernels.logits_gradient(logits_gradient, &last));
        let mut gradients = vec![];
        for (at, op) in ops.iter().enumerate().rev() {
            let Some(of_output) = gradient.take() else { break };
            let record = &records[at];
            let context = Context {
                input: record.input.as_ref(),
                output: records[at + 1..].iter().find_map(|record| record.input.as_ref()).unwrap_or(&last),
                saved: &record.saved,
                arrays: &parameters[record.parameter..][..op.n_arrays().0],
                shape: record.shape,
                needs_input_gradient: record.parameter > 0,
            };
            let (of_arrays, of_input) = kernels.backward(op, &context, of_output);
            gradients.extend(of_arrays.into_iter().rev());
            match of_input {
                Some(of_input) if record.parameter == 0 => kernels.recycle(of_input),
                of_input => gradient = of_input,
            }
        }
        for Record { input, saved, .. } in records {
            input.into_iter().for_each(|input| kernels.recycle(input));
            kernels.recycle_saved(saved);
        }
        kernels.recycle(last);
        gradients.into_iter().rev().map(|gradient| kernels.tensor(gradient)).collect()
    }
}
