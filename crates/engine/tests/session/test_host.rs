//! A host that runs a session in a test: executes scripts of commands and records the events.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use burn::tensor::Device;
use inkling_core::data::{Dataset, synthetic};
use inkling_core::protocol::{Command, EngineKind, EngineRequest, Event, Fault};
use inkling_core::run::Run;
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, Pretrained, Recipe, TrainSpec};
use inkling_engine::session::{Host, Session};
use inkling_engine::train::{Trainer, checkpoint};
use pollster::block_on;

/// A host that records events, advances its clock whenever it is read, and draws synthetic digits.
#[derive(Default)]
pub struct TestHost {
    pub events: RefCell<Vec<Event>>,
    pub clock_secs: Cell<f64>,
    /// How far the clock advances each time; 0.05 by default.
    pub tick_secs: Option<f64>,
    /// The models other than Compact that have pretrained weights, with the seeds of these.
    pub pretrained_seeds: BTreeMap<&'static str, u64>,
    /// Seconds between snapshots, if they are stored.
    pub snapshot_secs: Option<f64>,
    /// How often pretrained weights were requested.
    pub n_loads: Cell<usize>,
}

impl Host for TestHost {
    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn now_secs(&self) -> f64 {
        self.clock_secs.set(self.clock_secs.get() + self.tick_secs.unwrap_or(0.05));
        self.clock_secs.get()
    }

    fn snapshot_secs(&self, _: EngineKind) -> Option<f64> {
        self.snapshot_secs
    }

    /// Compact always has pretrained weights. They are untrained, but state a measured accuracy.
    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        self.n_loads.set(self.n_loads.get() + 1);
        let seed = if model == ModelId::Compact { 7 } else { *self.pretrained_seeds.get(model.id())? };
        let arrays = Trainer::new(model, seed, &Device::flex()).network().arrays().await.ok()?;
        let pretrained = Pretrained { test_accuracy: 0.125, test_images: 8, epochs: 3 };
        Some(checkpoint::pack(model, &arrays, &pretrained))
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
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
    /// [`Session::handle`] a command.
    Handle(Command),
    /// [`Session::advance`] at most this many times, while the session is busy.
    Advance(usize),
}
pub use Action::{Advance, Handle};

/// 90 images in batches of 32 are 3 steps an epoch; 20 test images are one batch of validation.
pub fn spec() -> TrainSpec {
    let default = TrainSpec::of(ModelId::Compact);
    let recipe = Recipe { epochs: 2, batch: 32, augment: Augment::default(), ..default.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, ..default }
}

pub fn run_script(script: Vec<Action>) -> Session<TestHost> {
    run_script_on(TestHost::default(), script)
}

pub fn run_script_on(host: TestHost, script: Vec<Action>) -> Session<TestHost> {
    let mut session = Session::new(host);
    block_on(async {
        session.handle(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact))).await;
        for action in script {
            match action {
                Handle(command) => session.handle(command).await,
                Advance(pieces) => {
                    for _ in 0..pieces {
                        if session.is_busy() {
                            session.advance().await;
                        }
                    }
                }
            }
        }
    });
    session
}

/// The events in short: their name, and the number that distinguishes them. Steps that are reported together are listed
/// one by one.
pub fn transcript(session: &Session<TestHost>) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Engine(_) => vec!["engine".into()],
        Event::ModelLoaded(network) => vec![format!("using {}", network.model)],
        Event::EnsembleChanged(models) => {
            let names: Vec<_> = models.iter().map(|model| model.id()).collect();
            vec![format!("ensemble {}", names.join(" "))]
        }
        Event::Evaluated(evaluation) => vec![format!("evaluated {}", evaluation.n_images)],
        Event::Dataset(dataset) => vec![format!("dataset {}", dataset.n_train)],
        Event::Started(plan) => vec![format!("started {}", plan.steps_per_epoch)],
        Event::Stepped(steps) => steps.iter().map(|step| format!("step {}", step.step)).collect(),
        Event::EpochEnded(epoch) => vec![format!("epoch {}", epoch.epoch)],
        Event::Paused => vec!["paused".into()],
        Event::Resumed => vec!["resumed".into()],
        Event::Stopped => vec!["stopped".into()],
        Event::Snapshot(_) => vec!["snapshot".into()],
        Event::Restored(restored) => vec![format!("restored {} {}", restored.n_steps, restored.goes_on)],
        Event::Finished(_) => vec!["finished".into()],
        Event::Predicted { version, .. } => vec![format!("predicted {version}")],
        Event::Failed(fault) => vec![format!("failed: {}", fault.what)],
        Event::WorkerPool(pool) => vec![format!("{} workers, {} lost", pool.workers, pool.lost)],
        Event::Measured(speed) => {
            let over = if speed.over { ", over" } else { "" };
            vec![format!("measured {}{over}", speed.speeds.len())]
        }
        Event::Progress(_) | Event::MisclassifiedImages(_) | Event::Ready { .. } | Event::Crashed(_) => vec![],
    };
    session.host().events.borrow().iter().flat_map(short).collect()
}

pub fn losses(session: &Session<TestHost>) -> Vec<f64> {
    let run = run(session);
    run.steps.iter().map(|step| step.batch.loss).collect()
}

pub fn run(session: &Session<TestHost>) -> Run {
    Run::of(session.host().events.borrow().iter())
}

pub fn predict(version: u64) -> Action {
    Handle(Command::Predict { version, pixels: vec![0; 784] })
}

/// The first events of a run of [`spec`].
pub const STARTED: [&str; 4] = ["engine", "using compact", "dataset 90", "started 3"];
