//! Layers as data: each knows its output shape and the names and shapes of its arrays. It never holds a weight and
//! never computes an output.

use crate::spec::IMAGE_SIDE;

/// Shape of the activations between two layers, for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Number of channels, or of units after [`Layer::Flatten`] and [`Layer::Dense`].
    pub channels: usize,
    /// Height in pixels; 1 after [`Layer::Flatten`].
    pub height: usize,
    /// Width in pixels; 1 after [`Layer::Flatten`].
    pub width: usize,
}

impl Shape {
    /// One greyscale input image.
    pub const IMAGE: Self = Self { channels: 1, height: IMAGE_SIDE, width: IMAGE_SIDE };

    /// Number of elements.
    pub fn size(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Padding of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// No padding: only windows that lie inside the input.
    Valid,
    /// Zero padding to `ceil(side / stride)` outputs. Of an odd number of zeros the extra one is at the end, as in
    /// Keras.
    Same,
}

/// A 2D convolution with a square window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Number of filters: output channels.
    pub filters: usize,
    /// Side of the window, in pixels.
    pub kernel: usize,
    /// Stride in both directions, in pixels.
    pub stride: usize,
    /// Padding at the border.
    pub padding: Padding,
    /// Whether each filter has a bias.
    pub bias: bool,
}

impl Conv {
    /// A convolution with stride 1, no padding and a bias.
    pub const fn valid(filters: usize, kernel: usize) -> Self {
        Self { filters, kernel, stride: 1, padding: Padding::Valid, bias: true }
    }

    /// A convolution with stride 1 and a bias whose output is as large as its input.
    pub const fn same(filters: usize, kernel: usize) -> Self {
        Self { padding: Padding::Same, ..Self::valid(filters, kernel) }
    }

    /// This convolution with another stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// This convolution without a bias.
    pub const fn unbiased(self) -> Self {
        Self { bias: false, ..self }
    }

    /// Output height or width, in pixels, for an input of height or width `side`. Without padding, `side` must be at
    /// least [`Conv::kernel`].
    pub fn output_side(self, side: usize) -> usize {
        match self.padding {
            Padding::Valid => (side - self.kernel) / self.stride + 1,
            Padding::Same => side.div_ceil(self.stride),
        }
    }

    /// Numbers of zeros before and after an input of height or width `side`.
    pub fn pads(self, side: usize) -> (usize, usize) {
        match self.padding {
            Padding::Valid => (0, 0),
            Padding::Same => {
                let pads = ((self.output_side(side) - 1) * self.stride + self.kernel).saturating_sub(side);
                (pads / 2, pads - pads / 2)
            }
        }
    }
}

/// What an array is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The weights of a convolution or a dense layer.
    Kernel,
    /// Added to each filter or unit.
    Bias,
    /// Scale of a normalised channel.
    Gamma,
    /// Offset of a normalised channel.
    Beta,
    /// Running mean of a channel.
    MovingMean,
    /// Running variance of a channel.
    MovingVariance,
}

impl Role {
    /// The name that Keras gives to such an array; weights files hold it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::MovingMean => "moving_mean",
            Self::MovingVariance => "moving_variance",
        }
    }
}

/// One layer. Every network is a sequence of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Subtracts a constant mean and divides by a constant standard deviation.
    Standardize {
        /// The mean, for pixels from 0 to 1.
        mean: f64,
        /// The standard deviation, for pixels from 0 to 1.
        deviation: f64,
    },
    /// A 2D convolution.
    Conv(Conv),
    /// A fully connected layer with this number of units and a bias.
    Dense(usize),
    /// Rectified linear unit.
    Relu,
    /// Leaky rectified linear unit with this slope for negative inputs.
    LeakyRelu(f64),
    /// Batch normalisation per channel, with Keras's epsilon and momentum.
    BatchNorm,
    /// 2×2 max pooling with stride 2; an odd last row or column is dropped.
    MaxPool,
    /// Sets this fraction of its inputs to 0 during training and scales up the others.
    Dropout(f64),
    /// Flattens channels, rows and columns into one dimension, in this order.
    Flatten,
}

impl Layer {
    /// Keras's class name for this layer.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Standardize { .. } => "Lambda",
            Self::Conv(_) => "Conv2D",
            Self::Dense(_) => "Dense",
            Self::Relu => "ReLU",
            Self::LeakyRelu(_) => "LeakyReLU",
            Self::BatchNorm => "BatchNormalization",
            Self::MaxPool => "MaxPooling2D",
            Self::Dropout(_) => "Dropout",
            Self::Flatten => "Flatten",
        }
    }

    /// Output shape for an input shape.
    pub fn output(self, input: Shape) -> Shape {
        match self {
            Self::Conv(conv) => Shape {
                channels: conv.filters,
                height: conv.output_side(input.height),
                width: conv.output_side(input.width),
            },
            Self::Dense(units) => Shape { channels: units, height: 1, width: 1 },
            Self::MaxPool => Shape { height: input.height / 2, width: input.width / 2, ..input },
            Self::Flatten => Shape { channels: input.size(), height: 1, width: 1 },
            _ => input,
        }
    }

    /// Names and shapes of the arrays that the optimizer trains, for this input shape. Kernels are
    /// `[filters, channels, kernel, kernel]` for convolutions and `[units, inputs]` for dense layers.
    pub fn parameters(self, input: Shape) -> Vec<(Role, Vec<usize>)> {
        match self {
            Self::Conv(Conv { filters, kernel, bias, .. }) => {
                let weights = (Role::Kernel, vec![filters, input.channels, kernel, kernel]);
                if bias { vec![weights, (Role::Bias, vec![filters])] } else { vec![weights] }
            }
            Self::Dense(units) => vec![(Role::Kernel, vec![units, input.size()]), (Role::Bias, vec![units])],
            Self::BatchNorm => vec![(Role::Gamma, vec![input.channels]), (Role::Beta, vec![input.channels])],
            _ => vec![],
        }
    }

    /// Names and shapes of the running statistics, which training updates but the optimizer does not train.
    pub fn statistics(self, input: Shape) -> Vec<(Role, Vec<usize>)> {
        match self {
            Self::BatchNorm => {
                vec![(Role::MovingMean, vec![input.channels]), (Role::MovingVariance, vec![input.channels])]
            }
            _ => vec![],
        }
    }
}

/// Every layer with its input shape, in order; the first input is [`Shape::IMAGE`].
pub fn with_inputs(layers: &[Layer]) -> impl Iterator<Item = (Layer, Shape)> {
    layers.iter().scan(Shape::IMAGE, |input, layer| {
        let layer_and_input = (*layer, *input);
        *input = layer.output(*input);
        Some(layer_and_input)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_puts_the_odd_zero_at_the_end() {
        assert_eq!(Conv::same(1, 3).pads(28), (1, 1));
        assert_eq!((Conv::same(1, 5).stride(2).pads(28), Conv::same(1, 5).stride(2).output_side(28)), ((1, 2), 14));
        assert_eq!((Conv::same(1, 3).stride(2).pads(14), Conv::same(1, 3).stride(2).output_side(14)), ((0, 1), 7));
        assert_eq!((Conv::same(1, 3).stride(2).pads(7), Conv::same(1, 3).stride(2).output_side(7)), ((1, 1), 4));
        assert_eq!((Conv::valid(1, 3).pads(28), Conv::valid(1, 3).output_side(28)), ((0, 0), 26));
    }
}
