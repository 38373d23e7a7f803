//! Measures how fast the engine trains: a few steps of a few networks on synthetic digits, in pieces short enough to
//! interrupt. Never changes the current network.

use std::collections::VecDeque;

use inkling_core::data::{Split, synthetic};
use inkling_core::models;
use inkling_core::protocol::{Event, Fault, ModelSpeed, Phase, Progress, SpeedMeasurement};
use inkling_core::spec::{ModelId, Recipe};

use super::training_run::device_failed;
use super::worker_pool::WorkerPool;
use super::{Host, Reply};
use crate::batch::{Batch, BatchPlan};
use crate::device::Engine;
use crate::network::DropoutKey;
use crate::train::{BatchSource, ImageCache, Trainer, read_metrics};

/// The networks to measure, in order of increasing work per step.
const MODELS: [ModelId; 3] = [ModelId::Compact, ModelId::Strided, ModelId::Classic];
/// Images in a step.
const BATCH: usize = 128;
/// Images in a step on a software adapter, which takes seconds for each step.
const SOFTWARE_BATCH: usize = 16;
/// How long each network takes steps.
const BUDGET_SECS: f64 = 3.0;
/// The fewest groups of steps for a meaningful median; only a very slow engine takes fewer.
const MIN_GROUPS: usize = 5;
/// The longest time to measure one network, approximately.
const TIMEOUT_SECS: f64 = 20.0;
/// The target duration of a group of steps: long enough that reading its metrics costs little, short enough that
/// commands are answered soon.
const GROUP_SECS: f64 = 0.1;
/// The most steps in a group: bounds the work in flight, as in a training run.
const MAX_GROUP: usize = 16;
/// The progress of the whole measurement counts to this.
const PROGRESS_TOTAL: u64 = 1000;

/// A speed measurement in progress.
pub struct SpeedTest {
    engine: Engine,
    /// The models that are not yet measured.
    remaining: VecDeque<ModelId>,
    trial: Option<Trial>,
    speeds: Vec<ModelSpeed>,
}

/// The measurement of one network.
struct Trial {
    trainer: Trainer,
    digits: Split,
    cache: ImageCache,
    /// Includes the time to compile shaders.
    first_step_secs: f64,
    /// Mean seconds per step of each group of steps.
    groups: Vec<f64>,
    n_steps: usize,
    /// Duration of all steps but the first.
    spent_secs: f64,
}

impl SpeedTest {
    /// A measurement of all networks on this engine, not yet begun.
    pub fn new(engine: Engine) -> Self {
        Self { engine, remaining: MODELS.into(), trial: None, speeds: vec![] }
    }

    /// Takes the first step of the next network, or a group of steps of the current one. Returns whether work remains.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn advance(&mut self, pool: &mut WorkerPool, reply: &Reply<impl Host>) -> Result<bool, Fault> {
        match &mut self.trial {
            Some(trial) => trial.take_group(pool, reply).await?,
            None => self.begin_trial(pool, reply).await?,
        }
        self.emit_progress(reply);
        if let Some(trial) = self.trial.take_if(|trial| trial.is_complete()) {
            self.speeds.push(trial.speed());
            reply.emit(Event::Measured(self.report(pool)));
        }
        Ok(!self.is_over())
    }

    /// The speeds measured so far.
    pub fn report(&self, pool: &WorkerPool) -> SpeedMeasurement {
        SpeedMeasurement { speeds: self.speeds.clone(), workers: pool.n_shards(), over: self.is_over() }
    }

    fn is_over(&self) -> bool {
        self.trial.is_none() && self.remaining.front().is_none_or(|next| self.takes_too_long(*next))
    }

    /// Whether the fewest meaningful steps of a model would exceed [`TIMEOUT_SECS`], extrapolated from the model
    /// measured before it.
    fn takes_too_long(&self, model: ModelId) -> bool {
        let work = |model| models::training_work(&models::layers(model));
        let step_secs =
            |known: &ModelSpeed| known.batch as f64 / known.images_per_second * work(model) / work(known.model);
        self.speeds.last().is_some_and(|known| step_secs(known) * (1 + MIN_GROUPS) as f64 > TIMEOUT_SECS)
    }

    async fn begin_trial(&mut self, pool: &mut WorkerPool, reply: &Reply<impl Host>) -> Result<(), Fault> {
        if let Some(model) = self.remaining.pop_front() {
            let n_images = if self.engine.report.software { SOFTWARE_BATCH } else { BATCH };
            self.trial = Some(Trial::begin(model, n_images, &self.engine, pool, reply).await?);
        }
        Ok(())
    }

    fn emit_progress(&self, reply: &Reply<impl Host>) {
        let n_measured = MODELS.len() - self.remaining.len() - usize::from(self.trial.is_some());
        let fraction = self.trial.as_ref().map_or(0.0, |trial| (trial.spent_secs / BUDGET_SECS).min(1.0));
        let done = PROGRESS_TOTAL as f64 * (n_measured as f64 + fraction) / MODELS.len() as f64;
        reply.emit(Event::Progress(Progress { phase: Phase::Measure, done: done as u64, total: PROGRESS_TOTAL }));
    }
}

