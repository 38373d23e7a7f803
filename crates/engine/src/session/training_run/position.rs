//! The position of a training run, as a checkpoint stores it. Contains no weights and no optimizer state.

use inkling_core::protocol::{BestEpoch, EngineKind};
use inkling_core::spec::TrainSpec;
use serde::{Deserialize, Serialize};

use super::{EvaluationTask, Mean, TrainingRun};
use crate::batch;
use crate::session::images::SharedDataset;

/// The position of a run between two steps. Together with the trainer's state it is everything needed to restore the
/// run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// The settings of the run.
    pub spec: TrainSpec,
    /// The kind of engine that trained.
    pub engine: EngineKind,
    /// Counts from 1.
    pub epoch: usize,
    /// Images of the epoch already trained on.
    n_trained: usize,
    /// Steps of the whole run.
    pub n_steps: usize,
    /// The metrics of this epoch's steps, in training mode.
    training: Mean,
    /// The epoch with the best validation accuracy.
    best: Option<BestEpoch>,
    /// The learning rate of the last step.
    last_learning_rate: f64,
    elapsed_secs: f64,
    epoch_elapsed_secs: f64,
}

impl TrainingRun {
    /// Restores a run at a position. After the last step of an epoch, its validation starts over.
    pub fn restore(position: Position, dataset: SharedDataset, now_secs: f64) -> Self {
        let Position { spec, epoch, n_trained, n_steps, training, best, last_learning_rate, .. } = position;
        let Position { elapsed_secs, epoch_elapsed_secs, .. } = position;
        let new_run = Self::new(spec, dataset, now_secs - elapsed_secs);
        let order = batch::epoch_order(new_run.spec.seed, epoch, new_run.n_train());
        let evaluation = (n_trained >= order.len()).then(|| EvaluationTask::new(new_run.dataset.validation.is_none()));
        let epoch_started_secs = now_secs - epoch_elapsed_secs;
        Self {
            n_reported: n_steps,
            order,
            epoch,
            epoch_started_secs,
            n_trained,
            n_steps,
            training,
            best,
            evaluation,
            last_learning_rate,
            ..new_run
        }
    }

    /// The current position. Call [`TrainingRun::report_steps`] first: metrics that are still on the device are missing
    /// in it.
    pub fn position(&self, engine: EngineKind, now_secs: f64) -> Position {
        Position {
            spec: self.spec.clone(),
            engine,
            epoch: self.epoch,
            n_trained: self.n_trained,
            n_steps: self.n_steps,
            training: self.training,
            best: self.best,
            last_learning_rate: self.last_learning_rate,
            elapsed_secs: now_secs - self.started_secs,
            epoch_elapsed_secs: now_secs - self.epoch_started_secs,
        }
    }
}
