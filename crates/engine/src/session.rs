//! The session: requests in, messages out. It contains no code for transports or browsers; its [`Host`] supplies both.
//!
//! A session starts no work by itself: the host passes in each request ([`Session::handle`]) and asks for one short
//! piece of work at a time ([`Session::advance`]), so every request is answered between two training steps, two batches
//! of an evaluation or two blocks of a download.

mod checkpoints;
mod ensemble;
mod evaluation;
mod evaluation_task;
mod host;
mod images;
mod models;
mod preparation;
mod run_control;
mod speed;
mod throughput;
mod training_run;
mod worker_pool;

pub use host::{Host, Reply};
pub use worker_pool::{Answer, PeerWorker};

use std::rc::Rc;

use checkpoints::Checkpoints;
use ensemble::{Ensemble, LoadedModel};
use evaluation::Evaluating;
use futures_util::FutureExt;
use futures_util::future::join;
use images::Images;
use inkling_core::models as model_sizes;
use inkling_core::protocol::{
    Activity, Command, CommandName, EngineKind, EngineRequest, Event, Fault, Request, RunState, SessionState,
    SpeedMeasurement,
};
use inkling_core::spec::{DatasetId, ModelId, TrainSpec};
use preparation::{Goal, Preparation};
use run_control::ActiveRun;
use speed::SpeedTest;
use worker_pool::WorkerPool;

use crate::device::{self, Engine};

/// An engine, a network, and the run that trains it.
pub struct Session<H: Host> {
    host: Rc<H>,
    engine: Option<Engine>,
    /// The current network: it answers predictions, and a run in progress trains it.
    model: Option<LoadedModel>,
    /// The networks that predict together with the current one.
    ensemble: Ensemble,
    images: Rc<Images>,
    pool: WorkerPool,
    /// The state last told.
    run_state: RunState,
    /// Set while images are loaded or shaders compiled for a request.
    preparation: Option<Preparation<H>>,
    run: Option<ActiveRun<H>>,
    /// Set while a network is evaluated on request; a run waits then.
    evaluation: Option<Evaluating<H>>,
    /// Set while the engine's speed is measured; there is no run then.
    speed_test: Option<(SpeedTest, Reply<H>)>,
    checkpoints: Checkpoints,
}

impl<H: Host> Session<H> {
    /// A session without engine and network; [`Command::Open`] provides both.
    pub fn new(host: H) -> Self {
        Self {
            host: Rc::new(host),
            engine: None,
            model: None,
            ensemble: Ensemble::default(),
            images: Rc::default(),
            pool: WorkerPool::default(),
            run_state: RunState::Loading,
            preparation: None,
            run: None,
            evaluation: None,
            speed_test: None,
            checkpoints: Checkpoints::default(),
        }
    }

    /// The environment given to [`Session::new`].
    pub fn host(&self) -> &H {
        &self.host
    }

    /// Whether [`Session::advance`] has work to do.
    pub fn is_busy(&self) -> bool {
        let trains = self.run.as_ref().is_some_and(|run| !run.paused);
        self.preparation.is_some() || self.evaluation.is_some() || self.speed_test.is_some() || trains
    }

    /// Whether the future of [`Session::advance`] can be dropped before it is ready, without loss. So it is while
    /// images are loaded, which may take long.
    pub fn is_interruptible(&self) -> bool {
        self.preparation.as_ref().is_some_and(Preparation::is_interruptible)
    }

    /// Handles one request. A failure is emitted as [`Event::Failed`]; it ends a run only if it is the run's.
    pub async fn handle(&mut self, request: Request) {
        let Request { id, command } = request;
        let (name, reply) = (command.name(), Reply::new(self.host.clone(), id));
        let before = self.run_state;
        let result = match command {
            Command::Open(request) => self.open(request, &reply).await,
            Command::Start(spec) => self.start(spec, &reply).await,
            Command::Predict { pixels, shifts } => self.predict(&pixels, shifts, &reply).await,
            Command::Pause => self.pause(&reply).await,
            Command::Resume => self.resume(false, &reply),
            Command::Step => self.resume(true, &reply),
            Command::Stop => self.stop(&reply).await,
            Command::LoadModel(model) => self.load_model(model, &reply).await,
            Command::LoadWeights(files) => self.load_weights(&files, &reply).await,
            Command::Evaluate(spec) => self.evaluate(spec, &reply).await,
            Command::LoadUserFiles(files) => self.load_user_files(&files, &reply).await,
            Command::Measure { workers } => self.measure(workers, &reply).await,
            Command::SetEnsemble(active) => self.set_ensemble(active, &reply).await,
            Command::Restore { checkpoint, go_on, workers } => self.restore(&checkpoint, go_on, workers, &reply).await,
        };
        let controls = matches!(name, CommandName::Pause | CommandName::Resume | CommandName::Step | CommandName::Stop);
        match result {
            Err(fault) => self.fail(name, fault, &reply),
            // The sender waits for a state, also where there was nothing to pause or stop.
            Ok(()) if controls && self.run_state == before => self.emit_state(&reply),
            Ok(()) => {}
        }
    }

    /// Does one piece of work: images or shaders for a request; otherwise one batch of an evaluation, a few steps of a
    /// speed measurement, or a step of the run in progress. A failure ends that work and is emitted as
    /// [`Event::Failed`].
    pub async fn advance(&mut self) {
        if self.preparation.is_some() {
            self.advance_preparation().await;
        } else if let Some(reply) = self.evaluation.as_ref().map(|evaluation| evaluation.reply.clone()) {
            let result = self.advance_evaluation().await;
            result.unwrap_or_else(|fault| self.fail(CommandName::Evaluate, fault, &reply));
        } else if self.speed_test.is_some() {
            self.advance_speed_test().await;
        } else {
            self.advance_run().await;
        }
    }

