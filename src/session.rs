//! The session: commands in, events out. It knows no transport and no browser; its [`Host`] brings both.
//!
//! Nothing runs by itself: the host hands in each command ([`Session::handle`]) and asks for one piece of work at a
//! time ([`Session::advance`]), so a command is always answered between two steps.

mod course;

use std::rc::Rc;

use crate::data::Dataset;
use crate::engine::{self, Engine};
use crate::network::Array;
use crate::protocol::{Command, DatasetReport, Event, Fault, NetworkReport, Phase, Progress, RunPlan};
use crate::spec::{DatasetId, EngineChoice, IMAGE_PIXELS, ModelId, SplitId, TrainSpec};
use crate::train::{Checkpoint, Trainer, checkpoint};
use crate::zoo;
use course::{Course, Outcome};

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
}

/// Images shared by a run and the next one, and a sentence when they are not those that were asked for.
type Images = (Rc<Dataset>, Option<String>);

/// An engine, a network, and the run that trains it.
pub struct Session<H: Host> {
    host: H,
    engine: Option<Engine>,
    /// The network that answers; the one in training while a run goes on.
    trainer: Option<Trainer>,
    course: Option<Course>,
    paused: bool,
    /// Hold again after the next step.
    single: bool,
    /// The images of the last run, kept for the next one.
    dataset: Option<Images>,
}

impl<H: Host> Session<H> {
    pub fn new(host: H) -> Self {
        Self { host, engine: None, trainer: None, course: None, paused: false, single: false, dataset: None }
    }

    pub fn host(&self) -> &H {
        &self.host
    }

    /// Whether [`Session::advance`] has something to do.
    pub fn is_busy(&self) -> bool {
        self.course.is_some() && !self.paused
    }

    /// Answers one command. What fails is told as [`Event::Failed`].
    pub async fn handle(&mut self, command: Command) {
        let answered = match command {
            Command::Open(choice) => self.open(choice).await,
            Command::Start(spec) => self.start(spec).await,
            Command::Predict { version, pixels } => self.predict(version, &pixels).await,
            Command::Pause => self.pause().await,
            Command::Resume => self.resume(false),
            Command::Step => self.resume(true),
            Command::Stop => self.stop().await,
            Command::Use(model) => self.take_up(model).await,
            Command::Judge(spec) => self.judge(spec).await,
        };
        self.tell(answered);
    }

    /// One step of training or one batch of validation, if a run goes on.
    pub async fn advance(&mut self) {
        let (Some(course), Some(trainer)) = (&mut self.course, &mut self.trainer) else { return };
        let outcome = course.advance(trainer, &self.host).await;
        let answered = match outcome {
            Ok(Outcome::Finished) => {
                self.course = None;
                Ok(())
            }
            Ok(Outcome::Stepped) if self.single => self.pause().await,
            Ok(_) => Ok(()),
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
            self.course = None;
            self.host.emit(Event::Failed(fault));
        }
    }

    async fn open(&mut self, choice: EngineChoice) -> Result<(), Fault> {
        self.stop().await?;
        let host = &self.host;
        let on = |phase| host.emit(Event::Progress(Progress { phase, done: 0, total: 0 }));
        let Some(engine) = engine::open(choice, on).await? else {
            self.host.emit(Event::Elsewhere);
            return Ok(());
        };
        self.host.emit(Event::Engine(engine.report.clone()));
        self.engine = Some(engine);
        self.take_up(ModelId::Compact).await
    }

    /// Puts a network that was not trained here in the place of the one at hand.
    async fn take_up(&mut self, model: ModelId) -> Result<(), Fault> {
        self.stop().await?;
        let device = self.engine.as_ref().ok_or_else(no_engine)?.device.clone();
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
        Ok(())
    }

    /// Judges the network at hand on the test images of these settings.
    async fn judge(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        let (dataset, _) = self.images(&spec).await?;
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let judgement = course::judge(&dataset.test, spec.test_limit, trainer, &self.host).await?;
        self.host.emit(Event::Judged(Box::new(judgement)));
        Ok(())
    }

    async fn start(&mut self, spec: TrainSpec) -> Result<(), Fault> {
        self.stop().await?;
        spec.check().map_err(|error| Fault::new(error.to_string(), "Change the setting and start again."))?;
        let engine = self.engine.as_ref().ok_or_else(no_engine)?;
        let device = engine.device.clone();
        let needs = zoo::memory(&zoo::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        engine.limits.check(&needs, &spec)?;
        let (dataset, fallback) = self.images(&spec).await?;
        let id = dataset.id.clone();
        let course = Course::new(spec.clone(), dataset, self.host.now_secs());
        let (n_train, n_validation, n_test) = (course.n_train(), course.n_validation(), course.n_test());
        if n_train == 0 || n_test == 0 {
            return Err(Fault::new("The data set holds no images", "Choose another data set."));
        }
        self.host.emit(Event::Dataset(DatasetReport { id, n_train, n_validation, n_test, fallback }));
        let trainer = Trainer::new(spec.model, spec.seed, &device).by(&spec.recipe);
        let (parameters, steps_per_epoch) = (trainer.network().n_numbers(), course.steps_per_epoch());
        self.host.emit(Event::Started(RunPlan { spec, parameters, steps_per_epoch }));
        self.host.emit(Event::Progress(Progress { phase: Phase::Compile, done: 0, total: 0 }));
        (self.trainer, self.course, self.paused, self.single) = (Some(trainer), Some(course), false, false);
        Ok(())
    }

    /// The images of a run; those of the last run if they are the same.
    async fn images(&mut self, spec: &TrainSpec) -> Result<Images, Fault> {
        let id = &spec.dataset;
        let kept = self.dataset.take().filter(|(dataset, fallback)| dataset.id == *id && fallback.is_none());
        let (dataset, fallback) = match kept {
            Some(images) => images,
            None => {
                let (dataset, fallback) = self.host.dataset(id).await?;
                (Rc::new(dataset), fallback)
            }
        };
        self.dataset = Some((dataset.clone(), fallback.clone()));
        let dataset = match spec.split {
            SplitId::Published => dataset,
            SplitId::Kaggle => Rc::new((*dataset).clone().dealt(spec.seed)),
        };
        Ok((dataset, fallback))
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

    async fn stop(&mut self) -> Result<(), Fault> {
        if let Some(mut course) = self.course.take() {
            self.paused = false;
            course.report_steps(&self.host).await?;
            self.host.emit(Event::Stopped);
        }
        Ok(())
    }

    async fn predict(&self, version: u64, pixels: &[u8]) -> Result<(), Fault> {
        if pixels.len() != IMAGE_PIXELS {
            let what = format!("An image of {} bytes came where {IMAGE_PIXELS} were expected", pixels.len());
            return Err(Fault::new(what, "Reload the page."));
        }
        let trainer = self.trainer.as_ref().ok_or_else(no_engine)?;
        let predictions = trainer.predict(pixels).await.map_err(course::device_failed)?;
        for prediction in predictions {
            self.host.emit(Event::Predicted { version, prediction });
        }
        Ok(())
    }
}

fn bad_weights(error: impl std::fmt::Display) -> Fault {
    Fault::new(format!("The weights that came with the program cannot be used ({error})"), "Reload the page.")
}

fn no_engine() -> Fault {
    Fault::new("No engine is open yet", "Choose an engine first.")
}
