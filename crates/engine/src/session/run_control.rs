//! The life of a run: start, pause, resume, single step, stop, end. Never takes a step itself; `training_run` does.

use inkling_core::models;
use inkling_core::protocol::{CommandName, Event, Fault, Phase, Progress, RunPlan, RunState};
use inkling_core::spec::{Provenance, TrainSpec};

use super::ensemble::LoadedModel;
use super::images::SharedDataset;
use super::preparation::Goal;
use super::training_run::{Outcome, TrainingRun};
use super::{Host, Reply, Session, no_engine};
use crate::train::Trainer;

/// The run in progress, with the request that started it.
pub struct ActiveRun<H> {
    pub(super) run: TrainingRun,
    pub(super) paused: bool,
    /// Pause again after the next step.
    pub(super) single_step: bool,
    /// Sends events in the name of the run.
    pub(super) reply: Reply<H>,
    /// The command that started it.
    pub(super) command: CommandName,
}

impl<H: Host> Session<H> {
    pub(super) async fn start(&mut self, spec: TrainSpec, reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        spec.check().map_err(|error| Fault::new(error.to_string(), "Change the setting and start again."))?;
        let spec = TrainSpec { workers: self.workers(spec.model, spec.workers)?, ..spec };
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let memory = models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        engine.limits.check(&memory, &spec)?;
        self.prepare(Goal::Start(spec), reply)?;
        self.enter(RunState::Loading, reply);
        self.advance_if_ready().await;
        Ok(())
    }

    /// Images and shaders of a run are ready: it begins, paused if it was paused before.
    pub(super) fn begin_run(
        &mut self,
        spec: TrainSpec,
        dataset: SharedDataset,
        paused: bool,
        reply: &Reply<H>,
    ) -> Result<(), Fault> {
        let run = TrainingRun::new(spec.clone(), dataset, self.host.now_secs());
        let report = run.dataset_report();
        if report.n_train == 0 || report.n_test == 0 {
            return Err(Fault::new("The data set holds no images", "Choose another data set."));
        }
        reply.emit(Event::Dataset(report));
        let device = self.engine.as_ref().ok_or_else(no_engine)?.device.clone();
        let trainer = Trainer::new(spec.model, spec.seed, &device).with_recipe(&spec.recipe);
        self.pool.resize(spec.workers, reply);
        let (parameters, steps_per_epoch) = (trainer.network().n_numbers(), run.steps_per_epoch());
        reply.emit(Event::Started(RunPlan { spec, parameters, steps_per_epoch }));
        self.go_on(run, trainer, CommandName::Start, paused, reply);
        if !paused {
            reply.emit(Event::Progress(Progress { phase: Phase::FirstStep, done: 0, total: 0 }));
        }
        Ok(())
    }

    /// A run is set up: it trains from now on.
    pub(super) fn go_on(
        &mut self,
        run: TrainingRun,
        trainer: Trainer,
        command: CommandName,
        paused: bool,
        reply: &Reply<H>,
    ) {
        let provenance = Some(Provenance::of(run.spec(), run.dataset(), self.host.build()));
        self.model = Some(LoadedModel { trainer, provenance });
        self.run = Some(ActiveRun { run, paused, single_step: false, reply: reply.clone(), command });
        self.checkpoints.begin_run();
        self.ensemble.on_model_replaced();
        self.emit_ensemble(reply);
        self.enter(if paused { RunState::Paused } else { RunState::Training }, reply);
    }

    /// Takes a step of the run in progress, or evaluates a batch for it.
    pub(super) async fn advance_run(&mut self) {
        let (Some(active), Some(model)) = (&mut self.run, &mut self.model) else { return };
        let (reply, single_step) = (active.reply.clone(), active.single_step);
        let outcome = active.run.advance(&mut model.trainer, &mut self.pool, &reply).await;
        let result = match outcome {
            Ok(Outcome::Finished) => self.finish_run().await,
            Ok(Outcome::Stepped) if single_step => self.pause_run().await,
            Ok(_) => self.take_checkpoint(false).await,
            Err(fault) => Err(fault),
        };
        self.check_run(result);
    }

    async fn finish_run(&mut self) -> Result<(), Fault> {
        self.take_checkpoint(true).await?;
        if let Some(ActiveRun { reply, .. }) = self.run.take() {
            self.enter(RunState::Finished, &reply);
        }
        Ok(())
    }

    /// Emits the failure of work for the run in the name of the run, which ends.
    fn check_run(&mut self, result: Result<(), Fault>) {
        let Err(fault) = result else { return };
        if let Some(ActiveRun { reply, command, .. }) = self.run.take() {
            self.fail(command, fault, &reply);
        }
    }

    /// Pauses the run, also one that has not begun yet.
    pub(super) async fn pause(&mut self, _: &Reply<H>) -> Result<(), Fault> {
        if let Some(preparation) = self.preparation.as_mut().filter(|preparation| preparation.goal.is_run()) {
            preparation.paused = true;
        }
        let result = self.pause_run().await;
        self.check_run(result);
        Ok(())
    }

    async fn pause_run(&mut self) -> Result<(), Fault> {
        if let Some(active) = self.run.as_mut().filter(|active| !active.paused) {
            active.run.report_steps(&active.reply).await?;
            (active.paused, active.single_step) = (true, false);
            let reply = active.reply.clone();
            self.enter(RunState::Paused, &reply);
            // A pause may be long: if the graphics card is lost during it, the run continues from here.
            self.take_checkpoint(true).await?;
        }
        Ok(())
    }

    pub(super) fn resume(&mut self, single_step: bool, _: &Reply<H>) -> Result<(), Fault> {
        if let Some(preparation) = &mut self.preparation {
            preparation.paused = false;
        }
        if let Some(active) = self.run.as_mut().filter(|active| active.paused) {
            (active.paused, active.single_step) = (false, single_step);
            let reply = active.reply.clone();
            self.enter(RunState::Training, &reply);
        }
        Ok(())
    }

    /// Ends all that goes on: a run, its preparation, an evaluation, a measurement.
    pub(super) async fn stop(&mut self, reply: &Reply<H>) -> Result<(), Fault> {
        let result = self.report_last_steps().await;
        self.check_run(result);
        self.end_run(reply).await;
        Ok(())
    }

    /// Reports the last steps of the run and takes a checkpoint, since its network stays the current one.
    async fn report_last_steps(&mut self) -> Result<(), Fault> {
        if let Some(active) = &mut self.run {
            active.run.report_steps(&active.reply).await?;
        }
        self.take_checkpoint(true).await
    }

    /// Ends all that goes on because another request replaces it. An error of a run's last steps is ignored: it must
    /// not fail that request.
    pub(super) async fn end_run(&mut self, reply: &Reply<H>) {
        let was_busy = self.preparation.is_some() || self.evaluation.is_some() || self.speed_test.is_some();
        self.end_speed_test();
        self.evaluation = None;
        if self.preparation.take().is_some_and(|preparation| preparation.goal.is_run()) {
            self.run_state = if self.model.is_some() { RunState::Ready } else { self.run_state };
        }
        if let Some(mut active) = self.run.take() {
            let _ = active.run.report_steps(&active.reply).await;
            active.reply.emit(Event::Stopped);
            self.enter(RunState::Finished, &active.reply);
        } else if was_busy {
            self.emit_state(reply);
        }
    }
}
