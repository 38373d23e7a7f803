//! The session: commands in, events out. It knows no transport and no browser; its [`Host`] brings both.
//!
//! Nothing runs by itself: the host hands in each command ([`Session::handle`]) and asks for one piece of work at a
//! time ([`Session::advance`]), so a command is always answered between two steps.

mod course;
mod crew;
mod images;
mod judging;
mod pace;
mod readers;
mod snapshots;
mod speed;

pub use crew::{Answer, Mate};

use course::{Course, Outcome};
use crew::Crew;
use futures_util::future::join;
use images::Images;
use inkling_core::data::Dataset;
use inkling_core::protocol::{
    Command, EngineKind, EngineRequest, Event, Fault, NetworkReport, Phase, Progress, RunPlan, SpeedReport,
};
use inkling_core::spec::{DatasetId, IMAGE_PIXELS, ModelId, Recipe, TrainSpec};
use inkling_core::{evaluation, models};
use readers::Readers;
use snapshots::Snapshots;
use speed::Measuring;

use crate::device::{self, Engine};
use crate::network::Array;
use crate::train::{Checkpoint, Trainer, checkpoint};

/// The world around a session: a worker, a terminal, a test.
pub trait Host {
    /// Hears everything the session has to say.
    fn emit(&self, event: Event);
    /// Seconds since some fixed moment.
    fn now_secs(&self) -> f64;
    /// Brings a data set, and a sentence when it is not the one that was asked for.
    fn dataset(&self, id: &DatasetId) -> impl Future<Output = Result<(Dataset, Option<String>), Fault>>;
    /// Brings the weights of a model that came with the program, as [`checkpoint`] saves them, if there are any.
    fn pretrained(&self, model: ModelId) -> impl Future<Output = Option<Vec<u8>>>;
    /// How many seconds of a run on such an engine may be lost: snapshots are told of at least that often. `None` when nobody
    /// would keep them.
    fn snapshot_secs(&self, _: EngineKind) -> Option<f64> {
        None
    }
    /// Calls more workers to compute beside this one, at most so many. They need not be ready yet.
    fn mates(&self, _at_most: usize) -> Vec<Box<dyn Mate>> {
        vec![]
    }
}

/// An engine, a network, and the run that trains it.
pub struct Session<H: Host> {
    host: H,
    engine: Option<Engine>,
    /// The network that answers; the one in training while a run goes on.
    trainer: Option<Trainer>,
    course: Option<Course>,
    /// Who computes.
    crew: Crew,
    /// Set while the engine's speed is measured; no run goes on then.
    measuring: Option<Measuring>,
    paused: bool,
    /// Hold again after the next step.
    single: bool,
    images: Images,
    /// Who reads besides the network at hand.
    readers: Readers,
    snapshots: Snapshots,
}

