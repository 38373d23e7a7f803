//! Requests to a session: commands with the ids that answers name.

use serde::{Deserialize, Serialize};

use super::Kernels;
use crate::spec::{DatasetId, EngineChoice, ModelId, SplitId, TrainSpec};

/// Identifies a request. The sender chooses ids that grow; 0 is no request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// A command with its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Every message that belongs to this request names it.
    pub id: RequestId,
    /// What to do.
    pub command: Command,
}

/// What the page or the command line asks of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Opens an engine and loads the model that predicts with it. Answered by [`Event::Engine`](super::Event::Engine) and then
    /// [`Event::ModelLoaded`](super::Event::ModelLoaded), or by [`Event::Failed`](super::Event::Failed).
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
    /// [`Event::ModelLoaded`](super::Event::ModelLoaded). A run in progress is stopped first.
    LoadModel(ModelId),
    /// Loads networks from weights files, as the command line saves them: the first becomes the
    /// current model, and all of them predict together as an ensemble. Answered by [`Event::ModelLoaded`](super::Event::ModelLoaded) for each, and
    /// by [`Event::EnsembleChanged`](super::Event::EnsembleChanged). A run in progress is stopped first.
    LoadWeights(Vec<Vec<u8>>),
    /// Evaluates the current model or the ensemble on test images. Answered by [`Event::Evaluated`](super::Event::Evaluated). A run in progress
    /// waits meanwhile; commands are answered. A network that learned some of these test images is refused.
    Evaluate(EvaluationSpec),
    /// Loads these IDX files, by name and bytes, as the data set [`UserFiles`](crate::spec::DatasetId::UserFiles).
    /// Answered by [`Event::Dataset`](super::Event::Dataset) or [`Event::Failed`](super::Event::Failed); after a failure the previous files stay loaded. A run in
    /// progress is stopped first.
    LoadUserFiles(Vec<(String, Vec<u8>)>),
    /// Measures how fast this engine trains. Answered by [`Event::Measured`](super::Event::Measured). A run in progress is stopped first; any
    /// command that would stop a run ends the measurement.
    Measure {
        /// Number of workers that share a step on the CPU engine, as in a run.
        workers: usize,
    },
    /// Restores a run or its model from a checkpoint ([`Event::Checkpoint`](super::Event::Checkpoint)). Answered by [`Event::Restored`](super::Event::Restored). A run in
    /// progress is stopped first.
    Restore {
        /// The bytes of [`Event::Checkpoint`](super::Event::Checkpoint).
        checkpoint: Vec<u8>,
        /// Continue the run; otherwise only load its model.
        go_on: bool,
        /// Number of workers that share a step where a run from a graphics card continues on the CPU.
        workers: usize,
    },
    /// Switches the ensemble on or off: on, the pretrained networks of all other models predict together with the
    /// current model. Answered by [`Event::EnsembleChanged`](super::Event::EnsembleChanged).
    SetEnsemble(bool),
    /// Classifies images. Answered by [`Event::Predicted`](super::Event::Predicted).
    Predict {
        /// 784 bytes per image, row by row; 0 is paper, 255 is ink.
        pixels: Vec<u8>,
        /// Predict each image also shifted by one pixel to each side, and average: five times the work.
        shifts: bool,
    },
}

impl Command {
    /// The name of the command, without what it holds.
    pub fn name(&self) -> CommandName {
        match self {
            Self::Open(_) => CommandName::Open,
            Self::Start(_) => CommandName::Start,
            Self::Pause => CommandName::Pause,
            Self::Resume => CommandName::Resume,
            Self::Step => CommandName::Step,
            Self::Stop => CommandName::Stop,
            Self::LoadModel(_) => CommandName::LoadModel,
            Self::LoadWeights(_) => CommandName::LoadWeights,
            Self::Evaluate(_) => CommandName::Evaluate,
            Self::LoadUserFiles(_) => CommandName::LoadUserFiles,
            Self::Measure { .. } => CommandName::Measure,
            Self::Restore { .. } => CommandName::Restore,
            Self::SetEnsemble(_) => CommandName::SetEnsemble,
            Self::Predict { .. } => CommandName::Predict,
        }
    }
}

/// The name of a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is documented at the command of its name")]
pub enum CommandName {
    Open,
    Start,
    Pause,
    Resume,
    Step,
    Stop,
    LoadModel,
    LoadWeights,
    Evaluate,
    LoadUserFiles,
    Measure,
    Restore,
    SetEnsemble,
    Predict,
}

impl CommandName {
    /// Whether a run cannot go on, or not begin, after this command failed.
    pub fn ends_run(self) -> bool {
        matches!(self, Self::Open | Self::Start | Self::Restore | Self::LoadModel | Self::LoadWeights)
    }
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

/// Which test images to evaluate on, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluationSpec {
    /// The data set.
    pub dataset: DatasetId,
    /// How its images are split.
    pub split: SplitId,
    /// Seed of the shuffle of [`SplitId::Kaggle`].
    pub split_seed: u64,
    /// Use only the first N test images; `None` uses all.
    pub test_limit: Option<usize>,
    /// Number of workers that share the work on the CPU engine. It does not change the result.
    pub workers: usize,
    /// Evaluate the ensemble; otherwise the current model alone.
    pub ensemble: bool,
    /// Predict each image also shifted by one pixel to each side, and average: five times the work.
    pub shifts: bool,
}

impl EvaluationSpec {
    /// The test images of a run, for the current model alone.
    pub fn of(spec: &TrainSpec) -> Self {
        Self {
            dataset: spec.dataset.clone(),
            split: spec.split,
            split_seed: spec.split_seed,
            test_limit: spec.test_limit,
            workers: spec.workers,
            ensemble: false,
            shifts: false,
        }
    }
}