impl Trial {
    /// Prepares the engine for a model, and takes its first step.
    async fn begin(
        model: ModelId,
        n_images: usize,
        engine: &Engine,
        pool: &mut WorkerPool,
        reply: &Reply<impl Host>,
    ) -> Result<Self, Fault> {
        let mut trial = Self {
            trainer: Trainer::new(model, 1, &engine.device),
            digits: synthetic::split(synthetic::SEED, 0, n_images),
            cache: ImageCache::new(),
            first_step_secs: 0.0,
            groups: vec![],
            n_steps: 0,
            spent_secs: 0.0,
        };
        let began_secs = reply.now_secs();
        engine.prepare(model, &Recipe::of(model), |_| ()).await?;
        let prepare_secs = reply.now_secs() - began_secs;
        trial.first_step_secs = prepare_secs + trial.take_steps(1, pool, reply).await?;
        Ok(trial)
    }

    /// Takes `n_steps` steps, and returns the seconds they took in total.
    async fn take_steps(
        &mut self,
        n_steps: usize,
        pool: &mut WorkerPool,
        reply: &Reply<impl Host>,
    ) -> Result<f64, Fault> {
        const LEARNING_RATE: f64 = 1e-3;
        let began_secs = reply.now_secs();
        let (mut pending, indices) = (vec![], (0..self.digits.len()).collect::<Vec<_>>());
        let plan = BatchPlan::plain(&indices);
        for _ in 0..n_steps {
            let key = DropoutKey::of(1, self.n_steps + 1);
            let source = BatchSource::of(&self.cache, &self.digits, indices.len(), self.trainer.device());
            pending.push(pool.step(&mut self.trainer, (source, &plan), LEARNING_RATE, key, reply).await);
            self.n_steps += 1;
        }
        // Reading the metrics waits for the device to finish the steps.
        read_metrics(pending).await.map_err(device_failed)?;
        Ok(reply.now_secs() - began_secs)
    }

    async fn take_group(&mut self, pool: &mut WorkerPool, reply: &Reply<impl Host>) -> Result<(), Fault> {
        let n_steps = match self.groups.last() {
            Some(step_secs) => ((GROUP_SECS / step_secs) as usize).clamp(1, MAX_GROUP),
            None => 1,
        };
        let group_secs = self.take_steps(n_steps, pool, reply).await?;
        self.spent_secs += group_secs;
        self.groups.push(group_secs / n_steps as f64);
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let (n_groups, spent_secs) = (self.groups.len(), self.spent_secs);
        (spent_secs >= BUDGET_SECS && n_groups >= MIN_GROUPS) || (spent_secs >= TIMEOUT_SECS && n_groups > 0)
    }

    fn speed(&self) -> ModelSpeed {
        let (model, batch) = (self.trainer.network().model(), self.digits.len());
        let images_per_second = batch as f64 / median(&self.groups);
        // The first step is reported separately: it compiles shaders and allocates buffers.
        ModelSpeed { model, batch, first_step_secs: self.first_step_secs, n_steps: self.n_steps - 1, images_per_second }
    }
}

/// Measures the multiply-adds per second of a few training steps of the smallest network, from which the duration of a
/// run is estimated. `None` when the host's clock does not advance.
///
/// # Errors
/// When the device has failed.
pub async fn measure_work_per_sec(engine: &Engine, host: &impl Host) -> Result<Option<f64>, Fault> {
    const N_IMAGES: usize = 32;
    const N_STEPS: usize = 4;
    let (model, split) = (ModelId::Compact, synthetic::split(synthetic::SEED, 0, N_IMAGES));
    let batch = Batch::gather(&split, &(0..N_IMAGES).collect::<Vec<_>>(), &engine.device);
    let mut trainer = Trainer::new(model, 1, &engine.device);
    let key = DropoutKey::of(1, 1);
    // The first step also allocates buffers, so it is not timed.
    read_metrics(vec![trainer.step(&batch, 1e-3, key)]).await.map_err(device_failed)?;
    let began_secs = host.now_secs();
    let pending = (0..N_STEPS).map(|_| trainer.step(&batch, 1e-3, key)).collect();
    read_metrics(pending).await.map_err(device_failed)?;
    let elapsed_secs = host.now_secs() - began_secs;
    let work = N_STEPS as f64 * models::step_work(&models::layers(model), N_IMAGES);
    Ok((elapsed_secs > 0.0).then(|| work / elapsed_secs))
}

/// The median; of an even number of values the mean of the middle two.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}
