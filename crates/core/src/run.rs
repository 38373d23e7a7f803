//! The state of the engine and the current run, computed from the events of a session. The page and the command line
//! share it. It never sends a command.

use crate::protocol::{
    Activity, CommandName, DatasetReport, EngineKind, EngineReport, EpochReport, EvaluationReport, Event, Fault,
    Message, NetworkReport, Phase, PoolReport, Progress, RequestId, Restored, RunPlan, RunState, RunSummary,
    SessionState, SpeedMeasurement, StepReport, TestImage,
};
use crate::spec::ModelId;

mod step_log;
pub use step_log::StepLog;

/// A point at which a run continued from a checkpoint after its engine was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// Number of steps done up to the checkpoint.
    pub n_steps: usize,
    /// The kind of engine that continued the run.
    pub engine: Option<EngineKind>,
}

/// The state of the engine and the current run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The request that started the current or last run.
    pub id: Option<RequestId>,
    /// The state of the run.
    pub state: RunState,
    /// What the session does besides.
    pub activity: Option<Activity>,
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
    /// The steps of the run, in order. Those of a long run are summarised.
    pub steps: StepLog,
    /// Recent training images per second of this engine with the current model.
    pub images_per_second: Option<f64>,
    /// Every epoch of the run, in order.
    pub epochs: Vec<EpochReport>,
    /// The last evaluation of the current model on the test images.
    pub evaluation: Option<EvaluationReport>,
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
    /// The last error.
    pub fault: Option<Fault>,
}

impl Run {
    /// The state after these events of one request, from the default state.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut run = Self::default();
        let request = RequestId(1);
        events.into_iter().for_each(|event| run.apply(&Message { request, event: event.clone() }));
        run
    }

    /// Applies one message. Callers check the build in [`Event::Ready`] and drop workers of another build, whose
    /// messages could mean something else.
    pub fn apply(&mut self, message: &Message) {
        let of_this_run = self.id == Some(message.request);
        match &message.event {
            Event::Ready { .. } => self.on_new_worker(),
            Event::State(state) => self.enter(*state),
            Event::Engine(report) => {
                self.engine = Some(report.clone());
                self.images_per_second = None;
                self.fault = None;
            }
            Event::ModelLoaded(network) => self.load_model(network),
            Event::EnsembleChanged(models) => self.ensemble = models.clone(),
            Event::Progress(progress) => self.progress = Some(*progress),
            Event::Dataset(report) => self.dataset = Some(report.clone()),
            Event::Started(plan) => self.begin(message.request, plan),
            Event::Restored(restored) => self.restore(message.request, restored),
            Event::WorkerPool(report) => self.pool = *report,
            Event::Stepped(steps) if of_this_run => self.add_steps(steps),
            Event::EpochEnded(epoch) if of_this_run => {
                self.epochs.push(*epoch);
                self.progress = None;
            }
            Event::MisclassifiedImages(images) => self.misclassified_images.clone_from(images),
            Event::Evaluated(evaluation) => self.evaluation = Some((**evaluation).clone()),
            Event::Finished(summary) if of_this_run => self.summary = Some(*summary),
            Event::Measured(report) => self.speed = Some(report.clone()),
            Event::Failed { command, fault } => self.fail(*command, fault),
            Event::Crashed(fault) => self.fail(CommandName::Open, fault),
            // The link to the worker stores the bytes of a checkpoint. The pad shows predictions.
            Event::Checkpoint(_) | Event::Stopped | Event::Predicted(_) => {}
            Event::Stepped(_) | Event::EpochEnded(_) | Event::Finished(_) => {}
        }
    }

    /// Shows a request as accepted before the session answers, so that a second click does not send it twice.
    pub fn expect(&mut self, state: SessionState) {
        self.enter(state);
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
        let done = self.steps.n_steps();
        self.n_steps().map_or(0.0, |total| done as f64 / total.max(1) as f64)
    }

    /// Estimated seconds until the last step at the current speed, validation excluded; `None` while it is not known.
    pub fn remaining_secs(&self) -> Option<f64> {
        let plan = self.plan.as_ref()?;
        let remaining_steps = self.n_steps()?.saturating_sub(self.steps.last()?.step);
        let images_per_second = self.images_per_second?;
        Some((remaining_steps * plan.spec.recipe.batch) as f64 / images_per_second)
    }

    /// Resets what a new worker does not have yet: engine, weights and pool. The steps and epochs of the last run stay.
    pub fn on_new_worker(&mut self) {
        self.enter(SessionState::default());
        self.engine = None;
        self.images_per_second = None;
        self.network = None;
        self.pool = PoolReport::default();
        self.ensemble.clear();
        self.learned = false;
        self.speed = None;
    }

    /// Like [`Run::on_new_worker`], but keeps the current model: the engine was lost, and the worker that predicts
    /// until another is open has the weights of the last checkpoint.
    pub fn on_engine_lost(&mut self) {
        let (network, learned) = (self.network.take(), self.learned);
        self.on_new_worker();
        (self.network, self.learned) = (network, learned);
    }

    /// A model that was not trained here replaces the current one.
    fn load_model(&mut self, network: &NetworkReport) {
        self.learned = network.pretrained.is_some();
        self.images_per_second = None;
        self.network = Some(network.clone());
        self.evaluation = None;
        self.misclassified_images.clear();
    }

    fn add_steps(&mut self, steps: &[StepReport]) {
        self.steps.extend(steps);
        // The first steps of a run are reported before the speed is known, as 0.
        self.images_per_second = steps.last().map(|step| step.images_per_second).filter(|speed| *speed > 0.0);
        self.learned |= !steps.is_empty();
        if self.progress.is_some_and(|progress| progress.phase == Phase::FirstStep) {
            self.progress = None;
        }
    }

    /// Another state begins: the progress of the last one is no longer of interest.
    fn enter(&mut self, SessionState { run, activity }: SessionState) {
        if (run, activity) != (self.state, self.activity) {
            self.progress = None;
        }
        (self.state, self.activity) = (run, activity);
    }

    /// A command failed. Only the failure of one that a run depends on is the failure of the run.
    fn fail(&mut self, command: CommandName, fault: &Fault) {
        self.fault = Some(fault.clone());
        if command.ends_run() {
            self.enter(SessionState { run: RunState::Failed, activity: None });
        }
    }

    fn begin(&mut self, id: RequestId, plan: &RunPlan) {
        self.id = Some(id);
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
    }

    /// A run continues from a checkpoint: drops the steps and epochs after it.
    fn restore(&mut self, id: RequestId, restored: &Restored) {
        let Restored { plan, epoch, n_steps, goes_on } = restored;
        (self.network, self.learned, self.fault) = (None, true, None);
        if !goes_on {
            return;
        }
        self.id = Some(id);
        self.plan = Some(plan.clone());
        self.steps.truncate(*n_steps);
        self.epochs.retain(|row| row.epoch < *epoch);
        let engine = self.engine.as_ref().map(|engine| engine.kind);
        self.resumptions.push(Resumption { n_steps: *n_steps, engine });
    }
}

#[cfg(test)]
mod tests;
