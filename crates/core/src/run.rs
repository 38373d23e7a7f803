//! What is known of a run, folded from its events. Pure: the page and the command line share it.

use crate::evaluation::Judgement;
use crate::protocol::{
    CrewReport, DatasetReport, EngineKind, EngineReport, EpochReport, Event, Fault, NetworkReport, Phase, Picture,
    Progress, Restored, RunPlan, RunSummary, SpeedReport, StepReport,
};
use crate::spec::{ModelId, Prediction};

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The engine or the images are not there yet.
    #[default]
    Loading,
    /// Nothing runs; a run can start.
    Ready,
    Training,
    Paused,
    /// The last run is over, by itself or by command.
    Finished,
    Failed,
}

impl State {
    /// The stable id that scripts read.
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

/// A place where a run went on after its engine was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resumption {
    /// Steps that were not lost.
    pub n_steps: usize,
    /// Where it went on.
    pub engine: Option<EngineKind>,
}

/// Everything that is known of the engine and the current run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    pub state: State,
    pub engine: Option<EngineReport>,
    pub dataset: Option<DatasetReport>,
    pub plan: Option<RunPlan>,
    /// Who computes.
    pub crew: CrewReport,
    /// What is under way at the moment, and how far.
    pub progress: Option<Progress>,
    /// Every step of the run, in order.
    pub steps: Vec<StepReport>,
    /// Training images a second, lately: of the engine and the network at hand.
    pub images_per_second: Option<f64>,
    /// Every epoch of the run, in order.
    pub epochs: Vec<EpochReport>,
    /// How good the network is on the test images, when it was last judged.
    pub judgement: Option<Judgement>,
    /// The images of that judgement's mistakes.
    pub pictures: Vec<Picture>,
    /// Where the run went on after its engine was lost, in order.
    pub resumptions: Vec<Resumption>,
    /// Set when the run reached its last epoch.
    pub summary: Option<RunSummary>,
    /// The network that reads, while it is not one of the run.
    pub network: Option<NetworkReport>,
    /// The models that read together, that of the network at hand first; empty until several do.
    pub readers: Vec<ModelId>,
    /// The network at hand was pretrained or has taken at least one step: its answers are more than chance.
    pub learned: bool,
    /// How fast the engine is, as far as it was measured.
    pub speed: Option<SpeedReport>,
    /// The newest answer, with the version of its question.
    pub prediction: Option<(u64, Prediction)>,
    pub fault: Option<Fault>,
}

impl Run {
    /// What is known after some events.
    pub fn of<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut run = Self::default();
        events.into_iter().for_each(|event| run.apply(event));
        run
    }

    /// Takes one event in. Events of a newer program than this one never get here: see [`Event::Ready`].
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Ready { .. } => self.renew(),
            Event::Engine(report) => {
                self.engine = Some(report.clone());
                self.images_per_second = None;
                self.fault = None;
                self.enter(State::Ready);
            }
            Event::Using(network) => self.take_up(network),
            Event::Together(models) => self.readers = models.clone(),
            Event::Progress(progress) => self.advance(*progress),
            Event::Dataset(report) => self.dataset = Some(report.clone()),
            Event::Started(plan) => self.begin(plan),
            // Its bytes are for whoever keeps them.
            Event::Snapshot(_) => {}
            Event::Restored(restored) => self.restore(restored),
            Event::Crew(report) => self.crew = *report,
            Event::Stepped(steps) => self.step(steps),
            Event::EpochEnded(epoch) => {
                self.epochs.push(*epoch);
                self.progress = None;
            }
            Event::Paused => self.enter(State::Paused),
            Event::Resumed => self.enter(State::Training),
            Event::Stopped => self.enter(State::Finished),
            Event::Pictures(pictures) => self.pictures.clone_from(pictures),
            Event::Judged(judgement) => self.judged(judgement),
            Event::Finished(summary) => {
                self.summary = Some(*summary);
                self.enter(State::Finished);
            }
            Event::Measured(report) => self.measured(report),
            Event::Predicted { version, prediction } => self.prediction = Some((*version, prediction.clone())),
            Event::Failed(fault) | Event::Crashed(fault) => {
                self.fault = Some(fault.clone());
                self.enter(State::Failed);
            }
        }
    }

    /// The epoch that the run is in, from 1.
    pub fn epoch(&self) -> usize {
        self.steps.last().map_or(1, |step| step.epoch)
    }

    /// Steps the whole run will take, once it is known.
    pub fn n_steps(&self) -> Option<usize> {
        self.plan.as_ref().map(|plan| plan.steps_per_epoch * plan.spec.recipe.epochs)
    }

    /// Fraction of the run's steps done, 0 to 1.
    pub fn fraction_done(&self) -> f64 {
        let done = self.steps.last().map_or(0, |step| step.step);
        self.n_steps().map_or(0.0, |total| done as f64 / total.max(1) as f64)
    }

    /// Seconds until the last step at the current pace, validation left out.
    pub fn remaining_secs(&self) -> Option<f64> {
        let plan = self.plan.as_ref()?;
        let left = self.n_steps()?.saturating_sub(self.steps.last()?.step);
        let pace = self.images_per_second?;
        Some((left * plan.spec.recipe.batch) as f64 / pace)
    }

    /// A new worker: it holds no weights and no engine yet. The log of the last run stays to be read.
    pub fn renew(&mut self) {
        self.enter(State::Loading);
        self.engine = None;
        self.images_per_second = None;
        self.prediction = None;
        self.network = None;
        self.crew = CrewReport::default();
        self.readers.clear();
        self.learned = false;
        self.speed = None;
    }

    /// The engine was lost and another is opened; who reads meanwhile knows what the last one knew.
    pub fn reopen(&mut self) {
        let (network, learned) = (self.network.take(), self.learned);
        self.renew();
        (self.network, self.learned) = (network, learned);
    }

    fn measured(&mut self, report: &SpeedReport) {
        self.speed = Some(report.clone());
        let measuring = |progress: &Progress| progress.phase == Phase::Measure;
        if report.over && self.progress.as_ref().is_some_and(measuring) {
            self.progress = None;
        }
    }

    /// A network that was not trained here takes the place of the one at hand.
    fn take_up(&mut self, network: &NetworkReport) {
        self.learned = network.pretrained.is_some();
        self.images_per_second = None;
        self.network = Some(network.clone());
        self.judgement = None;
        self.pictures.clear();
        // What it needs was compiled and tested first. Images are got ready for a run, which is still to come.
        let prepared = |progress: Progress| matches!(progress.phase, Phase::Compile | Phase::SelfTest);
        if self.state == State::Loading && self.engine.is_some() && self.progress.is_some_and(prepared) {
            self.enter(State::Ready);
        }
    }

    /// Judging is over; fetching its images may have made the state one of loading.
    fn judged(&mut self, judgement: &Judgement) {
        self.judgement = Some(judgement.clone());
        if self.state != State::Training {
            self.progress = None;
        }
        if self.state == State::Loading {
            let trained_here = self.plan.is_some() && self.network.is_none();
            self.state = if trained_here { State::Finished } else { State::Ready };
        }
    }

    fn step(&mut self, steps: &[StepReport]) {
        self.steps.extend_from_slice(steps);
        // The first figures of a run come before there is a pace.
        self.images_per_second = steps.last().map(|step| step.images_per_second).filter(|pace| *pace > 0.0);
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
        self.judgement = None;
        self.pictures.clear();
        self.resumptions.clear();
        self.summary = None;
        self.learned = false;
        self.fault = None;
        self.enter(State::Training);
    }

    /// Goes on from a snapshot: what came after it is not true any more.
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
