//! Snapshots of a run: when they are taken, and how a run goes on from one.

use inkling_core::protocol::{EngineKind, Event, Fault, Restored, RunPlan};

use super::course::{self, Course, Position};
use super::{Host, Session, no_engine};
use crate::train::{Trainer, snapshot};

/// A snapshot that takes long is taken less often: not more than this part of the time goes into them.
const AT_MOST: f64 = 0.1;

/// When the last one was taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshots {
    /// Seconds on the host's clock.
    last: f64,
    /// Seconds it took.
    took: f64,
}

impl Snapshots {
    /// Whether it is time for one, where one is wanted every so many seconds.
    pub fn is_due(&self, now: f64, every: f64) -> bool {
        now - self.last >= every.max(self.took / AT_MOST)
    }

    /// A run begins: its first step is worth keeping.
    pub fn begin(&mut self) {
        (self.last, self.took) = (f64::NEG_INFINITY, 0.0);
    }

    /// One was taken.
    pub fn taken(&mut self, began: f64, ended: f64) {
        (self.last, self.took) = (ended, ended - began);
    }
}

impl<H: Host> Session<H> {
    /// Tells of a snapshot when one is due, or now.
    pub(super) async fn take_snapshot(&mut self, now: bool) -> Result<(), Fault> {
        let (Some(engine), Some(course), Some(trainer)) = (&self.engine, &mut self.course, &self.trainer) else {
            return Ok(());
        };
        let kind = engine.report.kind;
        let Some(secs) = self.host.snapshot_secs(kind) else { return Ok(()) };
        let began = self.host.now_secs();
        if !now && !course.begins_epoch() && !self.snapshots.is_due(began, secs) {
            return Ok(());
        }
        course.report_steps(&self.host).await?;
        let state = trainer.state().await.map_err(course::device_failed)?;
        let ended = self.host.now_secs();
        self.host.emit(Event::Snapshot(snapshot::save(&state, &course.position(kind, ended))));
        self.snapshots.taken(began, self.host.now_secs());
        Ok(())
    }

    /// Takes a run up from where a snapshot was taken, or only its network.
    pub(super) async fn restore(&mut self, snapshot: &[u8], go_on: bool, workers: usize) -> Result<(), Fault> {
        self.end_run().await;
        let (state, mut position) = snapshot::load::<Position>(snapshot).map_err(bad_snapshot)?;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let trainer = Trainer::going_on(&state, &position.spec.recipe, &engine.device).map_err(bad_snapshot)?;
        if engine.report.kind == EngineKind::Cpu && position.engine != EngineKind::Cpu {
            position.spec.workers = self.workers(position.spec.model, workers)?;
        }
        let Position { ref spec, epoch, n_steps, .. } = position;
        let (spec, parameters) = (spec.clone(), trainer.network().n_numbers());
        let course = if go_on { Some(self.course_from(position).await?) } else { None };
        let steps_per_epoch = course.as_ref().map_or(0, Course::steps_per_epoch);
        let plan = RunPlan { spec, parameters, steps_per_epoch };
        self.host.emit(Event::Restored(Restored { plan, epoch, n_steps, goes_on: course.is_some() }));
        (self.trainer, self.course, self.paused, self.single) = (Some(trainer), course, false, false);
        self.snapshots.begin();
        self.tell_readers();
        Ok(())
    }

    /// A course that goes on, with its images and on an engine that is ready for it.
    async fn course_from(&mut self, position: Position) -> Result<Course, Fault> {
        let spec = position.spec.clone();
        let (dataset, fallback) = self.images.of(&spec, &self.host).await?;
        let course = Course::going_on(position, dataset, self.host.now_secs());
        self.host.emit(Event::Dataset(course.dataset_report(fallback)));
        let on = |progress| self.host.emit(Event::Progress(progress));
        self.engine.as_ref().ok_or_else(no_engine)?.prepare(spec.model, &spec.recipe, on).await?;
        self.crew.muster(spec.workers, &self.host);
        Ok(course)
    }
}

fn bad_snapshot(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The run cannot go on: its snapshot cannot be used ({error})"), "Start again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_take_a_small_part_of_the_time() {
        let mut snapshots = Snapshots::default();
        snapshots.taken(20.0, 20.1);
        assert!(!snapshots.is_due(30.0, 10.0));
        assert!(snapshots.is_due(30.2, 10.0));
        snapshots.taken(30.0, 32.0);
        assert!(!snapshots.is_due(51.0, 10.0), "one that took 2 s comes every 20 s");
        assert!(snapshots.is_due(52.0, 10.0));
    }
}
