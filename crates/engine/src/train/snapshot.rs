//! A trainer in bytes, as it is between two steps: what goes on from them goes on as if nothing had happened.
//!
//! A safetensors file like that of a [`checkpoint`](super::checkpoint), with the optimizer's state beside the weights. The
//! order of images, how they are bent and what is dropped follow from seed and step, so no generator is kept.

use std::collections::HashMap;

use inkling_core::spec::ModelId;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::checkpoint::{self, CheckpointError, Stored};
use crate::network::Array;

/// What the optimizer's arrays are called: this, the number of the array among those of a parameter, and the parameter.
const OPTIMIZER: &str = "optimizer.";
/// Where the header holds the numbers that belong to no array, and what the caller adds.
const KEY: &str = "snapshot";

/// A snapshot that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("the file holds weights alone, and not where a run was")]
    NoSnapshot,
    #[error("what it says of the run cannot be read ({0})")]
    Header(#[from] serde_json::Error),
}

/// Everything that a trainer goes on from.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub model: ModelId,
    /// The network's arrays, its running statistics as they are.
    pub arrays: Vec<Array>,
    /// How much of those statistics is still their initial values.
    pub untrained_share: f64,
    /// The optimizer's arrays: the first of each parameter, then the second of each.
    pub optimizer: Vec<Array>,
    /// Steps that the optimizer has taken.
    pub n_steps: i32,
}

/// The numbers of a state that belong to no array.
#[derive(Serialize, Deserialize)]
struct Header<T> {
    untrained_share: f64,
    n_steps: i32,
    note: T,
}

/// Writes a state and a note, bit by bit as they are.
///
/// # Panics
/// When the note cannot be JSON: it has a map whose keys are no strings.
pub fn save<T: Serialize>(state: &State, note: &T) -> Vec<u8> {
    let header = Header { untrained_share: state.untrained_share, n_steps: state.n_steps, note };
    let header = serde_json::to_string(&header).expect("notes are plain data");
    let stored = state.arrays.iter().chain(&state.optimizer);
    checkpoint::write(state.model, stored.map(Stored::of).collect(), HashMap::from([(KEY.into(), header)]))
}

/// Reads what [`save`] wrote.
///
/// # Errors
/// When the bytes are no snapshot, or damaged.
pub fn load<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<(State, T), SnapshotError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(CheckpointError::Header)?;
    let header = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or(SnapshotError::NoSnapshot)?;
    let Header { untrained_share, n_steps, note } = serde_json::from_str(header)?;
    let file = checkpoint::load(bytes)?;
    let (optimizer, arrays) = file.arrays.into_iter().partition(|array| array.name.starts_with(OPTIMIZER));
    Ok((State { model: file.model, arrays, untrained_share, optimizer, n_steps }, note))
}

/// The name of the optimizer's array for a parameter.
pub(super) fn optimizer_name(number: usize, parameter: &str) -> String {
    format!("{OPTIMIZER}{number}.{parameter}")
}
