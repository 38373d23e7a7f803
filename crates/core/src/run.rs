//! The state of the engine and the current run, computed from the events of a session. The page and the command line
//! share it. It never sends a command.

use crate::evaluation::Evaluation;
use crate::protocol::{
    DatasetReport, EngineKind, EngineReport, EpochReport, Event, Fault, NetworkReport, Phase, PoolReport, Progress,
    Restored, RunPlan, RunSummary, SpeedMeasurement, StepReport, TestImage,
};
use crate::spec::{ModelId, Prediction};

/// The state of the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The engine or the images are being loaded.
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
    /// The last command or run failed.
    Failed,
}

impl State {
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

/// A point at which a run continued from a snapshot after its engine was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// Number of steps done up to the snapshot.
    pub n_steps: usize,
    /// The kind of engine that continued the run.
    pub engine: Option<EngineKind>,
}

/// The state of the engine and the current run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The state of the session.
    pub state: State,
    /// The open engine.
    pub engine: Option<EngineReport>,
    /// The images in use.
    pub dataset: Option<DatasetReport>,
    /// Settings and size of the current or last run.
    pub plan: Option<RunPlan>,
    /// The workers that compute.
    pub pool: PoolReport,
    /// Progress of the long operation in progress.
    pub progress: Option<Progress>,
    /// Every step of the run, in order.
    pub steps: Vec<StepReport>,
    /// Recent training images per second of this engine with the current model.
    pub images_per_second: Option<f64>,
    /// Every epoch of the run, in order.
    pub epochs: Vec<EpochReport>,
    /// The last evaluation of the current model on the test images.
    pub evaluation: Option<Evaluation>,
    /// The images that this evaluation lists as misclassified.
    pub misclassified_images: Vec<TestImage>,
    /// The points at which the run continued after its engine was lost, in order.
    pub resumptions: Vec<Resumption>,
    /// The result of the run, once it completed its last epoch.
    pub summary: Option<RunSummary>,
    /// The model that was loaded without training it here; `None` while the model is that of the run.
    pub network: Option<NetworkReport>,
    /// The models of the ensemble, the current model first; empty before the first [`Event::EnsembleChanged`].
    pub ensemble: Vec<ModelId>,
    /// Whether the current model is pretrained or has trained at least one step: it predicts better than chance.
    pub learned: bool,
    /// The speed measurement of the engine, complete or in progress.
    pub speed: Option<SpeedMeasurement>,
    /// The latest prediction, with the version of its [`Command::Predict`](crate::protocol::Command::Predict).
    pub prediction: Option<(u64, Prediction)>,
    /// The last error.
    pub fault: Option<Fault>,
}

