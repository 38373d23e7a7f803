//! A host that runs a session in a test: executes scripts of commands and records the events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future;
use std::task::Poll;

use burn::tensor::Device;
use inkling_core::data::{Dataset, synthetic};
use inkling_core::protocol::{
    Activity, Command, EngineKind, EngineRequest, Event, Fault, Message, Request, RequestId, RunState, SessionState,
};
use inkling_core::run::Run;
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, Pretrained, Recipe, TrainSpec};
use inkling_engine::session::{Host, Session};
use inkling_engine::train::{Trainer, weights_file};
use pollster::block_on;

/// A host that records events, advances its clock whenever it is read, and draws synthetic digits.
#[derive(Default)]
pub struct TestHost {
    pub messages: RefCell<Vec<Message>>,
    pub clock_secs: Cell<f64>,
    /// How far the clock advances each time; 0.05 by default.
    pub tick_secs: Option<f64>,
    /// The models other than Compact that have pretrained weights, with the seeds of these.
    pub pretrained_seeds: BTreeMap<&'static str, u64>,
    /// Seconds between checkpoints, if they are stored.
    pub checkpoint_secs: Option<f64>,
    /// How often pretrained weights were requested.
    pub n_loads: Cell<usize>,
    /// How many more times the images are not there yet when they are asked for.
    pub n_waits: Cell<usize>,
}

impl Host for TestHost {
    fn emit(&self, message: Message) {
        self.messages.borrow_mut().push(message);
    }

    fn build(&self) -> &str {
        "test"
    }

    fn now_secs(&self) -> f64 {
        self.clock_secs.set(self.clock_secs.get() + self.tick_secs.unwrap_or(0.05));
        self.clock_secs.get()
    }

    fn checkpoint_secs(&self, _: EngineKind) -> Option<f64> {
        self.checkpoint_secs
    }

    /// Compact always has pretrained weights. They are untrained, but state a measured accuracy.
    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        self.n_loads.set(self.n_loads.get() + 1);
        let seed = if model == ModelId::Compact { 7 } else { *self.pretrained_seeds.get(model.id())? };
        let arrays = Trainer::new(model, seed, &Device::flex()).network().arrays().await.ok()?;
        let pretrained = Pretrained { test_accuracy: 0.125, test_images: 8, epochs: 3 };
        Some(weights_file::pack(model, &arrays, Some(&pretrained), None))
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        future::poll_fn(|context| match self.n_waits.get() {
            0 => Poll::Ready(()),
            n_waits => {
                self.n_waits.set(n_waits - 1);
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        match id {
            DatasetId::Synthetic => {
                let split = |first, n| synthetic::split(synthetic::SEED, first, n);
                let (train, test) = (split(0, 90), split(20_000, 20));
                Ok((Dataset { id: id.clone(), train, validation: None, test }, None))
            }
            _ => Err(Fault::new("Only synthetic digits are available", "Choose them.")),
        }
    }
}

/// One line of a script.
pub enum Action {
    /// [`Session::handle`] a command, as a request.
    Handle(Command),
    /// A prediction of an empty image, as the request with this id.
    Predict(u64),
    /// [`Session::advance`] at most this many times, while the session is busy.
    Advance(usize),
    /// [`Session::advance`] as far as it goes without waiting, and drop its future, as a worker does when a request
    /// arrives.
    Interrupt,
}
pub use Action::{Advance, Handle, Interrupt, Predict};

/// 90 images in batches of 32 are 3 steps an epoch; 20 test images are one batch of validation.
pub fn spec() -> TrainSpec {
    let default = TrainSpec::of(ModelId::Compact);
    let recipe = Recipe { epochs: 2, batch: 32, augment: Augment::default(), ..default.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, ..default }
}

pub fn run_script(script: Vec<Action>) -> Session<TestHost> {
    run_script_on(TestHost::default(), script)
}

/// Executes a script. Its requests have ids from 101, except predictions, which have ids of their own.
pub fn run_script_on(host: TestHost, script: Vec<Action>) -> Session<TestHost> {
    let mut session = Session::new(host);
    let open = Handle(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact)));
    let mut n_requests = 100;
    block_on(async {
        for action in [open].into_iter().chain(script) {
            match action {
                Handle(command) => {
                    n_requests += 1;
                    session.handle(Request { id: RequestId(n_requests), command }).await;
                }
                Predict(id) => {
                    let command = Command::Predict { pixels: vec![0; 784], shifts: false };
                    session.handle(Request { id: RequestId(id), command }).await;
                }
                Advance(pieces) => {
                    for _ in 0..pieces {
                        if session.is_busy() {
                            session.advance().await;
                        }
                    }
                }
                Interrupt => {
                    assert!(session.is_interruptible());
                    let mut piece = Box::pin(session.advance());
                    let polled = future::poll_fn(|context| Poll::Ready(piece.as_mut().poll(context).is_pending()));
                    assert!(polled.await, "there was nothing to wait for");
                }
            }
        }
    });
    session
}

