//! Our shaders on a graphics card. Nothing is read back.

mod backward;
mod context;
mod forward;
mod optimize;

use std::rc::Rc;

use burn::tensor::{Device, Tensor};
use inkling_core::models::{Conv, Shape};
use inkling_core::spec::{IMAGE_PIXELS, N_CLASSES};
use inkling_kernels::{Dropout, FusedRectifier};
use inkling_shaders::{self as shaders, Array, BatchNorm, Conv2d};

use super::backend::{Backend, CrossEntropy, OptimizerStep, SingleRun, Update, UpdateRule, Updated};
use super::pass::{self, Context, Forward, Gradients, Kernels, Pass};
use super::plan::{ConvGeometry, Op};
use super::single_op::{self, Given, Single, SingleKernels};
use super::{BATCH_NORM_EPSILON, BATCH_NORM_KEPT, DropoutKey, Dropouts, Network};

pub use context::{GpuContext, arrays};
pub use optimize::{numbers, optimize};

/// A graphics card as a backend: each pass takes the context of its images.
pub struct Gpu;

/// Kernels on one graphics card.
pub struct GpuKernels {
    context: GpuContext,
}

/// Numbers of a batch, images innermost: `[channel][row][column][image]`.
pub struct Images {
    array: Array,
    n: usize,
}

/// What an op saves besides its input.
pub enum Saved {
    /// Nothing.
    Nothing,
    /// The padded input of a convolution.
    Padded(Array),
    /// Mean and variance of a normalisation.
    Statistics([Array; 2]),
    /// What a dropout layer dropped.
    Mask(DropoutMask),
}

/// What a dropout layer drops in a pass, by a key that is stored on the card.
pub struct DropoutMask {
    dropout: Dropout,
    /// [`super::DropoutKey::words`].
    key: Array,
}

impl Gpu {
    fn kernels(tensor: &Tensor<4>) -> Rc<GpuKernels> {
        Rc::new(GpuKernels { context: GpuContext::of(tensor.clone()).0 })
    }
}

/// A pass in training mode whose dropout key is stored on the card already.
fn train_with_key(
    ops: &Rc<[Op]>,
    parameters: &[Tensor<1>],
    images: Tensor<4>,
    dropouts: &mut Dropouts,
    key: Array,
) -> Pass {
    pass::train(&Gpu::kernels(&images), ops, parameters, images, dropouts, Some(key))
}

/// What only recorded steps on a graphics card ask of a network.
impl Network {
    /// The same on a card that has the words of the key already: [`DropoutKey::words`].
    ///
    /// # Panics
    /// When the network lives elsewhere.
    pub fn forward_with(&self, images: Tensor<4>, dropout: f64, key: inkling_shaders::Array) -> Pass {
        // The words are on the card: those of this key are not asked for.
        let mut dropouts = Dropouts::new(dropout, DropoutKey::of(0, 0), 0);
        train_with_key(&self.ops, &self.parameters, images, &mut dropouts, key)
    }

    /// The same on a backend that changes them in place.
    pub fn move_statistics_in_place(&self, of_batch: Vec<Tensor<1>>) {
        let _ = self.backend.move_statistics(self.statistics.clone(), of_batch, BATCH_NORM_KEPT);
    }
}

impl Backend for Gpu {
    fn evaluate(&self, ops: &[Op], parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
        pass::evaluate(&*Self::kernels(&images), ops, parameters, statistics, images)
    }

    fn train(&self, ops: &Rc<[Op]>, parameters: &[Tensor<1>], images: Tensor<4>, dropouts: &mut Dropouts) -> Pass {
        pass::train(&Self::kernels(&images), ops, parameters, images, dropouts, None)
    }

    fn cross_entropy(&self, logits: Tensor<2>, targets: Tensor<2>) -> CrossEntropy {
        let n = logits.dims()[0];
        let (context, logits) = GpuContext::of(logits);
        let (_, targets) = GpuContext::of(targets);
        let [sums, gradient] = shaders::cross_entropy(&context.gpu, &logits, &targets, N_CLASSES);
        CrossEntropy { sums: context.tensor(sums), gradient: context.tensor(gradient).reshape([n, N_CLASSES]) }
    }

    fn optimize(&self, rule: UpdateRule, step: OptimizerStep, updates: Vec<Update>) -> Vec<Updated> {
        let Some(first) = updates.first() else { return vec![] };
        let (context, _) = GpuContext::of(first.parameter.clone());
        let numbers = context.gpu.upload(&numbers(step));
        optimize(rule, &numbers, &updates);
        updates.into_iter().map(|update| (update.parameter, update.state)).collect()
    }

    fn move_statistics(&self, running: Vec<Tensor<1>>, batch: Vec<Tensor<1>>, kept: f64) -> Vec<Tensor<1>> {
        for (running, batch) in running.chunks_exact(2).zip(batch.chunks_exact(2)) {
            let (context, _) = GpuContext::of(running[0].clone());
            let (running, batch) = (arrays(running), arrays(batch));
            let [running, batch] = [&running, &batch].map(|pair| [&pair[0], &pair[1]]);
            shaders::lerp_towards(&context.gpu, running, batch, kept as f32);
        }
        running
    }