impl Run {
    /// The state after these events, from the default state.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut run = Self::default();
        events.into_iter().for_each(|event| run.apply(event));
        run
    }

    /// Applies one event. Callers check the build in [`Event::Ready`] and drop workers of another build, whose events
    /// could mean something else.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Ready { .. } => self.renew(),
            Event::Engine(report) => {
                self.engine = Some(report.clone());
                self.images_per_second = None;
                self.fault = None;
                self.enter(State::Ready);
            }
            Event::ModelLoaded(network) => self.load_model(network),
            Event::EnsembleChanged(models) => self.ensemble = models.clone(),
            Event::Progress(progress) => self.advance(*progress),
            Event::Dataset(report) => self.dataset = Some(report.clone()),
            Event::Started(plan) => self.begin(plan),
            // The link to the worker stores the bytes.
            Event::Snapshot(_) => {}
            Event::Restored(restored) => self.restore(restored),
            Event::WorkerPool(report) => self.pool = *report,
            Event::Stepped(steps) => self.add_steps(steps),
            Event::EpochEnded(epoch) => {
                self.epochs.push(*epoch);
                self.progress = None;
            }
            Event::Paused => self.enter(State::Paused),
            Event::Resumed => self.enter(State::Training),
            Event::Stopped => self.enter(State::Finished),
            Event::MisclassifiedImages(misclassified_images) => {
                self.misclassified_images.clone_from(misclassified_images)
            }
            Event::Evaluated(evaluation) => self.set_evaluation(evaluation),
            Event::Finished(summary) => {
                self.summary = Some(*summary);
                self.enter(State::Finished);
            }
            Event::Measured(report) => self.set_speed(report),
            Event::Predicted { version, prediction } => self.prediction = Some((*version, prediction.clone())),
            Event::Failed(fault) | Event::Crashed(fault) => {
                self.fault = Some(fault.clone());
                self.enter(State::Failed);
            }
        }
    }

    /// The current epoch, from 1.
    pub fn epoch(&self) -> usize {
        self.steps.last().map_or(1, |step| step.epoch)
    }

    /// Number of steps of the whole run; `None` before a run.
    pub fn n_steps(&self) -> Option<usize> {
        self.plan.as_ref().map(|plan| plan.steps_per_epoch * plan.spec.recipe.epochs)
    }

    /// Fraction of the run's steps done, 0 to 1; 0 before a run.
    pub fn fraction_done(&self) -> f64 {
        let done = self.steps.last().map_or(0, |step| step.step);
        self.n_steps().map_or(0.0, |total| done as f64 / total.max(1) as f64)
    }

    /// Estimated seconds until the last step at the current speed, validation excluded; `None` while it is not known.
    pub fn remaining_secs(&self) -> Option<f64> {
        let plan = self.plan.as_ref()?;
        let remaining_steps = self.n_steps()?.saturating_sub(self.steps.last()?.step);
        let images_per_second = self.images_per_second?;
        Some((remaining_steps * plan.spec.recipe.batch) as f64 / images_per_second)
    }

    /// Resets what a new worker does not have yet: engine, weights, predictions and pool. The steps and epochs of the
    /// last run stay.
    pub fn renew(&mut self) {
        self.enter(State::Loading);
        self.engine = None;
        self.images_per_second = None;
        self.prediction = None;
        self.network = None;
        self.pool = PoolReport::default();
        self.ensemble.clear();
        self.learned = false;
        self.speed = None;
    }

    /// Like [`Run::renew`], but keeps the current model: the engine was lost, and the worker that predicts until
    /// another is open has the weights of the last snapshot.
    pub fn reopen(&mut self) {
        let (network, learned) = (self.network.take(), self.learned);
        self.renew();
        (self.network, self.learned) = (network, learned);
    }

    fn set_speed(&mut self, report: &SpeedMeasurement) {
        self.speed = Some(report.clone());
        let measures = |progress: &Progress| progress.phase == Phase::Measure;
        if report.over && self.progress.as_ref().is_some_and(measures) {
            self.progress = None;
        }
    }

    /// A model that was not trained here replaces the current one.
    fn load_model(&mut self, network: &NetworkReport) {
        self.learned = network.pretrained.is_some();
        self.images_per_second = None;
        self.network = Some(network.clone());
        self.evaluation = None;
        self.misclassified_images.clear();
        // Compiling and testing belong to this model and are done now. Loading images belongs to a run that is still to
        // start.
        let prepares = |progress: Progress| matches!(progress.phase, Phase::Compile | Phase::SelfTest);
        if self.state == State::Loading && self.engine.is_some() && self.progress.is_some_and(prepares) {
            self.enter(State::Ready);
        }
    }

    /// The evaluation is done. Fetching its images may have set the state to [`State::Loading`].
    fn set_evaluation(&mut self, evaluation: &Evaluation) {
        self.evaluation = Some(evaluation.clone());
        if self.state != State::Training {
            self.progress = None;
        }
        if self.state == State::Loading {
            let trained_here = self.plan.is_some() && self.network.is_none();
            self.state = if trained_here { State::Finished } else { State::Ready };
        }
    }

    fn add_steps(&mut self, steps: &[StepReport]) {
        self.steps.extend_from_slice(steps);
        // The first steps of a run are reported before the speed is known, as 0.
        self.images_per_second = steps.last().map(|step| step.images_per_second).filter(|speed| *speed > 0.0);
        self.learned |= !steps.is_empty();
        if self.progress.is_some_and(|progress| progress.phase == Phase::FirstStep) {
            self.progress = None;
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        if state != State::Training {
            self.progress = None;
        }
    }

    fn advance(&mut self, progress: Progress) {
        self.progress = Some(progress);
        if matches!(
            progress.phase,
            Phase::Engine | Phase::Compile | Phase::SelfTest | Phase::Fetch | Phase::Unpack | Phase::Data
        ) {
            self.state = State::Loading;
        }
    }

    fn begin(&mut self, plan: &RunPlan) {
        self.plan = Some(plan.clone());
        self.network = None;
        self.images_per_second = None;
        self.steps.clear();
        self.epochs.clear();
        self.evaluation = None;
        self.misclassified_images.clear();
        self.resumptions.clear();
        self.summary = None;
        self.learned = false;
        self.fault = None;
        self.enter(State::Training);
    }

    /// A run continues from a snapshot: drops the steps and epochs after it.
    fn restore(&mut self, restored: &Restored) {
        let Restored { plan, epoch, n_steps, goes_on } = restored;
        (self.network, self.learned, self.fault) = (None, true, None);
        if !goes_on {
            return self.enter(State::Finished);
        }
        self.plan = Some(plan.clone());
        self.steps.retain(|step| step.step <= *n_steps);
        self.epochs.retain(|row| row.epoch < *epoch);
        let engine = self.engine.as_ref().map(|engine| engine.kind);
        self.resumptions.push(Resumption { n_steps: *n_steps, engine });
        self.enter(State::Training);
    }
}

#[cfg(test)]
mod tests;
