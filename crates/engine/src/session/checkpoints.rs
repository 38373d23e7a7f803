//! Checkpoints of a training run: when they are taken, and how a run is restored from one. Never stores a checkpoint: the
//! host does.

use inkling_core::protocol::{CommandName, EngineKind, Event, Fault, Restored, RunPlan, RunState};
use inkling_core::spec::Provenance;

use super::ensemble::LoadedModel;
use super::images::SharedDataset;
use super::preparation::{Goal, RestoredRun};
use super::run_control::ActiveRun;
use super::training_run::{self, Position, TrainingRun};
use super::{Host, Reply, Session, no_engine};
use crate::train::{Trainer, checkpoint};

/// The fraction of the time that checkpoints may take: slow ones are taken less often.
const MAX_TIME_SHARE: f64 = 0.1;

/// When the last checkpoint was taken, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkpoints {
    /// When the last checkpoint was complete, in seconds on the host's clock.
    last_secs: f64,
    /// How many seconds it took.
    took_secs: f64,
}

impl Checkpoints {
    /// Whether a checkpoint is due when one is wanted every `interval_secs`.
    pub fn is_due(&self, now_secs: f64, interval_secs: f64) -> bool {
        now_secs - self.last_secs >= interval_secs.max(self.took_secs / MAX_TIME_SHARE)
    }

    /// Resets the schedule for a new run: a checkpoint is due after its first step.
    pub fn begin_run(&mut self) {
        (self.last_secs, self.took_secs) = (f64::NEG_INFINITY, 0.0);
    }

    /// Records when a checkpoint began and was complete, in seconds on the host's clock.
    pub fn record(&mut self, began_secs: f64, ended_secs: f64) {
        (self.last_secs, self.took_secs) = (ended_secs, ended_secs - began_secs);
    }
}

impl<H: Host> Session<H> {
    /// Emits a checkpoint of the run if the host stores checkpoints and one is due, an epoch has just ended, or `now`
    /// is set. Reports all finished steps first.
    pub(super) async fn take_checkpoint(&mut self, now: bool) -> Result<(), Fault> {
        let (Some(engine), Some(active), Some(model)) = (&self.engine, &mut self.run, &self.model) else {
            return Ok(());
        };
        let (kind, ActiveRun { run, reply, .. }) = (engine.report.kind, active);
        let Some(interval_secs) = self.host.checkpoint_secs(kind) else { return Ok(()) };
        let began_secs = self.host.now_secs();
        if !now && !run.begins_epoch() && !self.checkpoints.is_due(began_secs, interval_secs) {
            return Ok(());
        }
        run.report_steps(reply).await?;
        let state = model.trainer.state().await.map_err(training_run::device_failed)?;
        let read_secs = self.host.now_secs();
        reply.emit(Event::Checkpoint(checkpoint::save(&state, &run.position(kind, read_secs))));
        self.checkpoints.record(began_secs, self.host.now_secs());
        Ok(())
    }

    /// Restores the network of a checkpoint, and with `go_on` also its run. On the CPU, a run from a graphics card is
    /// shared by `workers` workers.
    pub(super) async fn restore(
        &mut self,
        checkpoint: &[u8],
        go_on: bool,
        workers: usize,
        reply: &Reply<H>,
    ) -> Result<(), Fault> {
        self.end_run(reply).await;
        let (state, mut position) = checkpoint::load::<Position>(checkpoint).map_err(bad_checkpoint)?;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let trainer = Trainer::restore_from(&state, &position.spec.recipe, &engine.device).map_err(bad_checkpoint)?;
        if engine.report.kind == EngineKind::Cpu && position.engine != EngineKind::Cpu {
            position.spec.workers = self.workers(position.spec.model, workers)?;
        }
        if !go_on {
            self.restore_model(position, trainer, reply);
            return Ok(());
        }
        self.prepare(Goal::Restore(Box::new(RestoredRun { position, trainer })), reply)?;
        self.enter(RunState::Loading, reply);
        self.advance_if_ready().await;
        Ok(())
    }

    /// Makes the network of a checkpoint the current one, without its run.
    fn restore_model(&mut self, position: Position, trainer: Trainer, reply: &Reply<H>) {
        let Position { spec, epoch, n_steps, .. } = position;
        let parameters = trainer.network().n_numbers();
        let provenance = Some(Provenance::of(&spec, &spec.dataset, self.host.build()));
        let plan = RunPlan { spec, parameters, steps_per_epoch: 0 };
        reply.emit(Event::Restored(Restored { plan, epoch, n_steps, goes_on: false }));
        self.model = Some(LoadedModel { trainer, provenance });
        self.ensemble.on_model_replaced();
        self.emit_ensemble(reply);
        self.enter(RunState::Finished, reply);
    }

    /// The images of a restored run are loaded, and its shaders compiled: it continues.
    pub(super) fn begin_restored(
        &mut self,
        RestoredRun { position, trainer }: RestoredRun,
        dataset: SharedDataset,
        paused: bool,
        reply: &Reply<H>,
    ) -> Result<(), Fault> {
        let Position { ref spec, epoch, n_steps, .. } = position;
        let (spec, parameters) = (spec.clone(), trainer.network().n_numbers());
        let run = TrainingRun::restore(position, dataset, self.host.now_secs());
        reply.emit(Event::Dataset(run.dataset_report()));
        self.pool.resize(spec.workers, reply);
        let plan = RunPlan { spec, parameters, steps_per_epoch: run.steps_per_epoch() };
        reply.emit(Event::Restored(Restored { plan, epoch, n_steps, goes_on: true }));
        self.go_on(run, trainer, CommandName::Restore, paused, reply);
        Ok(())
    }
}

fn bad_checkpoint(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The run cannot go on: its checkpoint cannot be used ({error})"), "Start again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_take_at_most_a_tenth_of_the_time() {
        let mut checkpoints = Checkpoints::default();
        checkpoints.record(20.0, 20.1);
        assert!(!checkpoints.is_due(30.0, 10.0));
        assert!(checkpoints.is_due(30.2, 10.0));
        checkpoints.record(30.0, 32.0);
        assert!(!checkpoints.is_due(51.0, 10.0), "after a checkpoint of 2 s, the next is due 20 s later");
        assert!(checkpoints.is_due(52.0, 10.0));
    }
}