impl<H: Host> Session<H> {
    pub fn new(host: H) -> Self {
        Self {
            host,
            engine: None,
            trainer: None,
            course: None,
            crew: Crew::default(),
            measuring: None,
            paused: false,
            single: false,
            images: Images::default(),
            readers: Readers::default(),
            snapshots: Snapshots::default(),
        }
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn is_busy(&self) -> bool {
        self.measuring.is_some() || (self.course.is_some() && !self.paused)
    }

    /// Answers one command. What fails is told as [`Event::Failed`].
    pub async fn handle(&mut self, command: Command) {
        let answered = match command {
            Command::Open(request) => self.open(request).await,
            Command::Start(spec) => self.start(spec).await,
            Command::Predict { version, pixels } => self.predict(version, &pixels).await,
            Command::Pause => self.pause().await,
            Command::Resume => self.resume(false),
            Command::Step => self.resume(true),
            Command::Stop => self.stop().await,
            Command::Use(model) => self.take_up(model).await,
            Command::Judge(spec) => self.judge(spec).await,
            Command::Files(files) => self.take_files(&files).await,
            Command::Measure { workers } => self.measure(workers).await,
            Command::Together(together) => self.read_together(together).await,
            Command::Restore { snapshot, go_on, workers } => self.restore(&snapshot, go_on, workers).await,
        };
        self.tell(answered);
    }

    /// One step of training or one batch of validation, if a run goes on; a few steps of a measurement, if one does.
    pub async fn advance(&mut self) {
        if let Some(measuring) = &mut self.measuring {
            let more = measuring.advance(&mut self.crew, &self.host).await;
            self.measuring.take_if(|_| !matches!(more, Ok(true)));
            return self.tell(more.map(|_| ()));
        }
        let (Some(course), Some(trainer)) = (&mut self.course, &mut self.trainer) else { return };
        let outcome = course.advance(trainer, &mut self.crew, &self.host).await;
        let answered = match outcome {
            Ok(Outcome::Finished) => self.take_snapshot(true).await.map(|()| self.course = None),
            Ok(Outcome::Stepped) if self.single => self.pause().await,
            Ok(_) => self.take_snapshot(false).await,
            Err(fault) => Err(fault),
        };
        self.tell(answered);
    }

    /// The arrays of the network as it is now.
    ///
    /// # Errors
    /// When there is no network yet, or the device has failed.
    pub async fn weights(&self) -> Result<(ModelId, Vec<Array>), Fault> {
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let arrays = trainer.network().arrays().await.map_err(course::device_failed)?;
        Ok((trainer.network().model(), arrays))
    }

    fn tell(&mut self, answered: Result<(), Fault>) {
        if let Err(fault) = answered {
            (self.course, self.measuring) = (None, None);
            self.host.emit(Event::Failed(fault));
        }
    }

    async fn open(&mut self, request: EngineRequest) -> Result<(), Fault> {
        self.end_run().await;
        let host = &self.host;
        let on = |progress| host.emit(Event::Progress(progress));
        // What cannot be had is told when a run asks for it.
        let images = async {
            if request.needs_mnist {
                let _ = self.images.fetch(&DatasetId::Mnist, host).await;
            }
        };
        let (engine, ()) = join(device::open(request, on), images).await;
        let mut engine = engine?;
        if engine.report.kind == EngineKind::Cpu {
            engine.report.work_per_sec = speed::try_out(&engine, &self.host).await?;
        }
        self.host.emit(Event::Engine(engine.report.clone()));
        self.engine = Some(engine);
        self.crew = Crew::default();
        self.readers.forget();
        self.take_up(request.model).await
    }

    /// Puts a network that was not trained here in the place of the one at hand.
    async fn take_up(&mut self, model: ModelId) -> Result<(), Fault> {
        self.end_run().await;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let on = |progress| self.host.emit(Event::Progress(progress));
        engine.prepare(model, &Recipe::of(model), on).await?;
        let device = engine.device.clone();
        let trainer = match self.host.pretrained(model).await {
            Some(bytes) => {
                let Checkpoint { arrays, pretrained, .. } = checkpoint::load(&bytes).map_err(bad_weights)?;
                let trainer = Trainer::from_arrays(model, &arrays, &device).map_err(bad_weights)?;
                (trainer, pretrained)
            }
            None => (Trainer::new(model, TrainSpec::of(model).seed, &device), None),
        };
        let (trainer, pretrained) = trainer;
        let parameters = trainer.network().n_numbers();
        self.trainer = Some(trainer);
        self.host.emit(Event::Using(NetworkReport { model, parameters, pretrained }));
        self.tell_readers();
        Ok(())
    }

    /// Reads with the other networks too, or not any more.
    async fn read_together(&mut self, together: bool) -> Result<(), Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        self.readers.read_together(together, &self.host, engine).await;
        let hand = trainer.network().model();
        self.host.emit(Event::Together(self.readers.models(hand)));
        Ok(())
    }

    /// Another network came to hand: says who reads, if several do.
    fn tell_readers(&self) {
        if let Some(trainer) = self.trainer.as_ref().filter(|_| self.readers.are_together()) {
            self.host.emit(Event::Together(self.readers.models(trainer.network().model())));
        }
    }

    /// Keeps the images that somebody brought.
    async fn take_files(&mut self, files: &[(String, Vec<u8>)]) -> Result<(), Fault> {
        self.end_run().await;
        let report = self.images.keep(files)?;
        self.host.emit(Event::Dataset(report));
        Ok(())
    }

    /// Judges the network at hand on the test images of these settings.
    async fn judge(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        let (dataset, fallback) = self.images.of(&spec, &self.host).await?;
        self.host.emit(Event::Dataset(Course::new(spec.clone(), dataset.clone(), 0.0).dataset_report(fallback)));
        // A run in progress has its crew.
        if self.course.is_none() {
            let model = self.trainer.as_ref().map_or(spec.model, |trainer| trainer.network().model());
            self.crew.muster(self.workers(model, spec.workers)?, &self.host);
        }
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let judgement = judging::judge(&dataset.test, spec.test_limit, trainer, &mut self.crew, &self.host).await?;
        judging::tell(judgement, &dataset.test, &self.host);
        Ok(())
    }

