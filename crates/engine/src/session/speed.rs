//! How fast the engine trains: some steps of a few networks on synthetic digits, in pieces small enough to interrupt.
//! The network at hand stays as it is.

use std::collections::VecDeque;

use inkling_core::data::{Split, synthetic};
use inkling_core::models;
use inkling_core::protocol::{Event, Fault, Pace, Phase, Progress, SpeedReport};
use inkling_core::spec::{ModelId, Recipe};

use super::Host;
use super::course::device_failed;
use super::crew::Crew;
use crate::batch::{Batch, Picks};
use crate::device::Engine;
use crate::network::DropoutKey;
use crate::train::{Feed, Shelf, Trainer, read_metrics};

/// The networks, the one that takes least first.
const MODELS: [ModelId; 3] = [ModelId::Compact, ModelId::Strided, ModelId::Classic];
/// Images in a step; fewer where a program imitates a graphics card, which takes seconds for each.
const BATCH: usize = 128;
const SOFTWARE_BATCH: usize = 16;
/// Steps are taken for so long for each network.
const BUDGET_SECS: f64 = 3.0;
/// A median of fewer groups of steps means little; only an engine that is very slow has fewer.
const MIN_GROUPS: usize = 5;
/// Nobody waits longer than about this for one network.
const PATIENCE_SECS: f64 = 20.0;
/// A group of steps takes about so long: reading its metrics then costs little, and commands are soon answered.
const GROUP_SECS: f64 = 0.1;
/// Work in flight is bounded, as it is in a run.
const MAX_GROUP: usize = 16;
/// The progress of a whole measurement is told in parts of this.
const PARTS: u64 = 1000;

/// A measurement under way.
pub struct Measuring {
    engine: Engine,
    left: VecDeque<ModelId>,
    trial: Option<Trial>,
    paces: Vec<Pace>,
}

/// One network that takes steps.
struct Trial {
    trainer: Trainer,
    digits: Split,
    shelf: Shelf,
    first_step_secs: f64,
    /// Seconds a step, of each group of steps.
    groups: Vec<f64>,
    n_steps: usize,
    /// Without the first step.
    spent_secs: f64,
}

impl Measuring {
    pub fn new(engine: Engine) -> Self {
        Self { engine, left: MODELS.into(), trial: None, paces: vec![] }
    }

    /// The first step of the next network, or a group of steps. Says whether there is more to do.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn advance(&mut self, crew: &mut Crew, host: &impl Host) -> Result<bool, Fault> {
        match &mut self.trial {
            Some(trial) => trial.take_group(crew, host).await?,
            None => self.begin(crew, host).await?,
        }
        self.tell_progress(host);
        if let Some(trial) = self.trial.take_if(|trial| trial.is_enough()) {
            self.paces.push(trial.pace());
            host.emit(Event::Measured(self.report(crew)));
        }
        Ok(!self.is_over())
    }

    /// What was found so far.
    pub fn report(&self, crew: &Crew) -> SpeedReport {
        SpeedReport { paces: self.paces.clone(), workers: crew.n_shards(), over: self.is_over() }
    }

    fn is_over(&self) -> bool {
        self.trial.is_none() && self.left.front().is_none_or(|next| self.takes_too_long(*next))
    }

    /// Whether a few steps of a network would try the patience, as the network before it shows.
    fn takes_too_long(&self, model: ModelId) -> bool {
        let work = |model| models::training_work(&models::layers(model));
        let step_secs = |pace: &Pace| pace.batch as f64 / pace.images_per_second * work(model) / work(pace.model);
        self.paces.last().is_some_and(|pace| step_secs(pace) * (1 + MIN_GROUPS) as f64 > PATIENCE_SECS)
    }

    async fn begin(&mut self, crew: &mut Crew, host: &impl Host) -> Result<(), Fault> {
        if let Some(model) = self.left.pop_front() {
            let n_images = if self.engine.report.software { SOFTWARE_BATCH } else { BATCH };
            self.trial = Some(Trial::begin(model, n_images, &self.engine, crew, host).await?);
        }
        Ok(())
    }

    fn tell_progress(&self, host: &impl Host) {
        let begun = MODELS.len() - self.left.len() - usize::from(self.trial.is_some());
        let part = self.trial.as_ref().map_or(0.0, |trial| (trial.spent_secs / BUDGET_SECS).min(1.0));
        let done = PARTS as f64 * (begun as f64 + part) / MODELS.len() as f64;
        host.emit(Event::Progress(Progress { phase: Phase::Measure, done: done as u64, total: PARTS }));
    }
}

