//! `leaky`: 265,258 parameters, leaky ReLU and seven batch normalisations, with pooling down to a single pixel.
//!
//! Published: test accuracy 99.61 %, loss 0.01665, about 63 epochs. The dropout rates were not published; they are
//! ours.

use super::Layer::{self, BatchNorm, Dense, Dropout, Flatten, LeakyRelu, MaxPool, Standardize};
use super::layers::Conv;

/// Slope for negative inputs: the default of Keras 2's LeakyReLU.
const SLOPE: f64 = 0.3;
const CONV_DROPOUT: f64 = 0.1;
const DENSE_DROPOUT: f64 = 0.2;
/// Mean pixel of MNIST's 60,000 training images, with pixels from 0 to 1. A constant, as in the published Lambda layer.
const MEAN: f64 = 0.130_660_47;
/// Standard deviation of the same pixels.
const DEVIATION: f64 = 0.308_107_8;

/// The layers, from the image to the ten logits.
pub fn layers() -> Vec<Layer> {
    let mut layers = vec![Standardize { mean: MEAN, deviation: DEVIATION }];
    layers.extend([block(32), block(32), pool()].concat()); //                     32×14×14
    layers.extend([block(64), block(64), pool()].concat()); //                     64×7×7
    layers.extend([block(128), pool()].concat()); //                              128×3×3
    layers.extend([block(64), pool()].concat()); //                                64×1×1
    layers.extend([Flatten, BatchNorm, Dropout(DENSE_DROPOUT)]); //                64
    layers.extend([Dense(256), LeakyRelu(SLOPE), Dropout(DENSE_DROPOUT)]);
    layers.extend([Dense(128), LeakyRelu(SLOPE), Dropout(DENSE_DROPOUT)]);
    layers.push(Dense(10));
    layers
}

/// 3×3 convolution, BatchNorm, leaky ReLU.
fn block(filters: usize) -> Vec<Layer> {
    vec![Layer::Conv(Conv::same(filters, 3)), BatchNorm, LeakyRelu(SLOPE)]
}

/// Pooling, which halves the side, and dropout.
fn pool() -> Vec<Layer> {
    vec![MaxPool, Dropout(CONV_DROPOUT)]
}
