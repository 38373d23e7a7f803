//! The zoo's front door: from a model's id to its layers, its summary and a network that computes.

mod compact;
mod layers;
mod network;
mod summary;

pub use layers::{Layer, Shape};
pub use network::{Array, Dropouts, ForwardPass, Network, WeightsError};
pub use summary::{LayerRow, Summary};

use crate::spec::ModelId;

/// The layers of a model, from the image to the ten logits.
pub fn layers(model: ModelId) -> Vec<Layer> {
    match model {
        ModelId::Compact => compact::layers(),
    }
}

/// The layer table of a model.
pub fn summary(model: ModelId) -> Summary {
    Summary::of(model, &layers(model))
}
