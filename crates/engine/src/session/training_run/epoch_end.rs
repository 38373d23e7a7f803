//! The end of an epoch: evaluation batch by batch, then the next epoch, the test or the end of the run. Never trains.

use inkling_core::evaluation::Evaluation;
use inkling_core::protocol::{BestEpoch, EpochReport, EvaluationReport, Event, Fault, Phase, Progress, RunSummary};
use inkling_core::spec::Metrics;

use super::{Outcome, TrainingRun};
use crate::batch;
use crate::session::evaluation_task::{EVALUATION_BATCH, EvaluationTask, emit_evaluation};
use crate::session::throughput::Throughput;
use crate::session::worker_pool::WorkerPool;
use crate::session::{Host, Reply};
use crate::train::{BatchSource, Mean, Trainer};

impl TrainingRun {
    /// Evaluates one batch. After the last one, ends the epoch or the run.
    pub(super) async fn evaluate(
        &mut self,
        task: EvaluationTask,
        trainer: &Trainer,
        pool: &mut WorkerPool,
        reply: &Reply<impl Host>,
    ) -> Result<Outcome, Fault> {
        let mut task = task;
        let dataset = self.dataset.clone();
        let validation = dataset.validation.as_ref().filter(|_| !task.is_test);
        let (split, cache) = match validation {
            Some(split) => (split, &self.caches.validation),
            None => (&dataset.test, &self.caches.test),
        };
        let n = self.limited(split);
        let range = task.next_range(pool.n_shards(), n);
        let source = BatchSource::of(cache, split, n, trainer.device());
        let predictions = pool.predict(trainer, (source, range.clone()), EVALUATION_BATCH, reply).await?;
        task.add(range, split, &predictions);
        let (done, total) = (task.n_done as u64, n as u64);
        // Without validation images, the test images are the validation images of every epoch.
        let phase = if task.is_test && dataset.validation.is_some() { Phase::Test } else { Phase::Validate };
        reply.emit(Event::Progress(Progress { phase, done, total }));
        if done < total {
            self.evaluation = Some(task);
            return Ok(Outcome::Evaluating);
        }
        let (is_test, evaluation) = (task.is_test, task.finish());
        if phase == Phase::Validate {
            self.end_epoch(&evaluation, reply);
        }
        if self.epoch < self.spec.recipe.epochs {
            self.next_epoch(reply);
            return Ok(Outcome::Stepped);
        }
        if !is_test {
            self.evaluation = Some(EvaluationTask::new(true));
            return Ok(Outcome::Evaluating);
        }
        self.finish(evaluation, reply);
        Ok(Outcome::Finished)
    }

    fn end_epoch(&mut self, evaluation: &Evaluation, reply: &Reply<impl Host>) {
        let validation = Metrics { loss: evaluation.loss, accuracy: evaluation.accuracy };
        if self.best.is_none_or(|best| validation.accuracy > best.validation.accuracy) {
            self.best = Some(BestEpoch { epoch: self.epoch, validation });
        }
        reply.emit(Event::EpochEnded(EpochReport {
            epoch: self.epoch,
            epochs: self.spec.recipe.epochs,
            step: self.n_steps,
            training: self.training.metrics(),
            validation,
            learning_rate: self.last_learning_rate,
            images_per_second: self.epoch_throughput.images_per_second(),
            elapsed_secs: reply.now_secs() - self.epoch_started_secs,
        }));
    }

    fn next_epoch(&mut self, reply: &Reply<impl Host>) {
        self.epoch += 1;
        self.order = batch::epoch_order(self.spec.seed, self.epoch, self.n_train());
        (self.n_trained, self.training, self.epoch_started_secs) = (0, Mean::default(), reply.now_secs());
        self.epoch_throughput = Throughput::over(f64::INFINITY);
    }

    fn finish(&self, evaluation: Evaluation, reply: &Reply<impl Host>) {
        let (test_images, test_errors) = (evaluation.n_images, evaluation.n_errors);
        let test = Metrics { loss: evaluation.loss, accuracy: evaluation.accuracy };
        let (models, dataset) = (vec![self.spec.model], self.dataset.id.clone());
        let report = EvaluationReport { result: evaluation, models, dataset, fallback: self.fallback.clone() };
        emit_evaluation(report, &self.dataset.test, reply);
        reply.emit(Event::Finished(RunSummary {
            test_images,
            test_errors,
            test,
            best: self.best.unwrap_or(BestEpoch { epoch: self.epoch, validation: test }),
            elapsed_secs: reply.now_secs() - self.started_secs,
        }));
    }
}
