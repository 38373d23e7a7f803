//! Where a run is, as a snapshot keeps it.

use std::rc::Rc;

use inkling_core::data::Dataset;
use inkling_core::protocol::{BestEpoch, EngineKind};
use inkling_core::spec::TrainSpec;
use serde::{Deserialize, Serialize};

use super::{Course, Judging, Mean};
use crate::batch;

/// Where a run is between two steps: with its trainer's state, all that it goes on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    pub spec: TrainSpec,
    /// Where it was trained.
    pub engine: EngineKind,
    /// From 1.
    pub epoch: usize,
    /// Images of the epoch that were trained on.
    n_trained: usize,
    /// Steps of the whole run.
    pub n_steps: usize,
    training: Mean,
    best: Option<BestEpoch>,
    elapsed_secs: f64,
    epoch_elapsed_secs: f64,
}

impl Course {
    /// A run that goes on from where it was. A validation that was under way begins anew.
    pub fn going_on(position: Position, dataset: Rc<Dataset>, now_secs: f64) -> Self {
        let Position { spec, epoch, n_trained, n_steps, training, best, elapsed_secs, epoch_elapsed_secs, .. } =
            position;
        let course = Self::new(spec, dataset, now_secs - elapsed_secs);
        let order = batch::order(course.spec.seed, epoch, course.n_train());
        let judging = (n_trained >= order.len()).then(|| Judging::new(course.dataset.validation.is_none()));
        let epoch_started_secs = now_secs - epoch_elapsed_secs;
        Self {
            n_told: n_steps,
            order,
            epoch,
            epoch_started_secs,
            n_trained,
            n_steps,
            training,
            best,
            judging,
            ..course
        }
    }

    /// Where it is, when no metrics wait on the device any more ([`Course::report_steps`]).
    pub fn position(&self, engine: EngineKind, now_secs: f64) -> Position {
        Position {
            spec: self.spec.clone(),
            engine,
            epoch: self.epoch,
            n_trained: self.n_trained,
            n_steps: self.n_steps,
            training: self.training,
            best: self.best,
            elapsed_secs: now_secs - self.started_secs,
            epoch_elapsed_secs: now_secs - self.epoch_started_secs,
        }
    }
}
