//! `wide`: 42,579,946 parameters, an entry to Kaggle's "Digit Recognizer" competition.
//!
//! No accuracy was published, only the split (37,800 / 4,200 / 28,000). The dropout rates were not published; they are
//! ours.

use super::Layer::{self, Dense, Dropout, Flatten, MaxPool, Relu};
use super::layers::Conv;

const CONV_DROPOUT: f64 = 0.25;
const DENSE_DROPOUT: f64 = 0.5;

/// The layers, from the image to the ten logits.
pub fn layers() -> Vec<Layer> {
    let mut layers = [stage(32, 5), stage(64, 3)].concat(); //                     64×7×7
    layers.extend([Flatten, Dense(8192), Relu, Dropout(DENSE_DROPOUT)]);
    layers.extend([Dense(2048), Relu, Dropout(DENSE_DROPOUT), Dense(10)]);
    layers
}

/// Two convolutions, then pooling, which halves the side, and dropout.
fn stage(filters: usize, kernel: usize) -> Vec<Layer> {
    let conv = Layer::Conv(Conv::same(filters, kernel));
    vec![conv, Relu, conv, Relu, MaxPool, Dropout(CONV_DROPOUT)]
}
