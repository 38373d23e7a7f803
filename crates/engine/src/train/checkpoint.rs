//! Checkpoints: the complete state of a trainer between two steps, as bytes. A restored trainer continues exactly as the
//! original would have. Never opens a file.
//!
//! A checkpoint is a safetensors file like a [weights file](super::weights_file), with the optimizer's state beside the
//! weights. It contains no random generator: the order of images, their augmentation and the dropout masks follow from
//! seed and step.

use std::collections::HashMap;

use inkling_core::spec::ModelId;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::weights_file::{self, Stored, WeightsFileError};
use crate::network::Array;

/// The prefix of the optimizer's arrays; the number of the array among those of its parameter and the name of the
/// parameter follow.
const OPTIMIZER: &str = "optimizer.";
/// The metadata key of the [`Header`].
const KEY: &str = "checkpoint";

/// Why a checkpoint cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file is not a readable weights file.
    #[error(transparent)]
    WeightsFile(#[from] WeightsFileError),
    /// The file is a weights file without the state of a run.
    #[error("the file holds weights alone, and not where a run was")]
    NoCheckpoint,
    /// The state of the run is not readable.
    #[error("what it says of the run cannot be read ({0})")]
    Header(#[from] serde_json::Error),
}

/// The complete state of a trainer.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The model of the network.
    pub model: ModelId,
    /// The network's arrays, with the raw running statistics.
    pub arrays: Vec<Array>,
    /// The weight that the initial values still have in the running statistics, 0 to 1.
    pub untrained_share: f64,
    /// The optimizer's arrays: the first array of every parameter, then the second of every parameter.
    pub optimizer: Vec<Array>,
    /// Steps that the optimizer has taken.
    pub n_steps: i32,
}

/// The numbers of a state that are not arrays, and the caller's note.
#[derive(Serialize, Deserialize)]
struct Header<T> {
    untrained_share: f64,
    n_steps: i32,
    note: T,
}

/// Writes a state without loss, with a note of the caller.
///
/// # Panics
/// When the note has no JSON form (it contains a map whose keys are not strings), or an array does not have as many
/// values as its shape says.
pub fn save<T: Serialize>(state: &State, note: &T) -> Vec<u8> {
    let header = Header { untrained_share: state.untrained_share, n_steps: state.n_steps, note };
    let header = serde_json::to_string(&header).expect("notes are plain data");
    let stored = state.arrays.iter().chain(&state.optimizer);
    weights_file::write(state.model, stored.map(Stored::of).collect(), HashMap::from([(KEY.into(), header)]))
}

/// Reads a checkpoint from [`save`]: the state and the note.
///
/// # Errors
/// When the bytes are not a checkpoint, or damaged.
pub fn load<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Result<(State, T), CheckpointError> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(WeightsFileError::Header)?;
    let header =
        header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or(CheckpointError::NoCheckpoint)?;
    let Header { untrained_share, n_steps, note } = serde_json::from_str(header)?;
    let file = weights_file::load(bytes)?;
    let (optimizer, arrays) = file.arrays.into_iter().partition(|array| array.name.starts_with(OPTIMIZER));
    Ok((State { model: file.model, arrays, untrained_share, optimizer, n_steps }, note))
}

/// The name of the optimizer's array `number` (from 0) of a parameter.
pub(super) fn optimizer_name(number: usize, parameter: &str) -> String {
    format!("{OPTIMIZER}{number}.{parameter}")
}
