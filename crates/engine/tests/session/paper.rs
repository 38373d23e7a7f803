//! A world that a session runs in without a page: what it is told, and what came of it.

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

/// A world of paper: events are kept, the clock ticks when asked, digits are drawn.
#[derive(Default)]
pub struct Paper {
    pub events: RefCell<Vec<Event>>,
    pub ticks: Cell<f64>,
    /// Of the clock, if not 0.05.
    pub tick_secs: Option<f64>,
    /// Seeds of further models that came with it.
    pub shipped: BTreeMap<&'static str, u64>,
    /// Seconds between snapshots, if they are kept.
    pub snapshot_secs: Option<f64>,
    /// How often weights were brought.
    pub n_brought: Cell<usize>,
}

impl Host for Paper {
    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn now_secs(&self) -> f64 {
        self.ticks.set(self.ticks.get() + self.tick_secs.unwrap_or(0.05));
        self.ticks.get()
    }

    fn snapshot_secs(&self, _: EngineKind) -> Option<f64> {
        self.snapshot_secs
    }

    /// One model came with the program: it was not trained, but it says what it is worth.
    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        self.n_brought.set(self.n_brought.get() + 1);
        let seed = if model == ModelId::Compact { 7 } else { *self.shipped.get(model.id())? };
        let arrays = Trainer::new(model, seed, &Device::flex()).network().arrays().await.ok()?;
        let worth = Pretrained { test_accuracy: 0.125, test_images: 8, epochs: 3 };
        Some(checkpoint::pack(model, &arrays, &worth))
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        match id {
            DatasetId::Synthetic => {
                let split = |first, n| synthetic::split(synthetic::SEED, first, n);
                let (train, test) = (split(0, 90), split(20_000, 20));
                Ok((Dataset { id: id.clone(), train, validation: None, test }, None))
            }
            _ => Err(Fault::new("There is only paper here", "Draw.")),
        }
    }
}

/// What scripts are made of.
pub enum Do {
    Say(Command),
    /// So many pieces of work.
    Work(usize),
}
pub use Do::{Say, Work};

/// 90 images in batches of 32 are 3 steps an epoch; 20 test images are one batch of validation.
pub fn spec() -> TrainSpec {
    let own = TrainSpec::of(ModelId::Compact);
    let recipe = Recipe { epochs: 2, batch: 32, augment: Augment::default(), ..own.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, ..own }
}

pub fn play(script: Vec<Do>) -> Session<Paper> {
    play_in(Paper::default(), script)
}

pub fn play_in(paper: Paper, script: Vec<Do>) -> Session<Paper> {
    let mut session = Session::new(paper);
    block_on(async {
        session.handle(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact))).await;
        for line in script {
            match line {
                Say(command) => session.handle(command).await,
                Work(pieces) => {
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

/// Events in short: their name, and the number that tells them apart. Steps may be told of one by one or together.
pub fn transcript(session: &Session<Paper>) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Engine(_) => vec!["engine".into()],
        Event::Using(network) => vec![format!("using {}", network.model)],
        Event::Together(models) => {
            let names: Vec<_> = models.iter().map(|model| model.id()).collect();
            vec![format!("together {}", names.join(" "))]
        }
        Event::Judged(judgement) => vec![format!("judged {}", judgement.n_images)],
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
        Event::Crew(crew) => vec![format!("{} workers, {} lost", crew.workers, crew.lost)],
        Event::Measured(speed) => {
            let over = if speed.over { ", over" } else { "" };
            vec![format!("measured {}{over}", speed.paces.len())]
        }
        Event::Progress(_) | Event::Pictures(_) | Event::Ready { .. } | Event::Crashed(_) => vec![],
    };
    session.host().events.borrow().iter().flat_map(short).collect()
}

pub fn losses(session: &Session<Paper>) -> Vec<f64> {
    let run = run(session);
    run.steps.iter().map(|step| step.batch.loss).collect()
}

pub fn run(session: &Session<Paper>) -> Run {
    Run::of(session.host().events.borrow().iter())
}

pub fn predict(version: u64) -> Do {
    Say(Command::Predict { version, pixels: vec![0; 784] })
}

/// What a run of `spec` begins with.
pub const BEGUN: [&str; 4] = ["engine", "using compact", "dataset 90", "started 3"];
