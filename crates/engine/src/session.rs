//! The session: commands in, events out. It contains no code for transports or browsers; its [`Host`] supplies both.
//!
//! A session starts no work by itself: the host passes in each command ([`Session::handle`]) and requests one short
//! piece of work at a time ([`Session::advance`]), so every command is answered between two training steps.

mod ensemble;
mod evaluation_task;
mod host;
mod images;
mod snapshots;
mod speed;
mod throughput;
mod training_run;
mod worker_pool;

pub use host::Host;
pub use worker_pool::{Answer, PeerWorker};

use ensemble::Ensemble;
use futures_util::future::join;
use images::Images;
use inkling_core::protocol::{
    Command, EngineKind, EngineRequest, Event, Fault, NetworkReport, Phase, Progress, RunPlan, SpeedMeasurement,
};
use inkling_core::spec::{DatasetId, IMAGE_PIXELS, ModelId, Recipe, TrainSpec};
use inkling_core::{evaluation, models};
use snapshots::Snapshots;
use speed::SpeedTest;
use training_run::{Outcome, TrainingRun};
use worker_pool::WorkerPool;

use crate::device::{self, Engine};
use crate::network::Array;
use crate::train::{Checkpoint, Trainer, checkpoint};

/// An engine, a network, and the run that trains it.
pub struct Session<H: Host> {
    host: H,
    engine: Option<Engine>,
    /// The current network: it answers predictions, and a run in progress trains it.
    trainer: Option<Trainer>,
    run: Option<TrainingRun>,
    pool: WorkerPool,
    /// Set while the engine's speed is measured; there is no run then.
    speed_test: Option<SpeedTest>,
    paused: bool,
    /// Pause again after the next step.
    single_step: bool,
    images: Images,
    /// The networks that predict together with the current one.
    ensemble: Ensemble,
    snapshots: Snapshots,
}

impl<H: Host> Session<H> {
    /// A session without engine and network; [`Command::Open`] provides both.
    pub fn new(host: H) -> Self {
        Self {
            host,
            engine: None,
            trainer: None,
            run: None,
            pool: WorkerPool::default(),
            speed_test: None,
            paused: false,
            single_step: false,
            images: Images::default(),
            ensemble: Ensemble::default(),
            snapshots: Snapshots::default(),
        }
    }

    /// The environment given to [`Session::new`].
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Whether [`Session::advance`] has work to do.
    pub fn is_busy(&self) -> bool {
        self.speed_test.is_some() || (self.run.is_some() && !self.paused)
    }

    /// Executes one command. A failure ends the run in progress and is emitted as [`Event::Failed`].
    pub async fn handle(&mut self, command: Command) {
        let result = match command {
            Command::Open(request) => self.open(request).await,
            Command::Start(spec) => self.start(spec).await,
            Command::Predict { version, pixels } => self.predict(version, &pixels).await,
            Command::Pause => self.pause().await,
            Command::Resume => self.resume(false),
            Command::Step => self.resume(true),
            Command::Stop => self.stop().await,
            Command::LoadModel(model) => self.load_model(model).await,
            Command::Evaluate(spec) => self.evaluate(spec).await,
            Command::LoadUserFiles(files) => self.load_user_files(&files).await,
            Command::Measure { workers } => self.measure(workers).await,
            Command::SetEnsemble(active) => self.set_ensemble(active).await,
            Command::Restore { snapshot, go_on, workers } => self.restore(&snapshot, go_on, workers).await,
        };
        self.report_failure(result);
    }

    /// Does one piece of work: a few steps of a speed measurement in progress; otherwise one training step or one batch
    /// of evaluation of the run in progress; otherwise nothing. A failure ends either and is emitted as
    /// [`Event::Failed`].
    pub async fn advance(&mut self) {
        if let Some(speed_test) = &mut self.speed_test {
            let more = speed_test.advance(&mut self.pool, &self.host).await;
            self.speed_test.take_if(|_| !matches!(more, Ok(true)));
            return self.report_failure(more.map(|_| ()));
        }
        let (Some(run), Some(trainer)) = (&mut self.run, &mut self.trainer) else { return };
        let outcome = run.advance(trainer, &mut self.pool, &self.host).await;
        let result = match outcome {
            Ok(Outcome::Finished) => self.take_snapshot(true).await.map(|()| self.run = None),
            Ok(Outcome::Stepped) if self.single_step => self.pause().await,
            Ok(_) => self.take_snapshot(false).await,
            Err(fault) => Err(fault),
        };
        self.report_failure(result);
    }

