//! One training run: epochs of steps with a validation after each, and a final test if the test images are not also the
//! validation images. It works in pieces short enough to interrupt, and never starts one by itself.

mod epoch_end;
mod position;

pub use position::Position;

use std::rc::Rc;

use inkling_core::data::{Dataset, Split};
use inkling_core::protocol::{BestEpoch, DatasetReport, Event, Fault, Phase, Progress, StepReport};
use inkling_core::spec::{DatasetId, Metrics, TrainSpec};

use super::evaluation_task::EvaluationTask;
use super::images::SharedDataset;
use super::throughput::Throughput;
use super::worker_pool::WorkerPool;
use super::{Host, Reply};
use crate::batch::{self, BatchPlan, HostBatch};
use crate::device;
use crate::network::DropoutKey;
use crate::train::{BatchSource, ImageCache, Mean, PendingMetrics, Trainer};

/// The most steps whose metrics are read in one transfer.
const MAX_PENDING: usize = 16;
/// How often metrics are requested, in seconds, approximately. Each request also awaits the previous one, which
/// bounds the work in flight to twice this time. Nothing else bounds it in a browser tab, and a command waits for it.
const REPORT_SECS: f64 = 0.05;
/// The reported throughput is the mean over this many seconds of training.
const THROUGHPUT_SECS: f64 = 4.0;

/// The result of one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A step is complete, including the validation if it was the last step of an epoch.
    Stepped,
    /// A validation or the test is in progress.
    Evaluating,
    /// The run is complete.
    Finished,
}

/// The state of a training run, apart from its trainer.
pub struct TrainingRun {
    spec: TrainSpec,
    dataset: Rc<Dataset>,
    /// Why the data set is not the requested one.
    fallback: Option<String>,
    caches: ImageCaches,
    started_secs: f64,
    /// Counts from 1.
    epoch: usize,
    epoch_started_secs: f64,
    /// The training images in the order of this epoch.
    order: Vec<usize>,
    /// The batch of the next step, prepared ahead if peer workers share the steps.
    next_batch: Option<HostBatch>,
    /// Images of `order` already trained on.
    n_trained: usize,
    /// Steps of the whole run.
    n_steps: usize,
    /// Steps of the whole run whose metrics were reported.
    n_reported: usize,
    pending: PendingMetrics,
    /// The metrics of this epoch's steps, in training mode.
    training: Mean,
    /// Set while a validation or the test is in progress.
    evaluation: Option<EvaluationTask>,
    /// The epoch with the best validation accuracy.
    best: Option<BestEpoch>,
    /// The learning rate of the last step.
    last_learning_rate: f64,
    throughput: Throughput,
    /// When the steps that `throughput` counts were finished.
    measured_secs: f64,
    epoch_throughput: Throughput,
}

/// The images of the run on the device that trains.
#[derive(Default)]
struct ImageCaches {
    train: ImageCache,
    validation: ImageCache,
    test: ImageCache,
}

impl TrainingRun {
    /// A run at its beginning. `now_secs` is the time on the host's clock.
    pub fn new(spec: TrainSpec, (dataset, fallback): SharedDataset, now_secs: f64) -> Self {
        let n_train = dataset.train.len().min(spec.train_limit.unwrap_or(usize::MAX));
        Self {
            order: batch::epoch_order(spec.seed, 1, n_train),
            spec,
            dataset,
            fallback,
            caches: ImageCaches::default(),
            started_secs: now_secs,
            epoch: 1,
            epoch_started_secs: now_secs,
            next_batch: None,
            n_trained: 0,
            n_steps: 0,
            n_reported: 0,
            pending: PendingMetrics::default(),
            training: Mean::default(),
            evaluation: None,
            best: None,
            last_learning_rate: 0.0,
            throughput: Throughput::over(THROUGHPUT_SECS),
            measured_secs: now_secs,
            epoch_throughput: Throughput::over(f64::INFINITY),
        }
    }

    /// The settings of the run, as the engine applies them.
    pub fn spec(&self) -> &TrainSpec {
        &self.spec
    }

