//! Messages between page and worker: [`Command`]s go to the worker, [`Event`]s come back. The command line uses the
//! same messages without encoding them.
//!
//! Messages are closed enums, encoded with postcard, which keeps a NaN loss a NaN. The worker sends the first message,
//! [`Event::Ready`]; commands sent before it are lost. Messages never hold a tensor or a browser type.

mod reports;
mod wire;

pub use reports::{
    BestEpoch, DatasetReport, EngineKind, EngineReport, EpochReport, Kernels, ModelSpeed, NetworkReport, Phase,
    PoolReport, Progress, Restored, RunPlan, RunSummary, SpeedMeasurement, StepReport, TestImage,
};
pub use wire::{DecodeError, decode, encode};

use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;
use crate::spec::{EngineChoice, ModelId, Prediction, TrainSpec};

/// A message from the page or the command line to the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Opens an engine and loads the model that predicts with it. Answered by [`Event::Engine`] and then
    /// [`Event::ModelLoaded`], or by [`Event::Failed`].
    Open(EngineRequest),
    /// Starts a new run. A run in progress is stopped first.
    Start(TrainSpec),
    /// Pauses the run after the current step.
    Pause,
    /// Continues a paused run.
    Resume,
    /// Trains one step of a paused run, then pauses again.
    Step,
    /// Ends the run after the current step. Its weights stay loaded.
    Stop,
    /// Loads the pretrained weights of a model, or untrained weights where it has none. Answered by
    /// [`Event::ModelLoaded`]. A run in progress is stopped first.
    LoadModel(ModelId),
    /// Evaluates the current model on the test images of these settings. Answered by [`Event::Evaluated`]. A run in
    /// progress continues afterwards.
    Evaluate(TrainSpec),
    /// Loads these IDX files, by name and bytes, as the data set [`UserFiles`](crate::spec::DatasetId::UserFiles).
    /// Answered by [`Event::Dataset`] or [`Event::Failed`]; after a failure the previous files stay loaded. A run in
    /// progress is stopped first.
    LoadUserFiles(Vec<(String, Vec<u8>)>),
    /// Measures how fast this engine trains. Answered by [`Event::Measured`]. A run in progress is stopped first; any
    /// command that would stop a run ends the measurement.
    Measure {
        /// Number of workers that share a step on the CPU engine, as in a run.
        workers: usize,
    },
    /// Restores a run or its model from a snapshot ([`Event::Snapshot`]). Answered by [`Event::Restored`]. A run in
    /// progress is stopped first.
    Restore {
        /// The bytes of [`Event::Snapshot`].
        snapshot: Vec<u8>,
        /// Continue the run; otherwise only load its model.
        go_on: bool,
        /// Number of workers that share a step where a run from a graphics card continues on the CPU.
        workers: usize,
    },
    /// Switches the ensemble on or off: on, the pretrained networks of all other models predict together with the
    /// current model. Answered by [`Event::EnsembleChanged`].
    SetEnsemble(bool),
    /// Classifies one image. Answered by [`Event::Predicted`].
    Predict {
        /// Returned with the answer, so that the page can drop late answers.
        version: u64,
        /// 784 bytes, row by row; 0 is paper, 255 is ink.
        pixels: Vec<u8>,
    },
}

/// The engine to open, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRequest {
    /// The engine asked for.
    pub choice: EngineChoice,
    /// The model to load first. A graphics card compiles and tests the kernels of this model before it opens.
    pub model: ModelId,
    /// Use a graphics card without its self-test.
    pub untested: bool,
    /// In a browser, replace methods of WebGPU's classes so that shaders compile in parallel
    /// (`crates/engine/src/device/precompile.rs`).
    pub patches: bool,
    /// The kernel choice measured when this card was last opened: [`EngineReport::kernels`].
    pub kernels: Option<Kernels>,
    /// A run on MNIST starts as soon as the engine is open: fetch MNIST while shaders compile.
    pub needs_mnist: bool,
}

impl EngineRequest {
    /// A request for an engine with self-test and patches, without a known kernel choice.
    pub fn new(choice: EngineChoice, model: ModelId) -> Self {
        Self { choice, model, untested: false, patches: true, kernels: None, needs_mnist: false }
    }
}

/// A message from the session to the page or the command line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first message of a worker.
    Ready {
        /// Hash of the sources that the worker was built from, in hexadecimal.
        build: String,
    },
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
    Snapshot(Vec<u8>),
    /// A snapshot was restored.
    Restored(Restored),
    /// The number of workers that compute has changed.
    WorkerPool(PoolReport),
    /// The steps since the last such event.
    Stepped(Vec<StepReport>),
    /// An epoch was trained and validated.
    EpochEnded(EpochReport),
    /// The run is paused.
    Paused,
    /// The run continues after a pause.
    Resumed,
    /// The run was ended by a command. Its weights stay loaded.
    Stopped,
    /// The images that the next [`Event::Evaluated`] lists as misclassified, in the same order.
    MisclassifiedImages(Vec<TestImage>),
    /// Metrics of the current model on the test images. Sent before [`Event::Finished`] and in answer to
    /// [`Command::Evaluate`].
    Evaluated(Box<Evaluation>),
    /// The run completed its last epoch.
    Finished(RunSummary),
    /// The results so far of [`Command::Measure`].
    Measured(SpeedMeasurement),
    /// The answer to [`Command::Predict`].
    Predicted {
        /// The version of the command.
        version: u64,
        /// The prediction of the current model, or of the ensemble.
        prediction: Prediction,
    },
    /// A command or the run failed; a run in progress has ended. Everything shown so far remains valid.
    Failed(Fault),
    /// The worker crashed and sends nothing more.
    Crashed(Fault),
}

/// An error for the user: what went wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What went wrong, as a sentence.
    pub what: String,
    /// What the user can do, as a sentence.
    pub remedy: String,
    /// A remedy that the page offers as a button, in addition to the sentence.
    pub offer: Option<Offer>,
}

/// A remedy that the page offers as a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    /// Use a graphics card that failed its self-test ([`EngineRequest::untested`]).
    UseUntested,
    /// Open a new engine, because this one was lost. A run continues from its last snapshot.
    Reopen,
}

impl Fault {
    /// An error without a button.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), offer: None }
    }

    /// The same error with a remedy that the page offers as a button.
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }
}

/// Prints both sentences.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. {}", self.what.trim_end_matches('.'), self.remedy)
    }
}
