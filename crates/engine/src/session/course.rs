//! The course of one run: epochs of steps, each followed by a validation, and a test at the end where the test images
//! are others than those for validation; in pieces small enough to interrupt.

mod position;

pub use position::Position;

use std::rc::Rc;

use inkling_core::data::{Dataset, Split};
use inkling_core::evaluation::Judgement;
use inkling_core::protocol::{
    BestEpoch, DatasetReport, EpochReport, Event, Fault, Offer, Phase, Progress, RunSummary, StepReport,
};
use inkling_core::spec::{Metrics, TrainSpec};

use super::Host;
use super::crew::Crew;
use super::judging::{self, Judging};
use super::pace::Pace;
use crate::batch::{self, Gathered, Picks};
use crate::network::DropoutKey;
use crate::train::{Feed, Mean, Shelf, Tallies, Trainer};

/// Most steps whose metrics are asked for together.
const MAX_PENDING: usize = 16;
/// Metrics are asked for about this often, in seconds, and those that were asked for before are waited for. That bounds the
/// work in flight, which nothing else does in a tab, to twice as long: a command waits for it.
const REPORT_SECS: f64 = 0.05;
/// Throughput is the mean over this many last seconds of training.
const THROUGHPUT_SECS: f64 = 4.0;

/// What a piece of work led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A step is done, and the validation too if it ended its epoch.
    Stepped,
    /// A part of a validation or of the test.
    Judging,
    /// The run is complete.
    Finished,
}

/// Where a run is, and what it has seen of the current epoch.
pub struct Course {
    spec: TrainSpec,
    dataset: Rc<Dataset>,
    shelves: Shelves,
    started_secs: f64,
    /// From 1.
    epoch: usize,
    epoch_started_secs: f64,
    order: Vec<usize>,
    /// Of the next step, where several workers share it.
    ahead: Option<Gathered>,
    /// Images of `order` already trained on.
    n_trained: usize,
    /// Steps of the whole run.
    n_steps: usize,
    /// Steps that were told of.
    n_told: usize,
    tallies: Tallies,
    /// Over the epoch, in training mode.
    training: Mean,
    /// Set while images are judged.
    judging: Option<Judging>,
    best: Option<BestEpoch>,
    /// The learning rate of the last step.
    last_rate: f64,
    pace: Pace,
    epoch_pace: Pace,
}

/// The images of the run where its network lies.
#[derive(Default)]
struct Shelves {
    train: Shelf,
    validation: Shelf,
    test: Shelf,
}

impl Course {
    pub fn new(spec: TrainSpec, dataset: Rc<Dataset>, now_secs: f64) -> Self {
        let n_train = dataset.train.len().min(spec.train_limit.unwrap_or(usize::MAX));
        Self {
            order: batch::order(spec.seed, 1, n_train),
            spec,
            dataset,
            shelves: Shelves::default(),
            started_secs: now_secs,
            epoch: 1,
            epoch_started_secs: now_secs,
            ahead: None,
            n_trained: 0,
            n_steps: 0,
            n_told: 0,
            tallies: Tallies::default(),
            training: Mean::default(),
            judging: None,
            best: None,
            last_rate: 0.0,
            pace: Pace::over(THROUGHPUT_SECS),
            epoch_pace: Pace::over(f64::INFINITY),
        }
    }

    /// Whether the last piece of work ended an epoch, and another follows.
    pub fn begins_epoch(&self) -> bool {
        self.n_trained == 0 && self.n_steps > 0
    }

    /// Training images after the limit.
    fn n_train(&self) -> usize {
        self.order.len()
    }

    /// What the run learns from, after limits; `fallback` says why these are not the images that were asked for.
    pub fn dataset_report(&self, fallback: Option<String>) -> DatasetReport {
        DatasetReport {
            id: self.dataset.id.clone(),
            n_train: self.n_train(),
            n_validation: self.dataset.validation.as_ref().map(|split| self.limited(split)),
            n_test: self.limited(&self.dataset.test),
            fallback,
        }
    }

    fn limited(&self, split: &Split) -> usize {
        split.len().min(self.spec.test_limit.unwrap_or(usize::MAX))
    }

