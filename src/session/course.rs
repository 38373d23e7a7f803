//! The course of one run: epochs of steps, each followed by a validation, in pieces small enough to interrupt.

use std::collections::VecDeque;
use std::rc::Rc;

use super::Host;
use crate::data::Dataset;
use crate::data::batch::{self, Batch};
use crate::protocol::{EpochReport, Event, Fault, Phase, Progress, RunSummary, StepReport};
use crate::spec::{Metrics, TrainSpec};
use crate::train::{Mean, Tally, Trainer, read_metrics, recipe};

/// Images validated at once: enough to keep a device busy, few enough to answer commands soon.
const VALIDATION_BATCH: usize = 200;
/// Steps whose metrics may wait on the device; it also bounds the work in flight, which nothing else does in a tab.
const MAX_PENDING: usize = 16;
/// Metrics are read at least this often, in seconds.
const REPORT_SECS: f64 = 0.1;
/// Throughput is the mean over this many last seconds of training.
const THROUGHPUT_SECS: f64 = 4.0;

/// What a piece of work led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A step is done, and the validation too if it ended its epoch.
    Stepped,
    /// A part of a validation.
    Validating,
    /// The run is complete.
    Finished,
}

/// Where a run is, and what it has seen of the current epoch.
pub struct Course {
    spec: TrainSpec,
    dataset: Rc<Dataset>,
    /// Test images after the limit.
    n_test: usize,
    started_secs: f64,
    /// From 1.
    epoch: usize,
    epoch_started_secs: f64,
    order: Vec<usize>,
    /// Images of `order` already trained on.
    n_trained: usize,
    /// Steps of the whole run.
    n_steps: usize,
    pending: Vec<Tally>,
    reported_secs: f64,
    /// Over the epoch, in training mode.
    training: Mean,
    /// Set while validating: over the test images so far.
    validation: Option<Mean>,
    pace: Pace,
    epoch_pace: Pace,
}

impl Course {
    pub fn new(spec: TrainSpec, dataset: Rc<Dataset>, now_secs: f64) -> Self {
        let n_train = dataset.train.len().min(spec.train_limit.unwrap_or(usize::MAX));
        Self {
            order: batch::order(spec.seed, 1, n_train),
            n_test: dataset.test.len().min(spec.test_limit.unwrap_or(usize::MAX)),
            spec,
            dataset,
            started_secs: now_secs,
            epoch: 1,
            epoch_started_secs: now_secs,
            n_trained: 0,
            n_steps: 0,
            pending: vec![],
            reported_secs: now_secs,
            training: Mean::default(),
            validation: None,
            pace: Pace::over(THROUGHPUT_SECS),
            epoch_pace: Pace::over(f64::INFINITY),
        }
    }

    /// Training images after the limit.
    pub fn n_train(&self) -> usize {
        self.order.len()
    }

    /// Test images after the limit.
    pub fn n_test(&self) -> usize {
        self.n_test
    }

    /// The last one may be smaller than the others.
    pub fn steps_per_epoch(&self) -> usize {
        self.n_train().div_ceil(self.spec.batch)
    }

    /// One step of training, or one batch of validation.
    ///
    /// # Errors
    /// When the device has failed, or the loss is no longer a number.
    pub async fn advance(&mut self, trainer: &mut Trainer, host: &impl Host) -> Result<Outcome, Fault> {
        if self.validation.is_some() { self.validate(trainer, host).await } else { self.step(trainer, host).await }
    }

    async fn step(&mut self, trainer: &mut Trainer, host: &impl Host) -> Result<Outcome, Fault> {
        let began = host.now_secs();
        let end = (self.n_trained + self.spec.batch).min(self.order.len());
        let batch = Batch::gather(&self.dataset.train, &self.order[self.n_trained..end], trainer.device());
        let mut dropouts = batch::random(self.spec.seed, self.epoch, self.n_steps + 1);
        self.pending.push(trainer.step(&batch, self.learning_rate(), &mut dropouts));
        self.n_steps += 1;
        let due = self.pending.len() >= MAX_PENDING || host.now_secs() - self.reported_secs >= REPORT_SECS;
        let n_images = end - self.n_trained;
        self.n_trained = end;
        let ends_epoch = end == self.order.len();
        // The first step compiles shaders on WebGPU: its metrics are read at once, and its time is not the pace.
        let read = if due || ends_epoch || self.n_steps == 1 { self.take_metrics().await? } else { vec![] };
        if self.n_steps > 1 {
            let took = host.now_secs() - began;
            self.pace.add(n_images, took);
            self.epoch_pace.add(n_images, took);
        }
        self.report(read, host)?;
        if !ends_epoch {
            return Ok(Outcome::Stepped);
        }
        self.validation = Some(Mean::default());
        Ok(Outcome::Validating)
    }

