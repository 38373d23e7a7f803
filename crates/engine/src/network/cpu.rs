//! Our kernels on the CPU, over buffers that are used again.

mod backward;
mod forward;
mod loss;
mod optimize;

use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::models::{Conv, Shape};
use inkling_core::spec::{IMAGE_PIXELS, N_CLASSES};
use inkling_kernels::{BlockedLayout, Conv2d, Conv2dSizes, Dense, Dropout, FusedRectifier, Isa};

use super::backend::{Backend, CrossEntropy, OptimizerStep, SingleRun, Update, UpdateRule, Updated};
use super::pass::{self, Context, Forward, Gradients, Kernels, Pass};
use super::plan::{ConvGeometry, Op};
use super::single_op::{self, Given, Single, SingleKernels};
use super::{Dropouts, flex};

pub use loss::softmax;

/// The CPU as a backend.
pub struct Cpu(Rc<CpuKernels>);

/// Kernels for the best instructions of this CPU.
pub struct CpuKernels {
    isa: Isa,
    /// Buffers that nothing uses.
    free: RefCell<Vec<Vec<f32>>>,
}

/// Numbers in the blocked layout.
pub struct Blocked {
    layout: BlockedLayout,
    numbers: Vec<f32>,
}

/// What an op saves besides its input.
pub enum Saved {
    /// Nothing.
    Nothing,
    /// The padded input of a convolution.
    Padded(Vec<f32>),
    /// Mean and variance of a normalisation.
    Statistics([Vec<f32>; 2]),
    /// What a dropout layer dropped.
    Dropout(Dropout),
}

impl Deref for Blocked {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl Cpu {
    /// A backend with buffers of its own.
    pub fn new() -> Self {
        Self(Rc::new(CpuKernels { isa: Isa::best(), free: RefCell::default() }))
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Cpu {
    fn evaluate(&self, ops: &[Op], parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
        pass::evaluate(&*self.0, ops, parameters, statistics, images)
    }

    fn train(&self, ops: &Rc<[Op]>, parameters: &[Tensor<1>], images: Tensor<4>, dropouts: &mut Dropouts) -> Pass {
        pass::train(&self.0, ops, parameters, images, dropouts, Some(()))
    }

    fn cross_entropy(&self, logits: Tensor<2>, targets: Tensor<2>) -> CrossEntropy {
        loss::cross_entropy(logits, targets)
    }

    fn optimize(&self, rule: UpdateRule, step: OptimizerStep, updates: Vec<Update>) -> Vec<Updated> {
        updates.into_iter().map(|update| optimize::update(self.0.isa, rule, step, update)).collect()
    }

    fn move_statistics(&self, running: Vec<Tensor<1>>, batch: Vec<Tensor<1>>, kept: f64) -> Vec<Tensor<1>> {
        let moved =
            |(running, batch): (Tensor<1>, Tensor<1>)| running.mul_scalar(kept).add(batch.mul_scalar(1.0 - kept));
        running.into_iter().zip(batch).map(moved).collect()
    }

    fn run_single<'a>(&'a self, single: &'a Single, given: &'a Given, _: &Device) -> SingleRun<'a> {
        Box::pin(single_op::run(&*self.0, single, given))
    }
}

impl Kernels for CpuKernels {
    type Value = Blocked;
    type Array = Tensor<1>;
    type Saved = Saved;
    type MaskKey = ();
    type Mask = Dropout;

    fn array(&self, tensor: &Tensor<1>) -> Tensor<1> {
        tensor.clone()
    }

    fn tensor(&self, array: Tensor<1>) -> Tensor<1> {
        array
    }

    fn images(&self, images: Tensor<4>) -> Blocked {
        let layout = BlockedLayout::blocked(self.isa, images.dims()[0], 1, IMAGE_PIXELS);
        self.scattered(layout, flex::of(images).storage())
    }

    fn logits(&self, value: &Blocked) -> Tensor<2> {
        Tensor::from_data(TensorData::new(gathered(value), [value.layout.n(), N_CLASSES]), &Device::flex())
    }