    /// The last one may be smaller than the others.
    pub fn steps_per_epoch(&self) -> usize {
        self.n_train().div_ceil(self.spec.recipe.batch)
    }

    /// One step of training, or one batch of judging.
    ///
    /// # Errors
    /// When the device has failed, or the loss is no longer a number.
    pub async fn advance(
        &mut self,
        trainer: &mut Trainer,
        crew: &mut Crew,
        host: &impl Host,
    ) -> Result<Outcome, Fault> {
        match self.judging.take() {
            Some(judging) => self.judge(judging, trainer, crew, host).await,
            None => self.step(trainer, crew, host).await,
        }
    }

    async fn step(&mut self, trainer: &mut Trainer, crew: &mut Crew, host: &impl Host) -> Result<Outcome, Fault> {
        let began = host.now_secs();
        let end = self.end_of_step(self.n_trained);
        self.last_rate = self.learning_rate();
        let key = DropoutKey::of(self.spec.seed, self.n_steps + 1);
        let tally = if crew.n_shards() == 1 {
            let picks = self.picks(self.n_trained, 1);
            crew.step(trainer, (self.feed(trainer), &picks), self.last_rate, key, host).await
        } else {
            let images = self.ahead.take().unwrap_or_else(|| self.gather(self.n_trained, 1, trainer));
            let shared = crew.share(trainer, &images, key, host);
            // The images of the next step are bent while mates are still at this one.
            self.ahead = (end < self.order.len()).then(|| self.gather(end, 2, trainer));
            crew.finish(shared, trainer, self.last_rate, host).await
        };
        self.tallies.push(tally);
        self.n_steps += 1;
        let due = self.tallies.n_waiting() >= self.most_pending();
        let n_images = end - self.n_trained;
        self.n_trained = end;
        let ends_epoch = end == self.order.len();
        // The first step finds its buffers: its metrics are read at once, and its time is not the pace.
        let read = if ends_epoch || self.n_steps == 1 {
            self.tallies.read().await
        } else if due {
            self.tallies.exchange().await
        } else {
            Ok(vec![])
        };
        let read = read.map_err(device_failed)?;
        if self.n_steps > 1 {
            let took = host.now_secs() - began;
            self.pace.add(n_images, took);
            self.epoch_pace.add(n_images, took);
        }
        self.report(read, host)?;
        if !ends_epoch {
            return Ok(Outcome::Stepped);
        }
        self.judging = Some(Judging::new(self.dataset.validation.is_none()));
        Ok(Outcome::Judging)
    }

    /// Where a step ends that begins with this image.
    fn end_of_step(&self, begin: usize) -> usize {
        (begin + self.spec.recipe.batch).min(self.order.len())
    }

