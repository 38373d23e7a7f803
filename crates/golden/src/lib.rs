//! Compares the networks with Keras: logits, loss, every gradient and three steps, from files that Keras wrote
//! (`keras/make.py`). A native test and a page in a browser run the same comparisons. Nothing here runs Keras or trains
//! for a user.

pub mod compare;

#[cfg(feature = "gpu")]
pub mod on_gpu;

use inkling_core::spec::ModelId;

/// The networks that others published, which Keras can build: all except our own `sprint`.
pub const PUBLISHED: [ModelId; 5] =
    [ModelId::Compact, ModelId::Strided, ModelId::Leaky, ModelId::Classic, ModelId::Wide];
