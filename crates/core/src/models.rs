//! The model zoo: from a model's id to its layers, layer table, published figures, and estimates of memory and
//! arithmetic. Networks are lists of layers as data; nothing here runs them.

mod classic;
mod compact;
mod layers;
mod leaky;
mod memory;
mod published;
mod sprint;
mod strided;
mod summary;
mod wide;
mod work;

pub use layers::{Conv, Layer, Padding, Role, Shape, with_inputs};
pub use memory::{Memory, memory};
pub use published::{Published, published};
pub use summary::{LayerRow, Summary, names};
pub use work::{forward_work, run_secs, step_work, training_gflops, training_work, workers};

use crate::spec::ModelId;

/// The layers of a model, from the image to the ten logits.
pub fn layers(model: ModelId) -> Vec<Layer> {
    match model {
        ModelId::Compact => compact::layers(),
        ModelId::Strided => strided::layers(),
        ModelId::Leaky => leaky::layers(),
        ModelId::Classic => classic::layers(),
        ModelId::Wide => wide::layers(),
        ModelId::Sprint => sprint::layers(),
    }
}

/// The layer table of a model.
pub fn summary(model: ModelId) -> Summary {
    Summary::of(model, &layers(model))
}
