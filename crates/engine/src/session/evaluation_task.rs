//! Evaluates a network batch by batch, and emits the result. The pixels of misclassified images are emitted as an event
//! of their own before the evaluation, because receipts record the evaluation but not the pixels. Never trains.

use inkling_core::data::Split;
use inkling_core::evaluation::{Evaluation, Evaluator, Misclassified};
use inkling_core::protocol::{Event, Fault, Phase, Progress, TestImage};

use super::Host;
use super::worker_pool::WorkerPool;
use crate::train::{BatchSource, ImageCache, Trainer};

/// Images in a batch of evaluation: enough to keep a device busy, few enough to answer commands soon.
const EVALUATION_BATCH: usize = 200;

/// Evaluates a network on the first images of a split (all of them without a limit), without yielding to commands.
///
/// # Errors
/// When the device has failed.
pub async fn evaluate(
    split: &Split,
    limit: Option<usize>,
    trainer: &Trainer,
    pool: &mut WorkerPool,
    host: &impl Host,
) -> Result<Evaluation, Fault> {
    let n = split.len().min(limit.unwrap_or(usize::MAX));
    let cache = ImageCache::new();
    let mut task = EvaluationTask::new(true);
    while task.n_done < n {
        task.advance(BatchSource::of(&cache, split, n, trainer.device()), n, trainer, pool, host).await?;
        host.emit(Event::Progress(Progress { phase: Phase::Test, done: task.n_done as u64, total: n as u64 }));
    }
    Ok(task.finish())
}

/// An evaluation in progress.
pub struct EvaluationTask {
    evaluator: Evaluator,
    /// Images evaluated so far.
    pub n_done: usize,
    /// Whether these are the test images.
    pub is_test: bool,
}

impl EvaluationTask {
    /// An evaluation of no images yet.
    pub fn new(is_test: bool) -> Self {
        Self { evaluator: Evaluator::default(), n_done: 0, is_test }
    }

    /// Evaluates the next batch of the first `n` images: one batch per shard of the pool.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn advance(
        &mut self,
        source: BatchSource<'_>,
        n: usize,
        trainer: &Trainer,
        pool: &mut WorkerPool,
        host: &impl Host,
    ) -> Result<(), Fault> {
        let end = (self.n_done + EVALUATION_BATCH * pool.n_shards()).min(n);
        let predictions = pool.predict(trainer, (source, self.n_done..end), EVALUATION_BATCH, host).await?;
        for (index, prediction) in (self.n_done..end).zip(&predictions) {
            self.evaluator.add(index, source.split.labels[index], prediction);
        }
        self.n_done = end;
        Ok(())
    }

    /// The evaluation of all images so far.
    pub fn finish(self) -> Evaluation {
        self.evaluator.finish()
    }
}

/// Emits the evaluation of a network on `split`, after the pixels of the misclassified images that it lists.
pub fn emit_evaluation(evaluation: Evaluation, split: &Split, host: &impl Host) {
    let image = |misclassified: &Misclassified| {
        let index = misclassified.index;
        TestImage { index, pixels: split.image(index).to_vec() }
    };
    host.emit(Event::MisclassifiedImages(evaluation.misclassified.iter().map(image).collect()));
    host.emit(Event::Evaluated(Box::new(evaluation)));
}