    /// The images, from this one on, of the step that is so many ahead of those that are done, and how they are bent.
    fn picks(&self, begin: usize, ahead: usize) -> Picks<'_> {
        let mut random = batch::random(self.spec.seed, self.epoch, self.n_steps + ahead);
        Picks::drawn(&self.order[begin..self.end_of_step(begin)], &self.spec.recipe, &mut random)
    }

    fn feed(&self, trainer: &Trainer) -> Feed<'_> {
        Feed::of(&self.shelves.train, &self.dataset.train, self.order.len(), trainer.device())
    }

    /// The images of such a step, bent.
    fn gather(&self, begin: usize, ahead: usize, trainer: &Trainer) -> Gathered {
        self.feed(trainer).gather(&self.picks(begin, ahead))
    }

    /// Tells of the steps whose metrics still wait on the device.
    ///
    /// # Errors
    /// When the device has failed, or the loss is no longer a number.
    pub async fn report_steps(&mut self, host: &impl Host) -> Result<(), Fault> {
        let read = self.tallies.read().await.map_err(device_failed)?;
        self.report(read, host)
    }

    /// Steps that take as long as reports are apart.
    fn most_pending(&self) -> usize {
        let steps_per_second = self.pace.images_per_second() / self.spec.recipe.batch as f64;
        ((REPORT_SECS * steps_per_second) as usize).clamp(1, MAX_PENDING)
    }

    fn report(&mut self, read: Vec<(Metrics, usize)>, host: &impl Host) -> Result<(), Fault> {
        if read.is_empty() {
            return Ok(());
        }
        let first = self.n_told + 1;
        self.n_told += read.len();
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

    async fn judge(
        &mut self,
        judging: Judging,
        trainer: &Trainer,
        crew: &mut Crew,
        host: &impl Host,
    ) -> Result<Outcome, Fault> {
        let mut judging = judging;
        let dataset = self.dataset.clone();
        let validation = dataset.validation.as_ref().filter(|_| !judging.tests);
        let (split, shelf) = match validation {
            Some(split) => (split, &self.shelves.validation),
            None => (&dataset.test, &self.shelves.test),
        };
        let n = self.limited(split);
        judging.next(Feed::of(shelf, split, n, trainer.device()), n, trainer, crew, host).await?;
        let (done, total) = (judging.n_done as u64, n as u64);
        let phase = if judging.tests && dataset.validation.is_some() { Phase::Test } else { Phase::Validate };
        host.emit(Event::Progress(Progress { phase, done, total }));
        if done < total {
            self.judging = Some(judging);
            return Ok(Outcome::Judging);
        }
        let validates = phase == Phase::Validate;
        let (tests, judgement) = (judging.tests, judging.finish());
        if validates {
            self.end_epoch(&judgement, host);
        }
        if self.epoch < self.spec.recipe.epochs {
            self.next_epoch(host);
            return Ok(Outcome::Stepped);
        }
        if !tests {
            self.judging = Some(Judging::new(true));
            return Ok(Outcome::Judging);
        }
        self.finish(judgement, host);
        Ok(Outcome::Finished)
    }

    fn end_epoch(&mut self, judgement: &Judgement, host: &impl Host) {
        let validation = Metrics { loss: judgement.loss, accuracy: judgement.accuracy };
        if self.best.is_none_or(|best| validation.accuracy > best.validation.accuracy) {
            self.best = Some(BestEpoch { epoch: self.epoch, validation });
        }
        host.emit(Event::EpochEnded(EpochReport {
            epoch: self.epoch,
            epochs: self.spec.recipe.epochs,
            step: self.n_steps,
            training: self.training.metrics(),
            validation,
            learning_rate: self.last_rate,
            images_per_second: self.epoch_pace.images_per_second(),
            elapsed_secs: host.now_secs() - self.epoch_started_secs,
        }));
    }

    fn next_epoch(&mut self, host: &impl Host) {
        self.epoch += 1;
        self.order = batch::order(self.spec.seed, self.epoch, self.n_train());
        (self.n_trained, self.training, self.epoch_started_secs) = (0, Mean::default(), host.now_secs());
        self.epoch_pace = Pace::over(f64::INFINITY);
    }

    fn finish(&self, judgement: Judgement, host: &impl Host) {
        let (test_images, test_errors) = (judgement.n_images, judgement.n_errors);
        let test = Metrics { loss: judgement.loss, accuracy: judgement.accuracy };
        judging::tell(judgement, &self.dataset.test, host);
        host.emit(Event::Finished(RunSummary {
            test_images,
            test_errors,
            test,
            best: self.best.unwrap_or(BestEpoch { epoch: self.epoch, validation: test }),
            elapsed_secs: host.now_secs() - self.started_secs,
        }));
    }

    /// For the next step.
    fn learning_rate(&self) -> f64 {
        let recipe = &self.spec.recipe;
        let done = (self.epoch - 1) as f64 + self.n_trained as f64 / self.n_train() as f64;
        recipe.learning_rate * recipe.schedule.factor(done, recipe.epochs)
    }
}

/// The device reports an error. What it says is a chain of causes that helps nobody; another device may do.
pub fn device_failed(_: impl std::fmt::Display) -> Fault {
    Fault::new("The graphics card was lost", "Start again, or choose the engine \"cpu\".").offering(Offer::Reopen)
}

fn loss_diverged(step: usize) -> Fault {
    let what = format!("The loss of step {step} is not a number any more: training has diverged");
    Fault::new(what, "Start again with a smaller learning rate.")
}
