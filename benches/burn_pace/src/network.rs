//! Inkling's networks as burn's modules, made from their layers..

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{
    BatchNorm, BatchNormConfig, Dropout, DropoutConfig, LeakyRelu, LeakyReluConfig, Linear, LinearConfig,
    PaddingConfig2d, Relu,
};
use burn::tensor::{Device, Tensor};
use inkling_core::spec::{ModelId, N_CLASSES};
use inkling_core::models::{Conv, Layer, Padding, Shape, layers, with_inputs};

#[derive(Module, Debug)]
enum Block {
    Conv(Conv2d),
    Linear(Linear),
    Relu(Relu),
    LeakyRelu(LeakyRelu),
    BatchNorm(BatchNorm),
    MaxPool(MaxPool2d),
    Dropout(Dropout),
}

#[derive(Module, Debug)]
pub struct Network {
    blocks: Vec<Block>,
}

impl Network {
    pub fn new(model: ModelId, device: &Device) -> Self {
        let layers = layers(model);
        let blocks = with_inputs(&layers).filter_map(|(layer, input)| Block::new(layer, input, device));
        Self { blocks: blocks.collect() }
    }

    /// Logits `[batch, 10]` of images `[batch, 1, 28, 28]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let n = images.dims()[0];
        self.blocks.iter().fold(images, |x, block| block.forward(x)).reshape([n, N_CLASSES])
    }
}

impl Block {
    /// `None` for what changes shapes and units only: the images are noise from 0 to 1, and a dense layer flattens.
    fn new(layer: Layer, input: Shape, device: &Device) -> Option<Self> {
        Some(match layer {
            Layer::Standardize { .. } | Layer::Flatten => return None,
            Layer::Conv(conv) => Self::Conv(convolution(conv, input.channels, device)),
            Layer::Dense(units) => Self::Linear(LinearConfig::new(input.size(), units).init(device)),
            Layer::Relu => Self::Relu(Relu::new()),
            Layer::LeakyRelu(slope) => Self::LeakyRelu(LeakyReluConfig::new().with_negative_slope(slope).init()),
            Layer::BatchNorm => {
                // Keras's constants, as everywhere in Inkling.
                Self::BatchNorm(BatchNormConfig::new(input.channels).with_epsilon(1e-3).with_momentum(0.01).init(device))
            }
            Layer::MaxPool => Self::MaxPool(MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()),
            Layer::Dropout(rate) => Self::Dropout(DropoutConfig::new(rate).init()),
        })
    }

    /// `[batch, channels, height, width]` in, the same kind of shape out.
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Conv(conv) => conv.forward(x),
            Self::Linear(linear) => {
                let n = x.dims()[0];
                let y = linear.forward(x.flatten::<2>(1, 3)); // [batch, units]
                let units = y.dims()[1];
                y.reshape([n, units, 1, 1])
            }
            Self::Relu(relu) => relu.forward(x),
            Self::LeakyRelu(leaky) => leaky.forward(x),
            Self::BatchNorm(norm) => norm.forward(x),
            Self::MaxPool(pool) => pool.forward(x),
            Self::Dropout(dropout) => dropout.forward(x),
        }
    }
}

fn convolution(conv: Conv, channels: usize, device: &Device) -> Conv2d {
    let padding = match conv.padding {
        Padding::Valid => PaddingConfig2d::Valid,
        Padding::Same => PaddingConfig2d::Same,
    };
    Conv2dConfig::new([channels, conv.filters], [conv.kernel; 2])
        .with_stride([conv.stride; 2])
        .with_padding(padding)
        .with_bias(conv.bias)
        .init(device)
}
