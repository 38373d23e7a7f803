//! The networks held to Keras: logits, loss, every gradient and three steps, from files that Keras made (`keras/make.py`). The
//! native test and a page in a browser compare the same.

pub mod compare;

#[cfg(feature = "gpu")]
pub mod bending;
#[cfg(feature = "gpu")]
pub mod dropping;
#[cfg(feature = "gpu")]
pub mod recording;
#[cfg(feature = "gpu")]
pub mod tiling;

use inkling_core::spec::ModelId;

/// All but `sprint`, which is ours: Keras knows nothing of it.
pub const PUBLISHED: [ModelId; 5] =
    [ModelId::Compact, ModelId::Strided, ModelId::Leaky, ModelId::Classic, ModelId::Wide];