    /// Tells of the steps whose metrics still wait on the device.
    ///
    /// # Errors
    /// When the device has failed, or the loss is no longer a number.
    pub async fn report_steps(&mut self, host: &impl Host) -> Result<(), Fault> {
        let read = self.take_metrics().await?;
        self.report(read, host)
    }

    async fn take_metrics(&mut self) -> Result<Vec<(Metrics, usize)>, Fault> {
        read_metrics(std::mem::take(&mut self.pending)).await.map_err(device_failed)
    }

    fn report(&mut self, read: Vec<(Metrics, usize)>, host: &impl Host) -> Result<(), Fault> {
        if read.is_empty() {
            return Ok(());
        }
        self.reported_secs = host.now_secs();
        let first = self.n_steps + 1 - read.len();
        let images_per_second = self.pace.images_per_second();
        let mut reports = Vec::with_capacity(read.len());
        for (index, (batch, n_images)) in read.into_iter().enumerate() {
            self.training.add(batch, n_images);
            let running = self.training.metrics();
            reports.push(StepReport { epoch: self.epoch, step: first + index, batch, running, images_per_second });
        }
        let diverged = reports.iter().find(|report| !report.batch.loss.is_finite()).map(|report| report.step);
        host.emit(Event::Stepped(reports));
        let (done, total) = (self.n_trained as u64, self.order.len() as u64);
        host.emit(Event::Progress(Progress { phase: Phase::Train, done, total }));
        diverged.map_or(Ok(()), |step| Err(loss_diverged(step)))
    }

    async fn validate(&mut self, trainer: &Trainer, host: &impl Host) -> Result<Outcome, Fault> {
        let test = &self.dataset.test;
        let mut so_far = self.validation.take().unwrap_or_default();
        let indices: Vec<_> = (so_far.n_images()..self.n_test).take(VALIDATION_BATCH).collect();
        let tally = trainer.evaluate(&Batch::gather(test, &indices, trainer.device()));
        for (metrics, n_images) in read_metrics(vec![tally]).await.map_err(device_failed)? {
            so_far.add(metrics, n_images);
        }
        let (done, total) = (so_far.n_images() as u64, self.n_test as u64);
        host.emit(Event::Progress(Progress { phase: Phase::Validate, done, total }));
        if done < total {
            self.validation = Some(so_far);
            return Ok(Outcome::Validating);
        }
        Ok(self.end_epoch(so_far, host))
    }

    fn end_epoch(&mut self, validation: Mean, host: &impl Host) -> Outcome {
        let now = host.now_secs();
        host.emit(Event::EpochEnded(EpochReport {
            epoch: self.epoch,
            epochs: self.spec.epochs,
            step: self.n_steps,
            training: self.training.metrics(),
            validation: validation.metrics(),
            learning_rate: self.learning_rate(),
            images_per_second: self.epoch_pace.images_per_second(),
            elapsed_secs: now - self.epoch_started_secs,
        }));
        if self.epoch == self.spec.epochs {
            host.emit(Event::Finished(RunSummary {
                test_images: validation.n_images(),
                test_errors: validation.n_errors(),
                test: validation.metrics(),
                elapsed_secs: now - self.started_secs,
            }));
            return Outcome::Finished;
        }
        self.epoch += 1;
        self.order = batch::order(self.spec.seed, self.epoch, self.n_train());
        (self.n_trained, self.training, self.epoch_started_secs) = (0, Mean::default(), now);
        self.epoch_pace = Pace::over(f64::INFINITY);
        Outcome::Stepped
    }

    fn learning_rate(&self) -> f64 {
        recipe::schedule(self.spec.model).learning_rate(self.spec.learning_rate, self.epoch)
    }
}

/// Images a second over the last seconds of work.
struct Pace {
    window_secs: f64,
    steps: VecDeque<(usize, f64)>,
    n_images: usize,
    secs: f64,
}

impl Pace {
    fn over(window_secs: f64) -> Self {
        Self { window_secs, steps: VecDeque::new(), n_images: 0, secs: 0.0 }
    }

    fn add(&mut self, n_images: usize, secs: f64) {
        self.steps.push_back((n_images, secs));
        self.n_images += n_images;
        self.secs += secs;
        while self.steps.len() > 1 && self.secs > self.window_secs {
            if let Some((n_images, secs)) = self.steps.pop_front() {
                self.n_images -= n_images;
                self.secs -= secs;
            }
        }
    }

    fn images_per_second(&self) -> f64 {
        if self.secs > 0.0 { self.n_images as f64 / self.secs } else { 0.0 }
    }
}

/// The device reports an error.
pub fn device_failed(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The engine failed ({error})"), "Start again, or choose the engine \"cpu\".")
}

fn loss_diverged(step: usize) -> Fault {
    let what = format!("The loss of step {step} is not a number any more: training has diverged");
    Fault::new(what, "Start again with a smaller learning rate.")
}
