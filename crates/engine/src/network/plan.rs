//! A network's layers as the ops that kernels compute: rectifiers are fused into their neighbours, and each op knows its arrays.
//! Computes nothing.

use inkling_core::models::{self, Conv, Layer, Shape};
use inkling_kernels::FusedRectifier;

/// Slope of a rectifier that changes nothing.
pub const LINEAR: f32 = 1.0;

/// One op of a plan.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Subtracts a mean and divides by a deviation.
    Standardize {
        /// Subtracted from every number.
        mean: f32,
        /// Every number is divided by it.
        deviation: f32,
    },
    /// A convolution and the rectifier that follows it.
    Conv {
        /// Conv2d, stride, padding and filters.
        conv: Conv,
        /// Shape of one image before the convolution.
        input: Shape,
        /// Applied to the output.
        rectifier: Rectifier,
    },
    /// A dense layer and the rectifier that follows it.
    Dense {
        /// Numbers of one image before the layer.
        inputs: usize,
        /// Numbers of one image after the layer.
        units: usize,
        /// Applied to the output.
        rectifier: Rectifier,
    },
    /// Batch normalisation by channel.
    BatchNorm {
        /// The rectifier that is fused into it.
        rectified: FusedRectifier,
    },
    /// 2×2 maximum.
    Pool {
        /// Shape of one image before the pooling.
        input: Shape,
        /// Slope of the preceding rectifier for negative numbers; its backward pass is fused here. `LINEAR` if there is none.
        slope: f32,
    },
    /// Dropout with this rate.
    Dropout(f64),
    /// Rows, columns and channels become one row.
    Flatten,
}

/// The rectifier that follows a layer.
#[derive(Clone, Copy, Debug)]
pub struct Rectifier {
    /// Factor of negative numbers; `LINEAR` if there is no rectifier.
    pub slope: f32,
    /// The normalisation or pooling that follows computes its backward pass.
    pub fused_backward: bool,
}

impl Rectifier {
    /// Slope that the op's own backward pass has to apply.
    pub fn own_backward_slope(self) -> f32 {
        if self.fused_backward { LINEAR } else { self.slope }
    }
}

/// Indices of an op's first trained array and first running statistic, counted over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Index of the first trained array.
    pub parameter: usize,
    /// Index of the first running statistic.
    pub statistic: usize,
}

impl Cursor {
    /// Moves past the arrays of an op.
    pub fn pass(&mut self, op: &Op) {
        let (parameters, statistics) = op.n_arrays();
        (self.parameter, self.statistic) = (self.parameter + parameters, self.statistic + statistics);
    }
}

impl Op {
    /// Counts of the op's trained arrays and running statistics.
    pub fn n_arrays(&self) -> (usize, usize) {
        match self {
            Self::Conv { conv, .. } => (1 + usize::from(conv.bias), 0),
            Self::Dense { .. } => (2, 0),
            Self::BatchNorm { .. } => (2, 2),
            _ => (0, 0),
        }
    }

    /// Shape of one image after the op, from the shape before it.
    pub fn output(&self, input: Shape) -> Shape {
        match self {
            Self::Conv { conv, .. } => Layer::Conv(*conv).output(input),
            Self::Dense { units, .. } => Layer::Dense(*units).output(input),
            Self::Pool { .. } => Layer::MaxPool.output(input),
            Self::Flatten => Layer::Flatten.output(input),
            Self::Standardize { .. } | Self::BatchNorm { .. } | Self::Dropout(_) => input,
        }
    }
}

/// Rows and columns of a convolution: what kernels on every device ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvGeometry {
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    /// Zeros above and to the left of the input.
    pub before: [usize; 2],
    /// Zeros below and to the right of the input.
    pub after: [usize; 2],
}

impl ConvGeometry {
    /// Of a convolution over images of this shape.
    pub fn of(conv: Conv, input: Shape) -> Self {
        let ((top, bottom), (left, right)) = (conv.pads(input.height), conv.pads(input.width));
        Self {
            input: [input.height, input.width],
            output: [conv.output_side(input.height), conv.output_side(input.width)],
            before: [top, left],
            after: [bottom, right],
        }
    }
}

/// The plan of a sequence of layers: each rectifier is fused into the op before it.
pub fn ops(layers: &[Layer]) -> Vec<Op> {
    let with_inputs: Vec<_> = models::with_inputs(layers).collect();
    let op = |(at, (layer, input)): (usize, &(Layer, Shape))| {
        let (input, rectifier) = (*input, rectifier(layers, at));
        Some(match *layer {
            Layer::Standardize { mean, deviation } => {
                Op::Standardize { mean: mean as f32, deviation: deviation as f32 }
            }
            Layer::Conv(conv) => Op::Conv { conv, input, rectifier },
            Layer::Dense(units) => Op::Dense { inputs: input.size(), units, rectifier },
            Layer::BatchNorm => Op::BatchNorm { rectified: rectified(layers, at) },
            Layer::MaxPool => Op::Pool { input, slope: slope_before_pool(layers, at) },
            Layer::Dropout(rate) => Op::Dropout(rate),
            Layer::Flatten => Op::Flatten,
            // Fused into the op before it.
            Layer::Relu | Layer::LeakyRelu(_) => return None,
        })
    };
    with_inputs.iter().enumerate().filter_map(op).collect()
}

/// Slope of the rectifier at this place; `None` if the layer there is none.
fn slope(layers: &[Layer], at: usize) -> Option<f32> {
    match layers.get(at) {
        Some(Layer::Relu) => Some(0.0),
        Some(Layer::LeakyRelu(slope)) => Some(*slope as f32),
        _ => None,
    }
}

fn rectifier(layers: &[Layer], at: usize) -> Rectifier {
    let Some(slope_after) = slope(layers, at + 1) else { return Rectifier { slope: LINEAR, fused_backward: false } };
    let in_norm = layers.get(at + 2) == Some(&Layer::BatchNorm) && slope(layers, at + 3).is_none();
    let in_pool = layers.get(at + 2) == Some(&Layer::MaxPool);
    Rectifier { slope: slope_after, fused_backward: in_norm || in_pool }
}

/// Slope of a rectifier between a convolution or dense layer and the pooling at this place.
fn slope_before_pool(layers: &[Layer], at: usize) -> f32 {
    let slope = at.checked_sub(1).and_then(|at| slope(layers, at));
    let product = at.checked_sub(2).map(|at| layers[at]);
    match (slope, product) {
        (Some(slope), Some(Layer::Conv(_) | Layer::Dense(_))) => slope,
        _ => LINEAR,
    }
}

fn rectified(layers: &[Layer], at: usize) -> FusedRectifier {
    match (at.checked_sub(1).and_then(|at| slope(layers, at)), slope(layers, at + 1)) {
        (_, Some(slope)) => FusedRectifier::After(slope),
        (Some(slope), None) => FusedRectifier::Before(slope),
        (None, None) => FusedRectifier::Neither,
    }
}