    /// The data set that the run learns.
    pub fn dataset(&self) -> &DatasetId {
        &self.dataset.id
    }

    /// Whether the last piece of work completed an epoch and another epoch follows.
    pub fn begins_epoch(&self) -> bool {
        self.n_trained == 0 && self.n_steps > 0
    }

    /// Number of training images, after limits.
    fn n_train(&self) -> usize {
        self.order.len()
    }

    /// The data set of the run, after limits.
    pub fn dataset_report(&self) -> DatasetReport {
        DatasetReport {
            id: self.dataset.id.clone(),
            n_train: self.n_train(),
            n_validation: self.dataset.validation.as_ref().map(|split| self.limited(split)),
            n_test: self.limited(&self.dataset.test),
            fallback: self.fallback.clone(),
        }
    }

    /// Number of images of a validation or test split, after the limit.
    fn limited(&self, split: &Split) -> usize {
        split.len().min(self.spec.test_limit.unwrap_or(usize::MAX))
    }

    /// Steps in an epoch; the last one may have fewer images than the others.
    pub fn steps_per_epoch(&self) -> usize {
        self.n_train().div_ceil(self.spec.recipe.batch)
    }

    /// Takes one training step, or evaluates one batch.
    ///
    /// # Errors
    /// When the device has failed, or the loss is not finite.
    pub async fn advance(
        &mut self,
        trainer: &mut Trainer,
        pool: &mut WorkerPool,
        reply: &Reply<impl Host>,
    ) -> Result<Outcome, Fault> {
        match self.evaluation.take() {
            Some(task) => self.evaluate(task, trainer, pool, reply).await,
            None => self.step(trainer, pool, reply).await,
        }
    }

    async fn step(
        &mut self,
        trainer: &mut Trainer,
        pool: &mut WorkerPool,
        reply: &Reply<impl Host>,
    ) -> Result<Outcome, Fault> {
        let began_secs = reply.now_secs();
        if self.pending.is_empty() {
            // No step is in flight, as after a pause or an evaluation: the time until now must not count.
            self.measured_secs = began_secs;
        }
        let end = self.end_of_step(self.n_trained);
        self.last_learning_rate = self.learning_rate();
        let key = DropoutKey::of(self.spec.seed, self.n_steps + 1);
        let batch_metrics = if pool.n_shards() == 1 {
            let plan = self.plan(self.n_trained, 1);
            pool.step(trainer, (self.source(trainer), &plan), self.last_learning_rate, key, reply).await
        } else {
            let batch = self.next_batch.take().unwrap_or_else(|| self.gather(self.n_trained, 1, trainer));
            let pending = pool.begin_step(trainer, &batch, key, reply);
            // The images of the next step are augmented while peer workers are still computing this one.
            self.next_batch = (end < self.order.len()).then(|| self.gather(end, 2, trainer));
            pool.finish_step(pending, trainer, self.last_learning_rate, reply).await
        };
        self.pending.push(batch_metrics);
        self.n_steps += 1;
        let is_due = self.pending.n_waiting() >= self.max_pending();
        self.n_trained = end;
        let ends_epoch = end == self.order.len();
        // The first step also allocates buffers: its metrics are read at once, and its time does not count.
        let read = if ends_epoch || self.n_steps == 1 {
            self.pending.read().await
        } else if is_due {
            self.pending.request_and_take().await
        } else {
            Ok(vec![])
        };
        let read = read.map_err(device_failed)?;
        if self.n_steps > 1 {
            self.measure(&read, reply.now_secs());
        }
        self.report(read, reply)?;
        if !ends_epoch {
            return Ok(Outcome::Stepped);
        }
        self.evaluation = Some(EvaluationTask::new(self.dataset.validation.is_none()));
        Ok(Outcome::Evaluating)
    }