    /// Emits a failure, after the work that failed has ended.
    fn fail(&mut self, command: CommandName, fault: Fault, reply: &Reply<H>) {
        reply.emit(Event::Failed { command, fault });
        if command.ends_run() {
            (self.run, self.preparation, self.evaluation, self.speed_test) = (None, None, None, None);
            self.run_state = RunState::Failed;
        }
        self.emit_state(reply);
    }

    /// Enters a state of the run and tells it.
    fn enter(&mut self, state: RunState, reply: &Reply<H>) {
        self.run_state = state;
        self.emit_state(reply);
    }

    /// Tells what the session does now.
    fn emit_state(&self, reply: &Reply<H>) {
        let prepares_evaluation = self.preparation.as_ref().is_some_and(|preparation| !preparation.goal.is_run());
        let activity = match () {
            () if self.evaluation.is_some() || prepares_evaluation => Some(Activity::Evaluating),
            () if self.speed_test.is_some() => Some(Activity::Measuring),
            () => None,
        };
        reply.emit(Event::State(SessionState { run: self.run_state, activity }));
    }

    async fn open(&mut self, request: EngineRequest, reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        self.enter(RunState::Loading, reply);
        let on_progress = |progress| reply.emit(Event::Progress(progress));
        // A download that fails here is tried again, and its error emitted, by the run that needs the images.
        let images = async {
            if request.needs_mnist {
                let _ = self.images.fetch(&DatasetId::Mnist, &**reply).await;
            }
        };
        let (engine, ()) = join(device::open(request, on_progress), images).await;
        let mut engine = engine?;
        if engine.report.kind == EngineKind::Cpu {
            engine.report.work_per_sec = speed::measure_work_per_sec(&engine, &**reply).await?;
        }
        reply.emit(Event::Engine(engine.report.clone()));
        self.engine = Some(engine);
        self.pool = WorkerPool::default();
        self.ensemble.clear();
        self.run_state = RunState::Ready;
        self.load_model(request.model, reply).await
    }

    /// Begins to prepare a request: loads its images and, for a run, compiles its shaders.
    fn prepare(&mut self, goal: Goal, reply: &Reply<H>) -> Result<(), Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        self.preparation = Some(Preparation::begin(goal, engine, self.images.clone(), reply.clone()));
        Ok(())
    }

    /// Finishes a preparation at once if nothing has to be waited for, as when the images are loaded already.
    async fn advance_if_ready(&mut self) {
        if self.is_interruptible() {
            let _ = self.advance_preparation().now_or_never();
        }
    }

    /// Continues a preparation until images or shaders are ready. Begins the work once both are.
    async fn advance_preparation(&mut self) {
        let Some(preparation) = &mut self.preparation else { return };
        let images = match preparation.advance().await {
            Ok(None) => return,
            Ok(Some(images)) => Ok(images),
            Err(fault) => Err(fault),
        };
        // Nothing is awaited from here on: the future must not be dropped with the preparation.
        let Some(Preparation { reply, goal, paused, .. }) = self.preparation.take() else { return };
        let command = goal.command();
        let result = images.and_then(|images| match goal {
            Goal::Start(spec) => self.begin_run(spec, images, paused, &reply),
            Goal::Restore(restored) => self.begin_restored(*restored, images, paused, &reply),
            Goal::Evaluate(spec) => self.begin_evaluation(spec, images, reply.clone()),
        });
        result.unwrap_or_else(|fault| self.fail(command, fault, &reply));
    }

    /// Stores a user data set for the runs to come.
    async fn load_user_files(&mut self, files: &[(String, Vec<u8>)], reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        let report = self.images.load_user_files(files)?;
        reply.emit(Event::Dataset(report));
        Ok(())
    }

    async fn measure(&mut self, workers: usize, reply: &Reply<H>) -> Result<(), Fault> {
        self.end_run(reply).await;
        let engine = self.engine.clone().ok_or_else(no_engine)?;
        // Compact represents all measured models: none of them has too many weights to send.
        self.pool.resize(self.workers(ModelId::Compact, workers)?, reply);
        self.speed_test = Some((SpeedTest::new(engine), reply.clone()));
        self.emit_state(reply);
        Ok(())
    }

    async fn advance_speed_test(&mut self) {
        let Some((mut speed_test, reply)) = self.speed_test.take() else { return };
        match speed_test.advance(&mut self.pool, &reply).await {
            Ok(true) => self.speed_test = Some((speed_test, reply)),
            Ok(false) => self.emit_state(&reply),
            Err(fault) => self.fail(CommandName::Measure, fault, &reply),
        }
    }

    /// Ends the speed measurement in progress.
    fn end_speed_test(&mut self) {
        if let Some((speed_test, reply)) = self.speed_test.take() {
            reply.emit(Event::Measured(SpeedMeasurement { over: true, ..speed_test.report(&self.pool) }));
        }
    }

    /// How many of `requested` workers share the work of a model on this engine: one on a graphics card, and one for a
    /// model with too many weights to send.
    fn workers(&self, model: ModelId, requested: usize) -> Result<usize, Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let max_workers = requested.clamp(1, TrainSpec::MAX_WORKERS);
        Ok(if engine.report.kind == EngineKind::Cpu { model_sizes::workers(model, max_workers) } else { 1 })
    }
}

fn bad_weights(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The weights cannot be used ({error})"), "Reload the page.")
}

fn no_engine() -> Fault {
    Fault::new("No engine is open yet", "Choose an engine first.")
}
