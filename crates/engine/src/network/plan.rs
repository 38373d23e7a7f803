//! What kernels of our own do of a network's layers, in order: which kernels, and which arrays each of them uses.

use inkling_core::models::{self, Conv, Layer, Shape};
use inkling_kernels::Rectified;

/// A rectifier that leaves everything as it is.
pub const LINEAR: f32 = 1.0;

/// A layer as it is computed: rectifiers join the layer before them.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Standardize { mean: f32, deviation: f32 },
    Conv { conv: Conv, input: Shape, rectifier: Rectifier },
    Dense { inputs: usize, units: usize, rectifier: Rectifier },
    Norm { rectified: Rectified },
    Pool { input: Shape },
    Dropout(f64),
    Flatten,
}

/// The rectifier behind a layer.
#[derive(Clone, Copy, Debug)]
pub struct Rectifier {
    pub slope: f32,
    /// Its way back is done by the normalisation that follows.
    pub back_in_norm: bool,
}

/// Which arrays an op uses: the number of the first one, counted over the network.
#[derive(Clone, Copy)]
pub struct Cursor {
    pub parameter: usize,
    pub statistic: usize,
}

impl Cursor {
    pub fn pass(&mut self, op: &Op) {
        let (parameters, statistics) = op.n_arrays();
        (self.parameter, self.statistic) = (self.parameter + parameters, self.statistic + statistics);
    }

    pub fn back(&mut self, op: &Op) {
        let (parameters, statistics) = op.n_arrays();
        (self.parameter, self.statistic) = (self.parameter - parameters, self.statistic - statistics);
    }
}

impl Op {
    /// Trained arrays and running statistics.
    pub fn n_arrays(&self) -> (usize, usize) {
        match self {
            Self::Conv { conv, .. } => (1 + usize::from(conv.bias), 0),
            Self::Dense { .. } => (2, 0),
            Self::Norm { .. } => (2, 2),
            _ => (0, 0),
        }
    }

    /// What comes out when `input` goes in.
    pub fn output(&self, input: Shape) -> Shape {
        match self {
            Self::Conv { conv, .. } => Layer::Conv(*conv).output(input),
            Self::Dense { units, .. } => Layer::Dense(*units).output(input),
            Self::Pool { .. } => Layer::MaxPool.output(input),
            Self::Flatten => Layer::Flatten.output(input),
            Self::Standardize { .. } | Self::Norm { .. } | Self::Dropout(_) => input,
        }
    }
}

/// Joins each rectifier with the layer before it.
pub fn ops(layers: &[Layer]) -> Vec<Op> {
    let with_inputs: Vec<_> = models::with_inputs(layers).collect();
    let slope = |at: usize| match layers.get(at) {
        Some(Layer::Relu) => Some(0.0),
        Some(Layer::LeakyRelu(slope)) => Some(*slope as f32),
        _ => None,
    };
    let rectifier = |at: usize| Rectifier {
        slope: slope(at + 1).unwrap_or(LINEAR),
        back_in_norm: slope(at + 1).is_some()
            && layers.get(at + 2) == Some(&Layer::BatchNorm)
            && slope(at + 3).is_none(),
    };
    let op = |(at, (layer, input)): (usize, &(Layer, Shape))| {
        let (input, rectifier) = (*input, rectifier(at));
        Some(match *layer {
            Layer::Standardize { mean, deviation } => {
                Op::Standardize { mean: mean as f32, deviation: deviation as f32 }
            }
            Layer::Conv(conv) => Op::Conv { conv, input, rectifier },
            Layer::Dense(units) => Op::Dense { inputs: input.size(), units, rectifier },
            Layer::BatchNorm => Op::Norm { rectified: rectified(at, &slope) },
            Layer::MaxPool => Op::Pool { input },
            Layer::Dropout(rate) => Op::Dropout(rate),
            Layer::Flatten => Op::Flatten,
            // Part of the layer before.
            Layer::Relu | Layer::LeakyRelu(_) => return None,
        })
    };
    with_inputs.iter().enumerate().filter_map(op).collect()
}

fn rectified(at: usize, slope: &impl Fn(usize) -> Option<f32>) -> Rectified {
    match (at.checked_sub(1).and_then(slope), slope(at + 1)) {
        (_, Some(slope)) => Rectified::After(slope),
        (Some(slope), None) => Rectified::Before(slope),
        (None, None) => Rectified::Neither,
    }
}
