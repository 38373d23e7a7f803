//! The way through the layers by burn's own operations and its automatic differentiation: the reference for our kernels.

use burn::tensor::activation::{leaky_relu, relu};
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, TensorData};
use inkling_core::models::{Conv, Layer};
use inkling_core::spec::N_CLASSES;

use super::{BATCH_NORM_EPSILON, Dropouts, Pass};

/// Logits `[batch, 10]` in evaluation mode.
pub fn evaluate(layers: &[Layer], parameters: &[Tensor<1>], statistics: &[Tensor<1>], images: Tensor<4>) -> Tensor<2> {
    Walk { parameters, statistics, training: None }.through(layers, images)
}

/// A pass in training mode.
pub fn train(
    layers: &[Layer],
    parameters: &[Tensor<1>],
    statistics: &[Tensor<1>],
    images: Tensor<4>,
    dropouts: &mut Dropouts,
) -> Pass {
    let parameters: Vec<_> = parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
    let training = Training { dropouts, statistics: vec![] };
    let mut walk = Walk { parameters: &parameters, statistics, training: Some(training) };
    let logits = walk.through(layers, images.autodiff());
    let statistics = walk.training.map(|training| training.statistics).unwrap_or_default();
    Pass { logits: logits.clone().inner(), statistics, tape: super::Tape::Walk(Box::new(Tape { logits, parameters })) }
}

/// Tracked tensors.
pub struct Tape {
    logits: Tensor<2>,
    parameters: Vec<Tensor<1>>,
}

impl Tape {
    pub fn backward(self, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
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
    /// Means and variances of this batch, as far as the walk has come.
    statistics: Vec<Tensor<1>>,
}

/// A walk through the layers, consuming arrays as it passes their layers.
struct Walk<'a> {
    parameters: &'a [Tensor<1>],
    statistics: &'a [Tensor<1>],
    training: Option<Training<'a>>,
}

impl Walk<'_> {
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
        let (mean, variance) = (self.statistic(), self.statistic());
        let Some(training) = &mut self.training else {
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