    fn computes_in_tiles(&self, device: &Device) -> bool {
        GpuContext::on(device).gpu.has_tiles()
    }

    fn run_single<'a>(&'a self, single: &'a Single, given: &'a Given, device: &Device) -> SingleRun<'a> {
        let kernels = GpuKernels { context: GpuContext::on(device) };
        Box::pin(async move { single_op::run(&kernels, single, given).await })
    }
}

impl Kernels for GpuKernels {
    type Value = Images;
    type Array = Array;
    type Saved = Saved;
    type MaskKey = Array;
    type Mask = DropoutMask;

    fn array(&self, tensor: &Tensor<1>) -> Array {
        GpuContext::of(tensor.clone()).1
    }

    fn tensor(&self, array: Array) -> Tensor<1> {
        self.context.tensor(array)
    }

    fn images(&self, images: Tensor<4>) -> Images {
        let n = images.dims()[0];
        let (context, rows) = GpuContext::of(images);
        Images { array: shaders::transpose(&context.gpu, &rows, IMAGE_PIXELS), n }
    }

    fn logits(&self, value: &Images) -> Tensor<2> {
        let rows = shaders::transpose(&self.context.gpu, &value.array, value.n);
        self.context.tensor(rows).reshape([value.n, N_CLASSES])
    }

    fn logits_gradient(&self, gradient: Tensor<2>, last: &Images) -> Images {
        let (_, rows) = GpuContext::of(gradient);
        let array = shaders::transpose(&self.context.gpu, &rows, rows.len() / last.n);
        Images { array, n: last.n }
    }

    fn mask_key(&self, words: [u32; 3]) -> Array {
        self.context.gpu.upload_words(&words)
    }

    fn mask(&self, dropout: Dropout, key: Array) -> DropoutMask {
        DropoutMask { dropout, key }
    }

    fn forward(&self, op: &Op, shape: Shape, x: Images, arrays: &[Array], mask: Option<DropoutMask>) -> Forward<Self> {
        forward::forward(&self.context.gpu, op, shape, x, arrays, mask)
    }

    fn evaluate_norm(
        &self,
        rectified: FusedRectifier,
        shape: Shape,
        x: Images,
        arrays: &[Array],
        statistics: &[Array],
    ) -> Images {
        let [gamma, beta, mean, variance] = [&arrays[0], &arrays[1], &statistics[0], &statistics[1]];
        let array = norm(x.n, shape, rectified).apply(&self.context.gpu, &x.array, [gamma, beta], [mean, variance]);
        Images { array, ..x }
    }

    fn backward(&self, op: &Op, context: &Context<'_, Self>, gradient: Images) -> Gradients<Self> {
        backward::backward(&self.context.gpu, op, context, gradient)
    }

    fn statistics(&self, saved: &Saved) -> Option<[Array; 2]> {
        if let Saved::Statistics(statistics) = saved { Some(statistics.clone()) } else { None }
    }
}

impl SingleKernels for GpuKernels {
    fn upload(&self, rows: &[f32], n: usize, _: Shape, _: bool) -> Images {
        Images { array: self.context.gpu.upload(&transposed(rows, n)), n }
    }

    fn upload_array(&self, values: &[f32]) -> Array {
        self.context.gpu.upload(values)
    }

    fn as_tensor(&self, value: &Images) -> Tensor<1> {
        self.context.tensor(value.array.clone())
    }

    fn rows(&self, values: Vec<f32>, n: usize) -> Vec<f32> {
        transposed(&values, values.len() / n.max(1))
    }
}

/// A matrix of so many rows, transposed.
fn transposed(values: &[f32], n_rows: usize) -> Vec<f32> {
    let n_columns = values.len() / n_rows.max(1);
    (0..values.len()).map(|at| values[at % n_rows * n_columns + at / n_rows]).collect()
}

impl DropoutMask {
    /// Drops the mask's units of a layer, or of its gradient.
    fn apply(&self, gpu: &shaders::Gpu, x: &Images) -> Images {
        let Dropout { layer, limit, scale, .. } = self.dropout;
        Images { array: shaders::dropout(gpu, &x.array, x.n, &self.key, layer, limit, scale), n: x.n }
    }
}

fn norm(n: usize, shape: Shape, rectified: FusedRectifier) -> BatchNorm {
    BatchNorm {
        n,
        channels: shape.channels,
        pixels: shape.height * shape.width,
        epsilon: BATCH_NORM_EPSILON as f32,
        slope_before: rectified.slope_before(),
        slope_after: rectified.slope_after(),
    }
}

fn window(n: usize, conv: Conv, input: Shape) -> Conv2d {
    let ConvGeometry { input: sides, output, before, after } = ConvGeometry::of(conv, input);
    Conv2d {
        n,
        channels: input.channels,
        filters: conv.filters,
        input: sides,
        output,
        kernel: conv.kernel,
        stride: conv.stride,
        before,
        after,
    }
}
