//! Networks by burn's own operations and its automatic differentiation, on the CPU: the reference for our kernels.

use std::rc::Rc;

use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::models::{self, Conv, Layer};
use inkling_core::spec::{ModelId, N_CLASSES};
use inkling_engine::network::backend::{CrossEntropy, OptimizerStep, SingleRun, Update, UpdateRule, Updated};
use inkling_engine::network::single_op::{Given, Single};
use inkling_engine::network::{BATCH_NORM_EPSILON, Backend, Dropouts, Op, Pass, Tape, backend};

/// Passes by burn. Loss and optimizers are those of our CPU backend.
pub struct BurnReference {
    layers: Vec<Layer>,
    cpu: Rc<dyn Backend>,
}

impl BurnReference {
    /// The reference for a model.
    pub fn of(model: ModelId) -> Rc<Self> {
        Rc::new(Self { layers: models::layers(model), cpu: backend(&Device::flex()) })
    }
}

impl Backend for BurnReference {
    fn evaluate(&self, _: &[Op], parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
        Layers { parameters, statistics, training: None }.through(&self.layers, images)
    }

    fn train(&self, _: &Rc<[Op]>, parameters: &[Tensor<1>], images: Tensor<4>, dropouts: &mut Dropouts) -> Pass {
        let parameters: Vec<_> = parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
        let training = Training { dropouts, statistics: vec![] };
        // Running statistics do not enter a pass in training mode.
        let mut pass = Layers { parameters: &parameters, statistics: &[], training: Some(training) };
        let logits = pass.through(&self.layers, images.autodiff());
        let statistics = pass.training.map(|training| training.statistics).unwrap_or_default();
        Pass::new(logits.clone().inner(), statistics, BurnTape { logits, parameters })
    }

    fn cross_entropy(&self, logits: Tensor<2>, targets: Tensor<2>) -> CrossEntropy {
        self.cpu.cross_entropy(logits, targets)
    }

    fn optimize(&self, rule: UpdateRule, step: OptimizerStep, updates: Vec<Update>) -> Vec<Updated> {
        self.cpu.optimize(rule, step, updates)
    }

    fn move_statistics(&self, running: Vec<Tensor<1>>, batch: Vec<Tensor<1>>, kept: f64) -> Vec<Tensor<1>> {
        self.cpu.move_statistics(running, batch, kept)
    }

    fn run_single<'a>(&'a self, single: &'a Single, given: &'a Given, device: &Device) -> SingleRun<'a> {
        self.cpu.run_single(single, given, device)
    }
}

/// Tracked tensors.
struct BurnTape {
    logits: Tensor<2>,
    parameters: Vec<Tensor<1>>,
}

impl Tape for BurnTape {
    fn backward(self: Box<Self>, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        // The gradient of this sum is the one that was given.
        let gradients = self.logits.mul(logits_gradient.autodiff()).sum().backward();
        let gradient = |parameter: Tensor<1>| {
            parameter.grad(&gradients).expect("every parameter of a sequence of layers has a gradient")
        };
        self.parameters.into_iter().map(gradient).collect()
    }
}

/// What only a pass in training mode has.
struct Training<'a> {
    dropouts: &'a mut Dropouts,
    /// Means and variances of this batch, of the layers passed so far.
    statistics: Vec<Tensor<1>>,
}

/// A pass through the layers, which takes their arrays one after another.
struct Layers<'a> {
    parameters: &'a [Tensor<1>],
    statistics: &'a [Tensor<1>],
    training: Option<Training<'a>>,
}

impl Layers<'_> {
    fn through(&mut self, layers: &[Layer], images: Tensor<4>) -> Tensor<2> {
        let n = images.dims()[0];
        let logits = layers.iter().fold(images, |x, layer| self.pass(*layer, x));
        logits.reshape([n, N_CLASSES])
    }

    /// `[batch, channels, height, width]` in, the same kind of shape out.
    fn pass(&mut self, layer: Layer, x: Tensor<4>) -> Tensor<4> {
        let [n, channels, height, width] = x.dims();
        match layer {
            Layer::Standardize { mean, deviation } => x.sub_scalar(mean).div_scalar(deviation),
            Layer::Conv(conv) => self.conv(conv, x),
            Layer::Dense(units) => self.dense(units, x),
            Layer::Relu => relu(x),
            Layer::LeakyRelu(slope) => leaky_relu(x, slope),
            Layer::BatchNorm => self.batch_norm(x),
            Layer::MaxPool => max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2])),
            Layer::Dropout(rate) => self.dropout(x, rate),
            Layer::Flatten => x.reshape([n, channels * height * width, 1, 1]),
        }
    }

    fn conv(&mut self, conv: Conv, x: Tensor<4>) -> Tensor<4> {
        let [_, channels, height, width] = x.dims();
        let weight = self.parameter().reshape([conv.filters, channels, conv.kernel, conv.kernel]);
        let bias = conv.bias.then(|| self.parameter());
        let ((top, bottom), (left, right)) = (conv.pads(height), conv.pads(width));
        // Zeros that are not the same on both sides come before the convolution.
        let even = top == bottom && left == right;
        let x = if even { x } else { x.pad((left, right, top, bottom), 0.0) };
        let padding = if even { [top, left] } else { [0, 0] };
        conv2d(x, weight, bias, ConvOptions::new([conv.stride; 2], padding, [1, 1], 1))
    }

    fn dense(&mut self, units: usize, x: Tensor<4>) -> Tensor<4> {
        let [n, inputs, ..] = x.dims();
        let weight = self.parameter().reshape([units, inputs]);
        let bias = self.parameter().reshape([1, units]);
        x.reshape([n, inputs]).matmul(weight.transpose()).add(bias).reshape([n, units, 1, 1])
    }

    fn parameter(&mut self) -> Tensor<1> {
        let (first, rest) = self.parameters.split_first().expect("the network has an array for each of its layers");
        self.parameters = rest;
        first.clone()
    }

    fn statistic(&mut self) -> Tensor<1> {
        let (first, rest) = self.statistics.split_first().expect("the network has statistics for each BatchNorm");
        self.statistics = rest;
        first.clone()
    }

    fn batch_norm(&mut self, x: Tensor<4>) -> Tensor<4> {
        let (gamma, beta) = (self.parameter(), self.parameter());
        let Some(training) = &mut self.training else {
            let (mean, variance) = (self.statistic(), self.statistic());
            return batch_norm(x, gamma, beta, mean, variance, BATCH_NORM_EPSILON);
        };
        let of_batch = batch_norm_train(x, gamma, beta, BATCH_NORM_EPSILON);
        training.statistics.push(of_batch.mean.inner());
        training.statistics.push(of_batch.variance.inner());
        of_batch.output
    }

    fn dropout(&mut self, x: Tensor<4>, rate: f64) -> Tensor<4> {
        let Some(training) = &mut self.training else { return x };
        let Some(dropout) = training.dropouts.next(rate) else { return x };
        let n = x.dims()[0];
        let mask = dropout.mask(n, x.shape().num_elements() / n);
        let mask = Tensor::<4>::from_data(TensorData::new(mask, x.shape()), &x.device());
        x.mul(mask)
    }
}
