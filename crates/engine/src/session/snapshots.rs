//! Snapshots of a training run: when they are taken, and how a run is restored from one. Never stores a snapshot: the
//! host does.

use inkling_core::protocol::{EngineKind, Event, Fault, Restored, RunPlan};

use super::training_run::{self, Position, TrainingRun};
use super::{Host, Session, no_engine};
use crate::train::{Trainer, snapshot};

/// The fraction of the time that snapshots may take: slow ones are taken less often.
const MAX_TIME_SHARE: f64 = 0.1;

/// When the last snapshot was taken, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshots {
    /// When the last snapshot was complete, in seconds on the host's clock.
    last_secs: f64,
    /// How many seconds it took.
    took_secs: f64,
}

impl Snapshots {
    /// Whether a snapshot is due when one is wanted every `interval_secs`.
    pub fn is_due(&self, now_secs: f64, interval_secs: f64) -> bool {
        now_secs - self.last_secs >= interval_secs.max(self.took_secs / MAX_TIME_SHARE)
    }

    /// Resets the schedule for a new run: a snapshot is due after its first step.
    pub fn begin_run(&mut self) {
        (self.last_secs, self.took_secs) = (f64::NEG_INFINITY, 0.0);
    }

    /// Records when a snapshot began and was complete, in seconds on the host's clock.
    pub fn record(&mut self, began_secs: f64, ended_secs: f64) {
        (self.last_secs, self.took_secs) = (ended_secs, ended_secs - began_secs);
    }
}

impl<H: Host> Session<H> {
    /// Emits a snapshot of the run if the host stores snapshots and one is due, an epoch has just ended, or `now`
    /// is set. Reports all finished steps first.
    pub(super) async fn take_snapshot(&mut self, now: bool) -> Result<(), Fault> {
        let (Some(engine), Some(run), Some(trainer)) = (&self.engine, &mut self.run, &self.trainer) else {
            return Ok(());
        };
        let kind = engine.report.kind;
        let Some(interval_secs) = self.host.snapshot_secs(kind) else { return Ok(()) };
        let began_secs = self.host.now_secs();
        if !now && !run.begins_epoch() && !self.snapshots.is_due(began_secs, interval_secs) {
            return Ok(());
        }
        run.report_steps(&self.host).await?;
        let state = trainer.state().await.map_err(training_run::device_failed)?;
        let read_secs = self.host.now_secs();
        self.host.emit(Event::Snapshot(snapshot::save(&state, &run.position(kind, read_secs))));
        self.snapshots.record(began_secs, self.host.now_secs());
        Ok(())
    }

    /// Restores the network of a snapshot, and with `go_on` also its run. On the CPU, a run from a graphics card is
    /// shared by `workers` workers.
    pub(super) async fn restore(&mut self, snapshot: &[u8], go_on: bool, workers: usize) -> Result<(), Fault> {
        self.end_run().await;
        let (state, mut position) = snapshot::load::<Position>(snapshot).map_err(bad_snapshot)?;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let trainer = Trainer::restore_from(&state, &position.spec.recipe, &engine.device).map_err(bad_snapshot)?;
        if engine.report.kind == EngineKind::Cpu && position.engine != EngineKind::Cpu {
            position.spec.workers = self.workers(position.spec.model, workers)?;
        }
        let Position { ref spec, epoch, n_steps, .. } = position;
        let (spec, parameters) = (spec.clone(), trainer.network().n_numbers());
        let run = if go_on { Some(self.restore_run(position).await?) } else { None };
        let steps_per_epoch = run.as_ref().map_or(0, TrainingRun::steps_per_epoch);
        let plan = RunPlan { spec, parameters, steps_per_epoch };
        self.host.emit(Event::Restored(Restored { plan, epoch, n_steps, goes_on: run.is_some() }));
        (self.trainer, self.run, self.paused, self.single_step) = (Some(trainer), run, false, false);
        self.snapshots.begin_run();
        self.emit_ensemble();
        Ok(())
    }

    /// Restores a run: loads its data set, and prepares engine and worker pool for it.
    async fn restore_run(&mut self, position: Position) -> Result<TrainingRun, Fault> {
        let spec = position.spec.clone();
        let (dataset, fallback) = self.images.of(&spec, &self.host).await?;
        let run = TrainingRun::restore(position, dataset, self.host.now_secs());
        self.host.emit(Event::Dataset(run.dataset_report(fallback)));
        let on_progress = |progress| self.host.emit(Event::Progress(progress));
        self.engine.as_ref().ok_or_else(no_engine)?.prepare(spec.model, &spec.recipe, on_progress).await?;
        self.pool.resize(spec.workers, &self.host);
        Ok(run)
    }
}

fn bad_snapshot(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The run cannot go on: its snapshot cannot be used ({error})"), "Start again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_take_at_most_a_tenth_of_the_time() {
        let mut snapshots = Snapshots::default();
        snapshots.record(20.0, 20.1);
        assert!(!snapshots.is_due(30.0, 10.0));
        assert!(snapshots.is_due(30.2, 10.0));
        snapshots.record(30.0, 32.0);
        assert!(!snapshots.is_due(51.0, 10.0), "after a snapshot of 2 s, the next is due 20 s later");
        assert!(snapshots.is_due(52.0, 10.0));
    }
}
