//! What networks are made of, as data: a layer knows its output shape and its arrays, and computes nothing.

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
}

/// What a convolution does at the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Only windows that lie inside.
    Valid,
    /// `ceil(side / stride)` outputs; zeros around the input, the odd one at the end, as in Keras.
    Same,
}

/// A square convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    pub filters: usize,
    /// Side of the window.
    pub kernel: usize,
    pub stride: usize,
    pub padding: Padding,
    pub bias: bool,
}

impl Conv {
    /// Stride 1, no padding, with a bias.
    pub const fn valid(filters: usize, kernel: usize) -> Self {
        Self { filters, kernel, stride: 1, padding: Padding::Valid, bias: true }
    }

    /// Stride 1, as large as the input, with a bias.
    pub const fn same(filters: usize, kernel: usize) -> Self {
        Self { padding: Padding::Same, ..Self::valid(filters, kernel) }
    }

    /// The same with a stride.
    pub const fn stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same without a bias.
    pub const fn unbiased(self) -> Self {
        Self { bias: false, ..self }
    }

    /// Outputs along a side of so many inputs.
    pub fn output_side(self, side: usize) -> usize {
        match self.padding {
            Padding::Valid => (side - self.kernel) / self.stride + 1,
            Padding::Same => side.div_ceil(self.stride),
        }
    }

    /// Zeros before and after a side of so many inputs.
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

/// One layer. Sequences of these are all networks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// Subtracts a constant mean and divides by a constant deviation.
    Standardize {
        mean: f64,
        deviation: f64,
    },
    Conv(Conv),
    /// Every output from every input, with a bias.
    Dense(usize),
    /// Rectified linear unit.
    Relu,
    /// Rectified linear unit that lets this part of negative inputs through.
    LeakyRelu(f64),
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

    /// What comes out when `input` goes in.
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

    /// Names and shapes of the arrays the optimizer trains, for this input.
    pub fn parameters(self, input: Shape) -> Vec<(&'static str, Vec<usize>)> {
        match self {
            Self::Conv(Conv { filters, kernel, bias, .. }) => {
                let weights = ("kernel", vec![filters, input.channels, kernel, kernel]);
                if bias { vec![weights, ("bias", vec![filters])] } else { vec![weights] }
            }
            Self::Dense(units) => vec![("kernel", vec![units, input.size()]), ("bias", vec![units])],
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

/// Every layer with what goes into it, from the image on.
pub fn with_inputs(layers: &[Layer]) -> impl Iterator<Item = (Layer, Shape)> {
    layers.iter().scan(Shape::IMAGE, |input, layer| {
        let this = (*layer, *input);
        *input = layer.output(*input);
        Some(this)
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