pub fn events(session: &Session<TestHost>) -> Vec<Event> {
    session.host().messages.borrow().iter().map(|message| message.event.clone()).collect()
}

/// The events in short: their name, and the number that distinguishes them. Steps that are reported together are listed
/// one by one. Of the states only pauses, and the beginnings of evaluations, are listed.
pub fn transcript(session: &Session<TestHost>) -> Vec<String> {
    let mut last = SessionState::default();
    let short = |message: &Message| match &message.event {
        Event::State(state) => {
            let was = std::mem::replace(&mut last, *state);
            let paused = match (was.run, state.run) {
                (RunState::Paused, RunState::Training) => Some("resumed"),
                (RunState::Training | RunState::Loading, RunState::Paused) => Some("paused"),
                _ => None,
            };
            let evaluates = |state: SessionState| state.activity == Some(Activity::Evaluating);
            let evaluating = (evaluates(*state) && !evaluates(was)).then_some("evaluating");
            paused.into_iter().chain(evaluating).map(String::from).collect()
        }
        Event::Engine(_) => vec!["engine".into()],
        Event::ModelLoaded(network) => vec![format!("using {}", network.model)],
        Event::EnsembleChanged(models) => {
            let names: Vec<_> = models.iter().map(|model| model.id()).collect();
            vec![format!("ensemble {}", names.join(" "))]
        }
        Event::Evaluated(evaluation) => vec![format!("evaluated {}", evaluation.result.n_images)],
        Event::Dataset(dataset) => vec![format!("dataset {}", dataset.n_train)],
        Event::Started(plan) => vec![format!("started {}", plan.steps_per_epoch)],
        Event::Stepped(steps) => steps.iter().map(|step| format!("step {}", step.step)).collect(),
        Event::EpochEnded(epoch) => vec![format!("epoch {}", epoch.epoch)],
        Event::Stopped => vec!["stopped".into()],
        Event::Checkpoint(_) => vec!["checkpoint".into()],
        Event::Restored(restored) => vec![format!("restored {} {}", restored.n_steps, restored.goes_on)],
        Event::Finished(_) => vec!["finished".into()],
        Event::Predicted(_) => vec![format!("predicted {}", message.request.0)],
        Event::Failed { command, fault } => vec![format!("{command:?} failed: {}", fault.what)],
        Event::WorkerPool(pool) => vec![format!("{} workers, {} lost", pool.workers, pool.lost)],
        Event::Measured(speed) => {
            let over = if speed.over { ", over" } else { "" };
            vec![format!("measured {}{over}", speed.speeds.len())]
        }
        Event::Progress(_) | Event::MisclassifiedImages(_) | Event::Ready { .. } | Event::Crashed(_) => vec![],
    };
    session.host().messages.borrow().iter().flat_map(short).collect()
}

pub fn losses(session: &Session<TestHost>) -> Vec<f64> {
    let run = run(session);
    run.steps.entries().iter().map(|step| step.batch.loss).collect()
}

pub fn run(session: &Session<TestHost>) -> Run {
    let mut run = Run::default();
    session.host().messages.borrow().iter().for_each(|message| run.apply(message));
    run
}

/// The first events of a run of [`spec`].
pub const STARTED: [&str; 4] = ["engine", "using compact", "dataset 90", "started 3"];