    /// How many of so many workers are to share a model's work here; a graphics card is not shared.
    fn workers(&self, model: ModelId, asked_for: usize) -> Result<usize, Fault> {
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let at_most = asked_for.clamp(1, TrainSpec::MAX_WORKERS);
        Ok(if engine.report.kind == EngineKind::Cpu { models::workers(model, at_most) } else { 1 })
    }

    async fn start(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        self.end_run().await;
        spec.check().map_err(|error| Fault::new(error.to_string(), "Change the setting and start again."))?;
        let spec = TrainSpec { workers: self.workers(spec.model, spec.workers)?, ..spec };
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let device = engine.device.clone();
        let needs = models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        engine.limits.check(&needs, &spec)?;
        let on = |progress| self.host.emit(Event::Progress(progress));
        // Shaders are compiled elsewhere while this worker unpacks images.
        let prepared = engine.prepare(spec.model, &spec.recipe, on);
        let (prepared, images) = join(prepared, self.images.of(&spec, &self.host)).await;
        let (dataset, fallback) = images?;
        let course = Course::new(spec.clone(), dataset, self.host.now_secs());
        let report = course.dataset_report(fallback);
        if report.n_train == 0 || report.n_test == 0 {
            return Err(Fault::new("The data set holds no images", "Choose another data set."));
        }
        self.host.emit(Event::Dataset(report));
        prepared?;
        let trainer = Trainer::new(spec.model, spec.seed, &device).by(&spec.recipe);
        self.crew.muster(spec.workers, &self.host);
        let (parameters, steps_per_epoch) = (trainer.network().n_numbers(), course.steps_per_epoch());
        self.host.emit(Event::Started(RunPlan { spec, parameters, steps_per_epoch }));
        self.host.emit(Event::Progress(Progress { phase: Phase::FirstStep, done: 0, total: 0 }));
        (self.trainer, self.course, self.paused, self.single) = (Some(trainer), Some(course), false, false);
        self.snapshots.begin();
        self.tell_readers();
        Ok(())
    }

    async fn pause(&mut self) -> Result<(), Fault> {
        if let (Some(course), false) = (&mut self.course, self.paused) {
            course.report_steps(&self.host).await?;
            (self.paused, self.single) = (true, false);
            self.host.emit(Event::Paused);
        }
        Ok(())
    }

    fn resume(&mut self, single: bool) -> Result<(), Fault> {
        if self.course.is_some() && self.paused {
            (self.paused, self.single) = (false, single);
            self.host.emit(Event::Resumed);
        }
        Ok(())
    }

    async fn measure(&mut self, workers: usize) -> Result<(), Fault> {
        self.end_run().await;
        let engine = self.engine.clone().ok_or_else(no_engine)?;
        // None of the networks that are measured is too large to be shared.
        self.crew.muster(self.workers(ModelId::Compact, workers)?, &self.host);
        self.measuring = Some(Measuring::new(engine));
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Fault> {
        let told = self.tell_last().await;
        self.end_run().await;
        told
    }

    /// Tells of the last steps. The network stays at hand, so it is kept as well.
    async fn tell_last(&mut self) -> Result<(), Fault> {
        if let Some(course) = &mut self.course {
            course.report_steps(&self.host).await?;
        }
        self.take_snapshot(true).await
    }

    /// Ends what goes on because something else comes. What still fails in it is no matter of that.
    async fn end_run(&mut self) {
        if let Some(measuring) = self.measuring.take() {
            self.host.emit(Event::Measured(SpeedReport { over: true, ..measuring.report(&self.crew) }));
        }
        if let Some(mut course) = self.course.take() {
            self.paused = false;
            let _ = course.report_steps(&self.host).await;
            self.host.emit(Event::Stopped);
        }
    }

    async fn predict(&self, version: u64, pixels: &[u8]) -> Result<(), Fault> {
        if pixels.len() != IMAGE_PIXELS {
            let what = format!("An image of {} bytes came where {IMAGE_PIXELS} were expected", pixels.len());
            return Err(Fault::new(what, "Reload the page."));
        }
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let mut predictions = trainer.predict(pixels).await.map_err(course::device_failed)?;
        for other in self.readers.others(trainer.network().model()) {
            predictions.extend(other.predict(pixels).await.map_err(course::device_failed)?);
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
