//! What the page and the worker say to each other: [`Command`]s go in, [`Event`]s come out.
//!
//! Closed enums, encoded with postcard, which keeps a NaN loss a NaN. The worker speaks first, with
//! [`Event::Ready`]; commands sent before it would be lost. It never holds a tensor or a browser type.

mod reports;
mod wire;

pub use reports::{
    BestEpoch, CrewReport, DatasetReport, EngineKind, EngineReport, EpochReport, Kernels, NetworkReport, Pace, Phase,
    Picture, Progress, Restored, RunPlan, RunSummary, SpeedReport, StepReport,
};
pub use wire::{DecodeError, decode, encode};

use serde::{Deserialize, Serialize};

use crate::evaluation::Judgement;
use crate::spec::{EngineChoice, ModelId, Prediction, TrainSpec};

/// From the page, or the command line, to the session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Open an engine, and the network that reads with it. Answered by [`Event::Engine`] or [`Event::Failed`].
    Open(EngineRequest),
    /// Begin a new run; a run in progress is stopped first.
    Start(TrainSpec),
    /// Hold after the current step.
    Pause,
    /// Go on after a pause.
    Resume,
    /// One step, then hold again.
    Step,
    /// End the run after the current step. The weights stay.
    Stop,
    /// Take this network to read with: the pretrained one where there is one, else an untrained one. Answered by
    /// [`Event::Using`]. A run in progress is stopped first.
    Use(ModelId),
    /// Judge the network at hand on the test images of the run's settings. Answered by [`Event::Judged`]; a run in
    /// progress goes on afterwards.
    Judge(TrainSpec),
    /// Learn from these IDX files, by name and bytes, where the data set is [`Dropped`](crate::spec::DatasetId::Dropped). Answered by
    /// [`Event::Dataset`] or [`Event::Failed`]; what was there before stays when it fails. A run in progress is stopped
    /// first.
    Files(Vec<(String, Vec<u8>)>),
    /// Measure how fast this engine trains. Answered by [`Event::Measured`]; a run in progress is stopped first, and a
    /// command that would stop a run ends the measuring. On the CPU so many workers share a step, as in a run.
    Measure { workers: usize },
    /// Go on from a snapshot ([`Event::Snapshot`]), or only read with its network. Answered by [`Event::Restored`]; a run in
    /// progress is stopped first. A run from a graphics card that goes on on the CPU is shared by so many workers.
    Restore { snapshot: Vec<u8>, go_on: bool, workers: usize },
    /// Read with every pretrained network of another model too, or with the network at hand alone again. Answered by
    /// [`Event::Together`].
    Together(bool),
    /// Read one image: 784 bytes, row by row, 0 is paper and 255 is ink.
    Predict {
        /// Comes back with the answer, so that late answers can be told from new ones.
        version: u64,
        pixels: Vec<u8>,
    },
}

/// Which engine to open, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRequest {
    pub choice: EngineChoice,
    /// The network that reads first: a graphics card compiles and tests what this one needs.
    pub model: ModelId,
    /// Use a graphics card without testing it.
    pub untested: bool,
    /// In a browser, stand in for methods of WebGPU's classes to have shaders compiled side by side
    /// (`engine/rehearsal.rs`).
    pub patches: bool,
    /// What was found out when a card was opened before: [`EngineReport::kernels`].
    pub kernels: Option<Kernels>,
    /// A run on MNIST begins as soon as the engine is open: fetch it while shaders are compiled.
    pub needs_mnist: bool,
}

impl EngineRequest {
    /// This engine, tested, for this network.
    pub fn new(choice: EngineChoice, model: ModelId) -> Self {
        Self { choice, model, untested: false, patches: true, kernels: None, needs_mnist: false }
    }
}

/// From the session to whoever shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The first message of a worker.
    Ready {
        /// The sources that it was built from.
        build: String,
    },
    /// The engine that will compute, and why.
    Engine(EngineReport),
    /// The network that reads from now on.
    Using(NetworkReport),
    /// The models that read together from now on, that of the network at hand first. While several do, also told when
    /// another network comes to hand.
    Together(Vec<ModelId>),
    /// Something long is under way.
    Progress(Progress),
    /// The images in use.
    Dataset(DatasetReport),
    /// A run begins.
    Started(RunPlan),
    /// All that the run can go on from, should the engine be lost: [`Command::Restore`] takes it. Told every few seconds
    /// and after each epoch where engines can be lost.
    Snapshot(Vec<u8>),
    /// What a snapshot held is at hand again.
    Restored(Restored),
    /// Others compute from now on than before.
    Crew(CrewReport),
    /// Steps done since the last such event.
    Stepped(Vec<StepReport>),
    /// An epoch was trained and validated.
    EpochEnded(EpochReport),
    Paused,
    Resumed,
    /// The run was ended by a command; its weights stay.
    Stopped,
    /// The images of the mistakes that the judgement after this event names, in its order.
    Pictures(Vec<Picture>),
    /// How good the network is on the test images: before [`Event::Finished`], and in answer to [`Command::Judge`].
    Judged(Box<Judgement>),
    /// The run reached its last epoch.
    Finished(RunSummary),
    /// What [`Command::Measure`] has found so far.
    Measured(SpeedReport),
    /// The answer to [`Command::Predict`].
    Predicted {
        version: u64,
        prediction: Prediction,
    },
    /// Something failed; a run in progress is over. Nothing that was shown before is lost.
    Failed(Fault),
    /// The program itself broke down: nothing more comes from this worker.
    Crashed(Fault),
}

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub what: String,
    pub remedy: String,
    /// What else can be done about it, besides what the remedy says.
    pub offer: Option<Offer>,
}

/// Something to do about a fault that a button can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    /// Use a graphics card that failed its self-test ([`EngineRequest::untested`]).
    UseUntested,
    /// Open an engine anew: this one was lost. A run goes on from its last snapshot.
    Reopen,
}

impl Fault {
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), offer: None }
    }

    /// The same with something that a button can do about it.
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. {}", self.what.trim_end_matches('.'), self.remedy)
    }
}