    fn logits_gradient(&self, gradient: Tensor<2>, last: &Blocked) -> Blocked {
        self.scattered(last.layout, flex::of(gradient).storage())
    }

    fn mask_key(&self, _: [u32; 3]) {}

    fn mask(&self, dropout: Dropout, (): ()) -> Dropout {
        dropout
    }

    fn forward(&self, op: &Op, _: Shape, x: Blocked, arrays: &[Tensor<1>], mask: Option<Dropout>) -> Forward<Self> {
        forward::forward(self, op, x, arrays, mask)
    }

    fn evaluate_norm(
        &self,
        rectified: FusedRectifier,
        _: Shape,
        x: Blocked,
        arrays: &[Tensor<1>],
        statistics: &[Tensor<1>],
    ) -> Blocked {
        forward::evaluate_norm(rectified, x, arrays, statistics)
    }

    fn backward(&self, op: &Op, context: &Context<'_, Self>, gradient: Blocked) -> Gradients<Self> {
        backward::backward(self, op, context, gradient)
    }

    fn statistics(&self, saved: &Saved) -> Option<[Tensor<1>; 2]> {
        if let Saved::Statistics(statistics) = saved { Some(statistics.clone().map(flex::flat)) } else { None }
    }

    fn recycle(&self, value: Blocked) {
        self.give(value.numbers);
    }

    fn recycle_saved(&self, saved: Saved) {
        if let Saved::Padded(padded) = saved {
            self.give(padded);
        }
    }
}

impl SingleKernels for CpuKernels {
    fn upload(&self, rows: &[f32], n: usize, shape: Shape, flat: bool) -> Blocked {
        let layout = if flat {
            BlockedLayout::flat(self.isa, n, shape.size())
        } else {
            BlockedLayout::blocked(self.isa, n, shape.channels, shape.height * shape.width)
        };
        self.scattered(layout, rows)
    }

    fn upload_array(&self, values: &[f32]) -> Tensor<1> {
        flex::flat(values.to_vec())
    }

    fn as_tensor(&self, value: &Blocked) -> Tensor<1> {
        flex::flat(gathered(value))
    }

    fn rows(&self, values: Vec<f32>, _: usize) -> Vec<f32> {
        values
    }
}

impl CpuKernels {
    /// Rows, one an image, in this layout.
    fn scattered(&self, layout: BlockedLayout, rows: &[f32]) -> Blocked {
        let mut numbers = self.take(layout.len());
        layout.scatter(rows, &mut numbers);
        Blocked { layout, numbers }
    }

    /// A buffer of this length with arbitrary numbers.
    fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.free.borrow_mut();
        match free.iter().position(|buffer| buffer.len() == len) {
            Some(at) => free.swap_remove(at),
            None => vec![0.0; len],
        }
    }

    fn give(&self, buffer: Vec<f32>) {
        /// More than any network uses at once. Batches of other sizes leave buffers behind; the oldest are freed.
        const MOST: usize = 64;
        let mut free = self.free.borrow_mut();
        if free.len() == MOST {
            free.remove(0);
        }
        free.push(buffer);
    }

    fn window(&self, n: usize, conv: Conv, input: Shape) -> Conv2d {
        let ConvGeometry { input: sides, output, before, after } = ConvGeometry::of(conv, input);
        let sizes = Conv2dSizes {
            channels: input.channels,
            filters: conv.filters,
            input: sides,
            output,
            kernel: conv.kernel,
            stride: conv.stride,
            before,
            after,
        };
        Conv2d::new(self.isa, n, sizes).expect("a layer's output follows from its input")
    }

    fn dense(&self, n: usize, inputs: usize, units: usize) -> Dense {
        Dense::new(self.isa, n, inputs, units)
    }
}

/// Values as rows, one an image.
fn gathered(value: &Blocked) -> Vec<f32> {
    let mut rows = vec![0.0; value.layout.n() * value.layout.features()];
    value.layout.gather(&value.numbers, &mut rows);
    rows
}

/// An array whose `storage` is a slice.
fn numbers(array: &Tensor<1>) -> FlexTensor {
    flex::of(array.clone())
}
