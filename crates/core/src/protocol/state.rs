//! What a session does: the state of its run, and what it does besides. The session tells it; nothing infers it from
//! other events.

use serde::{Deserialize, Serialize};

/// What a session does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionState {
    /// The state of the run.
    pub run: RunState,
    /// What the session does instead of training, while the run waits or there is none.
    pub activity: Option<Activity>,
}

/// The state of the current or last run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    /// The engine, a model or the images of a run are being loaded.
    #[default]
    Loading,
    /// No run is in progress; one can start.
    Ready,
    /// A run is training or validating.
    Training,
    /// A run is paused.
    Paused,
    /// The last run has ended, after its last epoch or by a command.
    Finished,
    /// The last run, or the command that should have made one possible, failed.
    Failed,
}

impl RunState {
    /// The stable id, which browser tests and scripts use.
    pub fn id(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }
}

/// Work that is not a run. A run in progress waits until it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activity {
    /// A network or an ensemble is being evaluated on test images.
    Evaluating,
    /// The speed of the engine is being measured.
    Measuring,
}