    /// Adds steps that the device has finished to the throughput, with the time since it finished the steps before
    /// them. The launch of a step is no measure: a graphics card computes long after it.
    fn measure(&mut self, read: &[(Metrics, usize)], now_secs: f64) {
        if read.is_empty() {
            return;
        }
        let n_images = read.iter().map(|(_, n_images)| n_images).sum();
        let elapsed_secs = now_secs - self.measured_secs;
        self.throughput.add(n_images, elapsed_secs);
        self.epoch_throughput.add(n_images, elapsed_secs);
        self.measured_secs = now_secs;
    }

    /// The position in `order` after the step that begins at `begin`.
    fn end_of_step(&self, begin: usize) -> usize {
        (begin + self.spec.recipe.batch).min(self.order.len())
    }

    /// The plan of the step that begins at `begin` in `order`, `steps_ahead` steps after the last one taken.
    fn plan(&self, begin: usize, steps_ahead: usize) -> BatchPlan<'_> {
        let mut random = batch::step_generator(self.spec.seed, self.epoch, self.n_steps + steps_ahead);
        BatchPlan::for_training(&self.order[begin..self.end_of_step(begin)], &self.spec.recipe, &mut random)
    }

    fn source(&self, trainer: &Trainer) -> BatchSource<'_> {
        BatchSource::of(&self.caches.train, &self.dataset.train, self.order.len(), trainer.device())
    }

    /// The augmented images of [`TrainingRun::plan`], on the host.
    fn gather(&self, begin: usize, steps_ahead: usize, trainer: &Trainer) -> HostBatch {
        self.source(trainer).gather(&self.plan(begin, steps_ahead))
    }

    /// Reports the steps whose metrics are still on the device.
    ///
    /// # Errors
    /// When the device has failed, or the loss is not finite.
    pub async fn report_steps(&mut self, reply: &Reply<impl Host>) -> Result<(), Fault> {
        let read = self.pending.read().await.map_err(device_failed)?;
        if self.n_steps > 1 && !read.is_empty() {
            self.measure(&read, reply.now_secs());
        }
        self.report(read, reply)
    }

    /// The number of steps that take [`REPORT_SECS`], from 1 to [`MAX_PENDING`].
    fn max_pending(&self) -> usize {
        let steps_per_second = self.throughput.images_per_second() / self.spec.recipe.batch as f64;
        ((REPORT_SECS * steps_per_second) as usize).clamp(1, MAX_PENDING)
    }

    /// Emits the metrics of steps, each given with its number of images. An error means that the loss is not finite.
    fn report(&mut self, read: Vec<(Metrics, usize)>, reply: &Reply<impl Host>) -> Result<(), Fault> {
        if read.is_empty() {
            return Ok(());
        }
        let first = self.n_reported + 1;
        self.n_reported += read.len();
        let images_per_second = self.throughput.images_per_second();
        let mut reports = Vec::with_capacity(read.len());
        for (index, (batch, n_images)) in read.into_iter().enumerate() {
            self.training.add(batch, n_images);
            let running = self.training.metrics();
            reports.push(StepReport { epoch: self.epoch, step: first + index, batch, running, images_per_second });
        }
        let diverged = reports.iter().find(|report| !report.batch.loss.is_finite()).map(|report| report.step);
        reply.emit(Event::Stepped(reports));
        let (done, total) = (self.n_trained as u64, self.order.len() as u64);
        reply.emit(Event::Progress(Progress { phase: Phase::Train, done, total }));
        diverged.map_or(Ok(()), |step| Err(loss_diverged(step)))
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        let recipe = &self.spec.recipe;
        let epochs_done = (self.epoch - 1) as f64 + self.n_trained as f64 / self.n_train() as f64;
        recipe.learning_rate * recipe.schedule.factor(epochs_done, recipe.epochs)
    }
}

/// The fault to emit after any error of the device.
pub fn device_failed(_: impl std::fmt::Display) -> Fault {
    device::device_lost()
}

fn loss_diverged(step: usize) -> Fault {
    let what = format!("The loss of step {step} is not a number any more: training has diverged");
    Fault::new(what, "Start again with a smaller learning rate.")
}
