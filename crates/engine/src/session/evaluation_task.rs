//! An evaluation batch by batch, whoever predicts, and its result as events. The pixels of misclassified images are emitted as an event
//! of their own before the evaluation, because receipts record the evaluation but not the pixels. Never predicts.

use std::ops::Range;

use inkling_core::data::Split;
use inkling_core::evaluation::{Evaluation, Evaluator, Misclassified};
use inkling_core::protocol::{EvaluationReport, Event, TestImage};
use inkling_core::spec::Prediction;

use super::{Host, Reply};

/// Images in a batch of evaluation: enough to keep a device busy, few enough to answer commands soon.
pub const EVALUATION_BATCH: usize = 200;

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

    /// The images to predict next, of the first `n`: one batch per shard of the pool.
    pub fn next_range(&self, n_shards: usize, n: usize) -> Range<usize> {
        self.n_done..(self.n_done + EVALUATION_BATCH * n_shards).min(n)
    }

    /// Adds the predictions for the images of a range of `split`.
    pub fn add(&mut self, range: Range<usize>, split: &Split, predictions: &[Prediction]) {
        self.n_done = range.end;
        for (index, prediction) in range.zip(predictions) {
            self.evaluator.add(index, split.labels[index], prediction);
        }
    }

    /// The evaluation of all images so far.
    pub fn finish(self) -> Evaluation {
        self.evaluator.finish()
    }
}

/// Emits an evaluation on the images of `split`, after the pixels of the misclassified images that it lists.
pub fn emit_evaluation(report: EvaluationReport, split: &Split, reply: &Reply<impl Host>) {
    let image = |misclassified: &Misclassified| {
        let index = misclassified.index;
        TestImage { index, pixels: split.image(index).to_vec() }
    };
    let images = report.result.misclassified.iter().map(image).collect();
    reply.emit(Event::MisclassifiedImages(images));
    reply.emit(Event::Evaluated(Box::new(report)));
}