impl Trial {
    async fn begin(
        model: ModelId,
        n_images: usize,
        engine: &Engine,
        crew: &mut Crew,
        host: &impl Host,
    ) -> Result<Self, Fault> {
        let mut trial = Self {
            trainer: Trainer::new(model, 1, &engine.device),
            digits: synthetic::split(synthetic::SEED, 0, n_images),
            shelf: Shelf::new(),
            first_step_secs: 0.0,
            groups: vec![],
            n_steps: 0,
            spent_secs: 0.0,
        };
        let began = host.now_secs();
        engine.prepare(model, &Recipe::of(model), |_| ()).await?;
        let compiling_secs = host.now_secs() - began;
        trial.first_step_secs = compiling_secs + trial.take_steps(1, crew, host).await?;
        Ok(trial)
    }

    /// Takes some steps; gives the seconds they took together.
    async fn take_steps(&mut self, n_steps: usize, crew: &mut Crew, host: &impl Host) -> Result<f64, Fault> {
        const LEARNING_RATE: f64 = 1e-3;
        let began = host.now_secs();
        let (mut tallies, all) = (vec![], (0..self.digits.len()).collect::<Vec<_>>());
        for _ in 0..n_steps {
            let key = DropoutKey::of(1, self.n_steps + 1);
            let feed = Feed::of(&self.shelf, &self.digits, all.len(), self.trainer.device());
            tallies.push(crew.step(&mut self.trainer, (feed, &Picks::plain(&all)), LEARNING_RATE, key, host).await);
            self.n_steps += 1;
        }
        read_metrics(tallies).await.map_err(device_failed)?;
        Ok(host.now_secs() - began)
    }

    async fn take_group(&mut self, crew: &mut Crew, host: &impl Host) -> Result<(), Fault> {
        let n_steps = match self.groups.last() {
            Some(step_secs) => ((GROUP_SECS / step_secs) as usize).clamp(1, MAX_GROUP),
            None => 1,
        };
        let took = self.take_steps(n_steps, crew, host).await?;
        self.spent_secs += took;
        self.groups.push(took / n_steps as f64);
        Ok(())
    }

    fn is_enough(&self) -> bool {
        let (n_groups, spent) = (self.groups.len(), self.spent_secs);
        (spent >= BUDGET_SECS && n_groups >= MIN_GROUPS) || (spent >= PATIENCE_SECS && n_groups > 0)
    }

    fn pace(&self) -> Pace {
        let (model, batch) = (self.trainer.network().model(), self.digits.len());
        let images_per_second = batch as f64 / median(&self.groups);
        // The first step is apart.
        Pace { model, batch, first_step_secs: self.first_step_secs, n_steps: self.n_steps - 1, images_per_second }
    }
}

/// Multiply-adds a second of a few training steps of the smallest network: tells how long a run will take.
///
/// # Errors
/// When the device has failed.
pub async fn try_out(engine: &Engine, host: &impl Host) -> Result<Option<f64>, Fault> {
    const N_IMAGES: usize = 32;
    const N_STEPS: usize = 4;
    let (model, split) = (ModelId::Compact, synthetic::split(synthetic::SEED, 0, N_IMAGES));
    let batch = Batch::gather(&split, &(0..N_IMAGES).collect::<Vec<_>>(), &engine.device);
    let mut trainer = Trainer::new(model, 1, &engine.device);
    let key = DropoutKey::of(1, 1);
    // The first step finds its buffers; it is not the pace.
    read_metrics(vec![trainer.step(&batch, 1e-3, key)]).await.map_err(device_failed)?;
    let began = host.now_secs();
    let steps = (0..N_STEPS).map(|_| trainer.step(&batch, 1e-3, key)).collect();
    read_metrics(steps).await.map_err(device_failed)?;
    let took = host.now_secs() - began;
    let work = N_STEPS as f64 * models::step_work(&models::layers(model), N_IMAGES);
    Ok((took > 0.0).then(|| work / took))
}

/// The value in the middle; of an even number of values the mean of the two there.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}
