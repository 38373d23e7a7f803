//! What networks are made of, as data: a layer knows its output shape and its arrays, and computes nothing.

use burn::tensor::Shape as TensorShape;

use crate::spec::IMAGE_SIDE;

/// Channels, height and width of what flows between two layers, for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl Shape {
    /// One grey image.
    pub const IMAGE: Self = Self { channels: 1, height: IMAGE_SIDE, width: IMAGE_SIDE };

    /// Numbers in one such value.
    pub fn size(self) -> usize {
        self.channels * self.height * self.width
    }

    /// The tensor shape of `n` of them: `[n, channels, height, width]`.
    pub fn batch(self, n: usize) -> TensorShape {
        TensorShape::new([n, self.channels, self.height, self.width])
    }
}

/// One layer. Sequences of these are all five networks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Square convolution without bias, stride 1, no padding (`valid`).
    Conv { filters: usize, kernel: usize },
    /// Rectified linear unit.
    Relu,
    /// Batch normalisation by channel, with Keras's epsilon and momentum.
    BatchNorm,
    /// 2×2 maximum, stride 2; an odd last row or column is left out.
    MaxPool,
    /// Sets this fraction of its inputs to 0 while training and scales the others up.
    Dropout(f64),
    /// Channels, rows and columns become one row.
    Flatten,
}

impl Layer {
    /// The name Keras gives to such a layer.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv2D",
            Self::Relu => "ReLU",
            Self::BatchNorm => "BatchNormalization",
            Self::MaxPool => "MaxPooling2D",
            Self::Dropout(_) => "Dropout",
            Self::Flatten => "Flatten",
        }
    }

    /// What comes out when `input` goes in.
    pub fn output(self, input: Shape) -> Shape {
        match self {
            Self::Conv { filters, kernel } => {
                Shape { channels: filters, height: input.height + 1 - kernel, width: input.width + 1 - kernel }
            }
            Self::MaxPool => Shape { height: input.height / 2, width: input.width / 2, ..input },
            Self::Flatten => Shape { channels: input.size(), height: 1, width: 1 },
            Self::Relu | Self::BatchNorm | Self::Dropout(_) => input,
        }
    }

    /// Names and shapes of the arrays the optimizer trains, for this input.
    pub fn parameters(self, input: Shape) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::Conv { filters, kernel } => vec![("kernel", vec![filters, input.channels, kernel, kernel])],
            Self::BatchNorm => vec![("gamma", vec![input.channels]), ("beta", vec![input.channels])],
            _ => vec![],
        }
    }

    /// Names and shapes of the running statistics, which training moves but does not optimise.
    pub fn statistics(self, input: Shape) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::BatchNorm => vec![("moving_mean", vec![input.channels]), ("moving_variance", vec![input.channels])],
            _ => vec![],
        }
    }
}
