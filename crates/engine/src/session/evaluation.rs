//! Evaluations on request: batch by batch, between which other requests are answered. A run in progress waits, because
//! its next step would change the network. Never trains.

use std::rc::Rc;

use inkling_core::data::Dataset;
use inkling_core::protocol::{EvaluationReport, EvaluationSpec, Event, Fault, Phase, Progress};
use inkling_core::spec::{ModelId, Provenance};

use super::evaluation_task::{EVALUATION_BATCH, EvaluationTask, emit_evaluation};
use super::images::SharedDataset;
use super::preparation::Goal;
use super::{Host, Reply, Session, no_engine};
use crate::train::{BatchSource, ImageCache};

/// An evaluation in progress.
pub struct Evaluating<H> {
    pub(super) reply: Reply<H>,
    spec: EvaluationSpec,
    dataset: Rc<Dataset>,
    fallback: Option<String>,
    cache: ImageCache,
    task: EvaluationTask,
    /// Number of test images, after the limit.
    n_images: usize,
}

impl<H: Host> Session<H> {
    /// Begins to load the images of an evaluation. An evaluation in progress is replaced.
    pub(super) async fn evaluate(&mut self, spec: EvaluationSpec, reply: &Reply<H>) -> Result<(), Fault> {
        if self.model.is_none() {
            return Err(no_engine());
        }
        if self.preparation.as_ref().is_some_and(|preparation| preparation.goal.is_run()) {
            return Err(Fault::new("A run is about to begin", "Evaluate when it has begun, or stop it first."));
        }
        self.evaluation = None;
        self.prepare(Goal::Evaluate(spec), reply)?;
        self.emit_state(reply);
        self.advance_if_ready().await;
        Ok(())
    }

    /// The images of an evaluation are loaded: checks that the networks have not learned them, and begins.
    pub(super) fn begin_evaluation(
        &mut self,
        spec: EvaluationSpec,
        (dataset, fallback): SharedDataset,
        reply: Reply<H>,
    ) -> Result<(), Fault> {
        let model = self.model.as_ref().ok_or_else(no_engine)?;
        let networks = [model].into_iter().chain(self.ensemble.others(model).filter(|_| spec.ensemble));
        for network in networks {
            let (model, provenance) = (network.trainer.network().model(), network.provenance.as_ref());
            provenance.map_or(Ok(()), |provenance| check_unlearned(model, provenance, &dataset, &spec))?;
        }
        if dataset.test.is_empty() {
            return Err(Fault::new("The data set holds no test images", "Choose another data set."));
        }
        // A run in progress has resized the pool already.
        if self.run.is_none() {
            let n_workers = self.workers(model.trainer.network().model(), spec.workers)?;
            self.pool.resize(n_workers, &reply);
        }
        let n_images = dataset.test.len().min(spec.test_limit.unwrap_or(usize::MAX));
        let (cache, task) = (ImageCache::new(), EvaluationTask::new(true));
        self.evaluation = Some(Evaluating { reply, spec, dataset, fallback, cache, task, n_images });
        Ok(())
    }

    /// Evaluates one batch per worker; after the last one, emits the evaluation.
    pub(super) async fn advance_evaluation(&mut self) -> Result<(), Fault> {
        let Some(mut evaluating) = self.evaluation.take() else { return Ok(()) };
        let Evaluating { spec, dataset, cache, task, n_images, reply, .. } = &mut evaluating;
        let model = self.model.as_ref().ok_or_else(no_engine)?;
        let (split, range) = (&dataset.test, task.next_range(self.pool.n_shards(), *n_images));
        let predictions = if spec.shifts || spec.ensemble {
            self.predictions(split.pixels(range.clone()), spec.shifts, spec.ensemble).await?
        } else {
            let source = BatchSource::of(cache, split, *n_images, model.trainer.device());
            self.pool.predict(&model.trainer, (source, range.clone()), EVALUATION_BATCH, reply).await?
        };
        task.add(range, split, &predictions);
        let (done, total) = (task.n_done as u64, *n_images as u64);
        reply.emit(Event::Progress(Progress { phase: Phase::Test, done, total }));
        if done < total {
            self.evaluation = Some(evaluating);
        } else {
            self.finish_evaluation(evaluating);
        }
        Ok(())
    }

    fn finish_evaluation(&self, evaluating: Evaluating<H>) {
        let Evaluating { spec, dataset, fallback, task, reply, .. } = evaluating;
        let current = self.model.iter();
        let models =
            current.flat_map(|model| self.ensemble.models(model)).take(if spec.ensemble { usize::MAX } else { 1 });
        let (models, result) = (models.collect(), task.finish());
        let report = EvaluationReport { result, models, dataset: dataset.id.clone(), fallback };
        emit_evaluation(report, &dataset.test, &reply);
        self.emit_state(&reply);
    }
}

/// Checks that the test images of an evaluation are not among those that a network learned.
fn check_unlearned(
    model: ModelId,
    provenance: &Provenance,
    dataset: &Dataset,
    spec: &EvaluationSpec,
) -> Result<(), Fault> {
    if !provenance.overlaps(&dataset.id, spec.split, spec.split_seed) {
        return Ok(());
    }
    let Provenance { dataset, split, split_seed, .. } = provenance;
    let what =
        format!("{model} has learned some of these test images: it was trained on the {split} split of {dataset}");
    Err(Fault::new(what, format!("Evaluate it on the split {split} with the split seed {split_seed}.")))
}