    /// The arrays of the current network, with its model.
    ///
    /// # Errors
    /// When there is no network yet, or the device has failed.
    pub async fn weights(&self) -> Result<(ModelId, Vec<Array>), Fault> {
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let arrays = trainer.network().arrays().await.map_err(training_run::device_failed)?;
        Ok((trainer.network().model(), arrays))
    }

    /// Ends the run and the speed measurement after an error, and emits it.
    fn report_failure(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            (self.run, self.speed_test) = (None, None);
            self.host.emit(Event::Failed(fault));
        }
    }

    async fn open(&mut self, request: EngineRequest) -> Result<(), Fault> {
        self.end_run().await;
        let host = &self.host;
        let on_progress = |progress| host.emit(Event::Progress(progress));
        // A download that fails here is tried again, and its error emitted, by the run that needs the images.
        let images = async {
            if request.needs_mnist {
                let _ = self.images.fetch(&DatasetId::Mnist, host).await;
            }
        };
        let (engine, ()) = join(device::open(request, on_progress), images).await;
        let mut engine = engine?;
        if engine.report.kind == EngineKind::Cpu {
            engine.report.work_per_sec = speed::measure_work_per_sec(&engine, &self.host).await?;
        }
        self.host.emit(Event::Engine(engine.report.clone()));
        self.engine = Some(engine);
        self.pool = WorkerPool::default();
        self.ensemble.clear();
        self.load_model(request.model).await
    }

    /// Replaces the current network by the pretrained one of a model, or by an untrained one when none ships.
    async fn load_model(&mut self, model: ModelId) -> Result<(), Fault> {
        self.end_run().await;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let on_progress = |progress| self.host.emit(Event::Progress(progress));
        engine.prepare(model, &Recipe::of(model), on_progress).await?;
        let device = engine.device.clone();
        let (trainer, pretrained) = match self.host.pretrained(model).await {
            Some(bytes) => {
                let Checkpoint { arrays, pretrained, .. } = checkpoint::load(&bytes).map_err(bad_weights)?;
                let trainer = Trainer::from_arrays(model, &arrays, &device).map_err(bad_weights)?;
                (trainer, pretrained)
            }
            None => (Trainer::new(model, TrainSpec::of(model).seed, &device), None),
        };
        let parameters = trainer.network().n_numbers();
        self.trainer = Some(trainer);
        self.host.emit(Event::ModelLoaded(NetworkReport { model, parameters, pretrained }));
        self.emit_ensemble();
        Ok(())
    }

    /// Turns prediction with the other networks on or off.
    async fn set_ensemble(&mut self, active: bool) -> Result<(), Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        self.ensemble.set_active(active, &self.host, engine).await;
        let current = trainer.network().model();
        self.host.emit(Event::EnsembleChanged(self.ensemble.models(current)));
        Ok(())
    }

    /// Emits the models of an active ensemble, after the current network changed.
    fn emit_ensemble(&self) {
        if let Some(trainer) = self.trainer.as_ref().filter(|_| self.ensemble.is_active()) {
            self.host.emit(Event::EnsembleChanged(self.ensemble.models(trainer.network().model())));
        }
    }

    /// Stores a user data set for the runs to come.
    async fn load_user_files(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), Fault> {
        self.end_run().await;
        let report = self.images.load_user_files(files)?;
        self.host.emit(Event::Dataset(report));
        Ok(())
    }

    /// Evaluates the current network on the test images of these settings.
    async fn evaluate(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        let (dataset, fallback) = self.images.of(&spec, &self.host).await?;
        self.host.emit(Event::Dataset(TrainingRun::new(spec.clone(), dataset.clone(), 0.0).dataset_report(fallback)));
        // A run in progress has resized the pool already.
        if self.run.is_none() {
            let model = self.trainer.as_ref().map_or(spec.model, |trainer| trainer.network().model());
            self.pool.resize(self.workers(model, spec.workers)?, &self.host);
        }
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let evaluation =
            evaluation_task::evaluate(&dataset.test, spec.test_limit, trainer, &mut self.pool, &self.host).await?;
        evaluation_task::emit_evaluation(evaluation, &dataset.test, &self.host);
        Ok(())
    }

    /// How many of `requested` workers share the work of a model on this engine: one on a graphics card, and one for a
    /// model with too many weights to send.
    fn workers(&self, model: ModelId, requested: usize) -> Result<usize, Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let max_workers = requested.clamp(1, TrainSpec::MAX_WORKERS);
        Ok(if engine.report.kind == EngineKind::Cpu { models::workers(model, max_workers) } else { 1 })
    }

    async fn start(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        self.end_run().await;
        spec.check().map_err(|error| Fault::new(error.to_string(), "Change the setting and start again."))?;
        let spec = TrainSpec { workers: self.workers(spec.model, spec.workers)?, ..spec };
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let device = engine.device.clone();
        let memory = models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        engine.limits.check(&memory, &spec)?;
        let on_progress = |progress| self.host.emit(Event::Progress(progress));
        // Concurrently: the browser compiles shaders outside this worker, which unpacks images meanwhile.
        let prepared = engine.prepare(spec.model, &spec.recipe, on_progress);
        let (prepared, images) = join(prepared, self.images.of(&spec, &self.host)).await;
        let (dataset, fallback) = images?;
        let run = TrainingRun::new(spec.clone(), dataset, self.host.now_secs());
        let report = run.dataset_report(fallback);
        if report.n_train == 0 || report.n_test == 0 {
            return Err(Fault::new("The data set holds no images", "Choose another data set."));
        }
        self.host.emit(Event::Dataset(report));
        prepared?;
        let trainer = Trainer::new(spec.model, spec.seed, &device).by(&spec.recipe);
        self.pool.resize(spec.workers, &self.host);
        let (parameters, steps_per_epoch) = (trainer.network().n_numbers(), run.steps_per_epoch());
        self.host.emit(Event::Started(RunPlan { spec, parameters, steps_per_epoch }));
        self.host.emit(Event::Progress(Progress { phase: Phase::FirstStep, done: 0, total: 0 }));
        (self.trainer, self.run, self.paused, self.single_step) = (Some(trainer), Some(run), false, false);
        self.snapshots.begin_run();
        self.emit_ensemble();
        Ok(())
    }

    async fn pause(&mut self) -> Result<(), Fault> {
        if let (Some(run), false) = (&mut self.run, self.paused) {
            run.report_steps(&self.host).await?;
            (self.paused, self.single_step) = (true, false);
            self.host.emit(Event::Paused);
            // A pause may be long: if the graphics card is lost during it, the run continues from here.
            self.take_snapshot(true).await?;
        }
        Ok(())
    }

    fn resume(&mut self, single_step: bool) -> Result<(), Fault> {
        if self.run.is_some() && self.paused {
            (self.paused, self.single_step) = (false, single_step);
            self.host.emit(Event::Resumed);
        }
        Ok(())
    }

    async fn measure(&mut self, workers: usize) -> Result<(), Fault> {
        self.end_run().await;
        let engine = self.engine.clone().ok_or_else(no_engine)?;
        // Compact represents all measured models: none of them has too many weights to send.
        self.pool.resize(self.workers(ModelId::Compact, workers)?, &self.host);
        self.speed_test = Some(SpeedTest::new(engine));
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Fault> {
        let reported = self.report_last_steps().await;
        self.end_run().await;
        reported
    }

    /// Reports the last steps of the run and takes a snapshot, since its network stays the current one.
    async fn report_last_steps(&mut self) -> Result<(), Fault> {
        if let Some(run) = &mut self.run {
            run.report_steps(&self.host).await?;
        }
        self.take_snapshot(true).await
    }

    /// Ends the run or the speed measurement because a command replaces it. An error of its last steps is ignored: it
    /// must not fail that command.
    async fn end_run(&mut self) {
        if let Some(speed_test) = self.speed_test.take() {
            self.host.emit(Event::Measured(SpeedMeasurement { over: true, ..speed_test.report(&self.pool) }));
        }
        if let Some(mut run) = self.run.take() {
            self.paused = false;
            let _ = run.report_steps(&self.host).await;
            self.host.emit(Event::Stopped);
        }
    }

    async fn predict(&self, version: u64, pixels: &[u8]) -> Result<(), Fault> {
        if pixels.len() != IMAGE_PIXELS {
            let what = format!("An image of {} bytes came where {IMAGE_PIXELS} were expected", pixels.len());
            return Err(Fault::new(what, "Reload the page."));
        }
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let mut predictions = trainer.predict(pixels).await.map_err(training_run::device_failed)?;
        for member in self.ensemble.others(trainer.network().model()) {
            predictions.extend(member.predict(pixels).await.map_err(training_run::device_failed)?);
        }
        self.host.emit(Event::Predicted { version, prediction: evaluation::ensemble(&predictions) });
        Ok(())
    }
}

fn bad_weights(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The weights that came with the program cannot be used ({error})"), "Reload the page.")
}

fn no_engine() -> Fault {
    Fault::new("No engine is open yet", "Choose an engine first.")
}
