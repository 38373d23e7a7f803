//! The worker pool: distributes the shards of a batch over the session's own worker and its peer workers. Contains no
//! code for transports.
//!
//! A task contains everything that its answer depends on, and every worker computes the same answer to the bit. So a
//! peer worker that is not ready yet, slow or lost changes the speed of a run, never its result. Unanswered tasks are
//! computed by the session's own worker.

use std::ops::Range;
use std::pin::Pin;

use inkling_core::protocol::{Event, Fault, PoolReport};
use inkling_core::spec::{IMAGE_PIXELS, Prediction};

use super::{Host, Reply};
use crate::batch::{BatchPlan, HostBatch};
use crate::network::DropoutKey;
use crate::train::{BatchMetrics, BatchSource, ShardGradients, Task, Trainer};

/// The future answer of a peer worker to a task ([`Task`] says which numbers); `None` when it does not arrive in time.
pub type Answer = Pin<Box<dyn Future<Output = Option<Vec<f32>>>>>;

/// Another worker that computes tasks for the session, with a [`crate::train::Replica`]. Dropping it ends the worker.
pub trait PeerWorker {
    /// Whether it accepts a task now: it has started and has no unanswered task.
    fn is_ready(&self) -> bool;
    /// Sends it a task, which it starts at once.
    fn send(&self, task: &Task) -> Answer;
}

/// The peer workers of a session. Dropping the pool ends them.
pub struct WorkerPool {
    peers: Vec<Peer>,
    /// The number of shards of a batch, at least 1. The result of a run depends on it, not on the number of peer
    /// workers that are ready.
    n_shards: usize,
    /// The report last emitted.
    last_report: PoolReport,
}

/// Tasks in progress: those of the peer workers are sent, those of the session's own worker are computed.
pub struct PendingTasks {
    tasks: Vec<Task>,
    /// The peer workers that were ready when the tasks were distributed, as indices into [`WorkerPool::peers`].
    ready: Vec<usize>,
    /// For each task the peer worker that computes it and its future answer; `None` for the session's own worker.
    sent: Vec<Option<(usize, Answer)>>,
    /// For each task the answer of the session's own worker; `None` if a peer worker computes it.
    own_answers: Vec<Option<Vec<f32>>>,
}

struct Peer {
    worker: Box<dyn PeerWorker>,
    /// It left its last task unanswered. It is no longer lost once it is ready again.
    lost: bool,
}

impl Default for WorkerPool {
    fn default() -> Self {
        Self { peers: vec![], n_shards: 1, last_report: PoolReport::default() }
    }
}

impl WorkerPool {
    /// Prepares the pool for batches of `n_shards` shards: ends the peer workers that are lost or surplus, and asks the
    /// host for those that are missing.
    pub fn resize(&mut self, n_shards: usize, reply: &Reply<impl Host>) {
        self.n_shards = n_shards;
        self.peers.retain(|peer| !peer.lost);
        self.peers.truncate(n_shards - 1);
        let missing = n_shards - 1 - self.peers.len();
        self.peers.extend(reply.start_peers(missing).into_iter().map(|worker| Peer { worker, lost: false }));
        if n_shards == 1 {
            self.report(1, reply);
        }
    }

    /// The number of shards of a batch, and the number of prediction tasks that keeps the pool busy.
    pub fn n_shards(&self) -> usize {
        self.n_shards
    }

    /// One optimizer step on a batch.
    pub async fn step(
        &mut self,
        trainer: &mut Trainer,
        (source, plan): (BatchSource<'_>, &BatchPlan<'_>),
        learning_rate: f64,
        key: DropoutKey,
        reply: &Reply<impl Host>,
    ) -> BatchMetrics {
        if self.n_shards == 1 {
            return trainer.step_from_source(source, plan, learning_rate, key);
        }
        let pending = self.begin_step(trainer, &source.gather(plan), key, reply);
        self.finish_step(pending, trainer, learning_rate, reply).await
    }

    /// Distributes the shards of a batch, and computes those of the session's own worker. The caller can do other work
    /// before [`WorkerPool::finish_step`], while peer workers are still computing.
    pub fn begin_step(
        &mut self,
        trainer: &Trainer,
        images: &HostBatch,
        key: DropoutKey,
        reply: &Reply<impl Host>,
    ) -> PendingTasks {
        let tasks = trainer.shards(images, key, self.n_shards);
        self.distribute(trainer, tasks, reply)
    }

