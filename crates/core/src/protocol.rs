//! Messages between page and worker: [`Request`]s go to the worker, [`Message`]s come back. The command line uses the
//! same types without encoding them.
//!
//! Every message names the request that it belongs to. A run is named by the request that started it: all its events
//! carry that id, also those that follow from a later [`Command::Pause`] or [`Command::Stop`].
//!
//! Messages are closed enums, encoded with postcard, which keeps a NaN loss a NaN. The worker sends the first message,
//! [`Event::Ready`]; requests sent before it are lost. Messages never hold a tensor or a browser type.

mod fault;
mod reports;
mod requests;
mod state;
mod wire;

pub use fault::{Fault, Offer};
pub use reports::{
    BestEpoch, DatasetReport, EngineKind, EngineReport, EpochReport, EvaluationReport, Kernels, ModelSpeed,
    NetworkReport, Phase, PoolReport, Progress, Restored, RunPlan, RunSummary, SpeedMeasurement, StepReport, TestImage,
};
pub use requests::{Command, CommandName, EngineRequest, EvaluationSpec, Request, RequestId};
pub use state::{Activity, RunState, SessionState};
pub use wire::{DecodeError, decode, encode};

use serde::{Deserialize, Serialize};

use crate::spec::{ModelId, Prediction};

/// An event with the request that it belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The request that the event answers, or that started the run it is about. 0 for [`Event::Ready`],
    /// [`Event::Crashed`] and what the session has no request for.
    pub request: RequestId,
    /// What happened.
    pub event: Event,
}

/// An event of no request, such as what the page itself finds out about a worker.
impl From<Event> for Message {
    fn from(event: Event) -> Self {
        Self { request: RequestId::default(), event }
    }
}

/// What a session reports to the page or the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first message of a worker.
    Ready {
        /// Hash of the sources that the worker was built from, in hexadecimal.
        build: String,
    },
    /// What the session does now. Sent at every change, and once more after a request that changed nothing.
    State(SessionState),
    /// The engine that is open now, and why it was chosen.
    Engine(EngineReport),
    /// Another model is loaded and predicts from now on.
    ModelLoaded(NetworkReport),
    /// The models whose predictions are averaged from now on, the current model first. While the ensemble is on, it is
    /// also sent when another model is loaded.
    EnsembleChanged(Vec<ModelId>),
    /// Progress of a long operation.
    Progress(Progress),
    /// The images in use.
    Dataset(DatasetReport),
    /// A run starts.
    Started(RunPlan),
    /// Everything needed to continue the run if the engine is lost, as bytes for [`Command::Restore`]. Sent every few
    /// seconds and after each epoch, where engines can be lost.
    Checkpoint(Vec<u8>),
    /// A checkpoint was restored.
    Restored(Restored),
    /// The number of workers that compute has changed.
    WorkerPool(PoolReport),
    /// The steps since the last such event.
    Stepped(Vec<StepReport>),
    /// An epoch was trained and validated.
    EpochEnded(EpochReport),
    /// The run was ended by another request. Its weights stay loaded.
    Stopped,
    /// The images that the next [`Event::Evaluated`] lists as misclassified, in the same order.
    MisclassifiedImages(Vec<TestImage>),
    /// Metrics on the test images. Sent before [`Event::Finished`] and in answer to [`Command::Evaluate`].
    Evaluated(Box<EvaluationReport>),
    /// The run completed its last epoch.
    Finished(RunSummary),
    /// The results so far of [`Command::Measure`].
    Measured(SpeedMeasurement),
    /// The answer to [`Command::Predict`]: one prediction per image, of the current model or of the ensemble.
    Predicted(Vec<Prediction>),
    /// A command failed, or the run that it started. [`Event::State`] says whether a run has ended with it. Everything
    /// shown so far remains valid.
    Failed {
        /// The command that failed.
        command: CommandName,
        /// What went wrong, and the remedy.
        fault: Fault,
    },
    /// The worker crashed and sends nothing more.
    Crashed(Fault),
}
