//! Who computes the shards of a batch: the session's own worker, and mates beside it. Knows no transport.
//!
//! A mate keeps nothing between two tasks, and whoever answers one answers the same: a mate that is not there yet, that is
//! slow or gone changes how fast a run goes, never what comes out of it. What it owes, this worker computes.

use std::ops::Range;
use std::pin::Pin;

use inkling_core::protocol::{CrewReport, Event, Fault};
use inkling_core::spec::{IMAGE_PIXELS, Prediction};

use super::Host;
use crate::batch::{Gathered, Picks};
use crate::network::DropoutKey;
use crate::train::{Feed, Share, Tally, Task, Trainer};

/// The answer to a task on its way; `None` when it does not come, or not in time.
pub type Answer = Pin<Box<dyn Future<Output = Option<Vec<f32>>>>>;

/// Another worker that computes for the session, as [`crate::train::Replica`] does.
pub trait Mate {
    /// Whether it can be given a task now: it is there, and owes no answer.
    fn is_ready(&self) -> bool;
    /// Gives it a task, which it begins at once.
    fn give(&self, task: &Task) -> Answer;
}

/// The mates of a session. Dropping them ends them.
pub struct Crew {
    mates: Vec<Member>,
    /// Into how many shards a batch is cut: what a run comes to depends on it, and not on who is there.
    n_shards: usize,
    /// What was last told of it.
    told: CrewReport,
}

/// Tasks that were given away, but for this worker's own, which are done.
pub struct Shared {
    tasks: Vec<Task>,
    /// The mates that had none to do when they were asked.
    ready: Vec<usize>,
    /// Which mate has each, and its answer on the way.
    given: Vec<Option<(usize, Answer)>>,
    /// The answers of this worker.
    own: Vec<Option<Vec<f32>>>,
}

struct Member {
    mate: Box<dyn Mate>,
    /// It left a task without an answer.
    lost: bool,
}

impl Default for Crew {
    fn default() -> Self {
        Self { mates: vec![], n_shards: 1, told: CrewReport::default() }
    }
}

impl Crew {
    /// Gets ready for batches of so many shards: ends the mates that are lost or not needed, and asks for those missing.
    pub fn muster(&mut self, n_shards: usize, host: &impl Host) {
        self.n_shards = n_shards;
        self.mates.retain(|member| !member.lost);
        self.mates.truncate(n_shards - 1);
        let missing = n_shards - 1 - self.mates.len();
        self.mates.extend(host.mates(missing).into_iter().map(|mate| Member { mate, lost: false }));
        if n_shards == 1 {
            self.tell(1, host);
        }
    }

    /// Into how many shards a batch is cut; as many tasks of reading are worth giving at once.
    pub fn n_shards(&self) -> usize {
        self.n_shards
    }

    /// One step of the optimizer on these images.
    pub async fn step(
        &mut self,
        trainer: &mut Trainer,
        (feed, picks): (Feed<'_>, &Picks<'_>),
        learning_rate: f64,
        key: DropoutKey,
        host: &impl Host,
    ) -> Tally {
        if self.n_shards == 1 {
            return trainer.step_on(feed, picks, learning_rate, key);
        }
        let shared = self.share(trainer, &feed.gather(picks), key, host);
        self.finish(shared, trainer, learning_rate, host).await
    }

    /// Shares a step out, and does this worker's part of it: what else there is to do can be done before
    /// [`Crew::finish`], while mates are still at theirs.
    pub fn share(&mut self, trainer: &Trainer, images: &Gathered, key: DropoutKey, host: &impl Host) -> Shared {
        let tasks = trainer.shards(images, key, self.n_shards);
        self.give(trainer, tasks, host)
    }

    /// One step of the optimizer, once all have answered.
    pub async fn finish(
        &mut self,
        shared: Shared,
        trainer: &mut Trainer,
        learning_rate: f64,
        host: &impl Host,
    ) -> Tally {
        let n_images: Vec<usize> = shared.tasks.iter().map(|task| task.brief.n_images).collect();
        let answers = self.collect(shared, trainer, host).await;
        let shares = n_images.into_iter().zip(answers).map(|(n_images, numbers)| Share { n_images, numbers });
        trainer.step_by(shares.collect(), learning_rate)
    }

    /// Reads a range of the feed's images as they are, at most so many in one piece.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn read(
        &mut self,
        trainer: &Trainer,
        (feed, range): (Feed<'_>, Range<usize>),
        at_once: usize,
        host: &impl Host,
    ) -> Result<Vec<Prediction>, Fault> {
        if self.n_shards == 1 {
            let indices: Vec<usize> = range.collect();
            let images = feed.batch(&Picks::plain(&indices), trainer.device()).images;
            return trainer.read(images).await.map_err(super::course::device_failed);
        }
        let pixels = &feed.split.images[range.start * IMAGE_PIXELS..range.end * IMAGE_PIXELS];
        let tasks = trainer.readings(pixels, at_once);
        let shared = self.give(trainer, tasks, host);
        Ok(Trainer::heard(&self.collect(shared, trainer, host).await))
    }

    /// Gives tasks of this trainer to the mates that are there, and does this worker's own.
    fn give(&mut self, trainer: &Trainer, tasks: Vec<Task>, host: &impl Host) -> Shared {
        let ready: Vec<usize> = (0..self.mates.len()).filter(|&at| self.mates[at].mate.is_ready()).collect();
        ready.iter().for_each(|&at| self.mates[at].lost = false);
        self.tell(1 + ready.len(), host);
        // Dealt in turn, the first to this worker; the others get theirs before this one begins.
        let whose = |number: usize| (number % (1 + ready.len())).checked_sub(1).map(|turn| ready[turn]);
        let give = |(number, task)| whose(number).map(|at| (at, self.mates[at].mate.give(task)));
        let given: Vec<Option<(usize, Answer)>> = tasks.iter().enumerate().map(give).collect();
        let own = |(given, task): (&Option<_>, _)| given.is_none().then(|| trainer.answer(task));
        let own = given.iter().zip(&tasks).map(own).collect();
        Shared { tasks, ready, given, own }
    }

    /// The answers, in the order of their tasks.
    async fn collect(&mut self, shared: Shared, trainer: &Trainer, host: &impl Host) -> Vec<Vec<f32>> {
        let Shared { tasks, ready, given, own } = shared;
        let mut answers = Vec::with_capacity(tasks.len());
        for ((given, own), task) in given.into_iter().zip(own).zip(&tasks) {
            let answer = match given {
                Some((at, answer)) => self.heard(at, answer.await),
                None => own,
            };
            answers.push(answer.unwrap_or_else(|| trainer.answer(task)));
        }
        let n_lost = ready.iter().filter(|&&at| self.mates[at].lost).count();
        self.tell(1 + ready.len() - n_lost, host);
        answers
    }

    fn heard(&mut self, at: usize, answer: Option<Vec<f32>>) -> Option<Vec<f32>> {
        self.mates[at].lost |= answer.is_none();
        answer
    }

    /// Says how many workers compute, when that is news.
    fn tell(&mut self, n_workers: usize, host: &impl Host) {
        let lost = self.mates.iter().filter(|member| member.lost).count();
        let report = CrewReport { workers: n_workers, lost };
        if report != self.told {
            self.told = report;
            host.emit(Event::Crew(report));
        }
    }
}