    /// Awaits the gradients of all shards, and takes the optimizer step.
    pub async fn finish_step(
        &mut self,
        pending: PendingTasks,
        trainer: &mut Trainer,
        learning_rate: f64,
        reply: &Reply<impl Host>,
    ) -> BatchMetrics {
        let n_images: Vec<usize> = pending.tasks.iter().map(|task| task.header.n_images).collect();
        let answers = self.collect(pending, trainer, reply).await;
        let shards = n_images.into_iter().zip(answers).map(|(n_images, numbers)| ShardGradients { n_images, numbers });
        trainer.step_by_shards(shards.collect(), learning_rate)
    }

    /// Classifies a range of the source's images without augmentation. A task has at most `batch` images.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict(
        &mut self,
        trainer: &Trainer,
        (source, range): (BatchSource<'_>, Range<usize>),
        batch: usize,
        reply: &Reply<impl Host>,
    ) -> Result<Vec<Prediction>, Fault> {
        if self.n_shards == 1 {
            let indices: Vec<usize> = range.collect();
            let images = source.batch(&BatchPlan::plain(&indices), trainer.device()).images;
            return trainer.predict_tensor(images).await.map_err(super::training_run::device_failed);
        }
        let pixels = &source.split.images[range.start * IMAGE_PIXELS..range.end * IMAGE_PIXELS];
        let tasks = trainer.prediction_tasks(pixels, batch);
        let pending = self.distribute(trainer, tasks, reply);
        Ok(Trainer::predictions_from_answers(&self.collect(pending, trainer, reply).await))
    }

    /// Sends tasks of this trainer to the peer workers that are ready, and computes those of the session's own worker.
    fn distribute(&mut self, trainer: &Trainer, tasks: Vec<Task>, reply: &Reply<impl Host>) -> PendingTasks {
        let ready: Vec<usize> = (0..self.peers.len()).filter(|&peer| self.peers[peer].worker.is_ready()).collect();
        ready.iter().for_each(|&peer| self.peers[peer].lost = false);
        self.report(1 + ready.len(), reply);
        // Round robin, the first task to the session's own worker. All others are sent before it starts to compute.
        let peer_of = |task: usize| (task % (1 + ready.len())).checked_sub(1).map(|turn| ready[turn]);
        let send = |(number, task)| peer_of(number).map(|peer| (peer, self.peers[peer].worker.send(task)));
        let sent: Vec<Option<(usize, Answer)>> = tasks.iter().enumerate().map(send).collect();
        let own_answer = |(sent, task): (&Option<_>, _)| sent.is_none().then(|| trainer.answer(task));
        let own_answers = sent.iter().zip(&tasks).map(own_answer).collect();
        PendingTasks { tasks, ready, sent, own_answers }
    }

    /// Awaits the answers, in the order of their tasks. Unanswered tasks are computed here.
    async fn collect(&mut self, pending: PendingTasks, trainer: &Trainer, reply: &Reply<impl Host>) -> Vec<Vec<f32>> {
        let PendingTasks { tasks, ready, sent, own_answers } = pending;
        let mut answers = Vec::with_capacity(tasks.len());
        for ((sent, own_answer), task) in sent.into_iter().zip(own_answers).zip(&tasks) {
            let answer = match sent {
                Some((peer, answer)) => self.received(peer, answer.await),
                None => own_answer,
            };
            answers.push(answer.unwrap_or_else(|| trainer.answer(task)));
        }
        let n_lost = ready.iter().filter(|&&peer| self.peers[peer].lost).count();
        self.report(1 + ready.len() - n_lost, reply);
        answers
    }

    /// Marks a peer worker as lost if it has not answered.
    fn received(&mut self, peer: usize, answer: Option<Vec<f32>>) -> Option<Vec<f32>> {
        self.peers[peer].lost |= answer.is_none();
        answer
    }

    /// Emits how many workers compute and how many are lost, if that has changed.
    fn report(&mut self, n_workers: usize, reply: &Reply<impl Host>) {
        let lost = self.peers.iter().filter(|peer| peer.lost).count();
        let report = PoolReport { workers: n_workers, lost };
        if report != self.last_report {
            self.last_report = report;
            reply.emit(Event::WorkerPool(report));
        }
    }
}
