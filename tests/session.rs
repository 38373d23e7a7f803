//! A script of commands against the session, and the transcript of what it says.

use std::cell::{Cell, RefCell};

use burn::tensor::Device;
use inkling::data::{Dataset, synthetic};
use inkling::protocol::{Command, Event, Fault};
use inkling::run::{Run, State};
use inkling::session::{Host, Session};
use inkling::spec::{Augment, DatasetId, EngineChoice, ModelId, Pretrained, Recipe, SplitId, TrainSpec};
use inkling::train::{Trainer, checkpoint};
use pollster::block_on;

/// A world of paper: events are kept, the clock ticks when asked, digits are drawn.
#[derive(Default)]
struct Paper {
    events: RefCell<Vec<Event>>,
    ticks: Cell<f64>,
}

impl Host for Paper {
    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn now_secs(&self) -> f64 {
        self.ticks.set(self.ticks.get() + 0.05);
        self.ticks.get()
    }

    /// One model came with the program: it was not trained, but it says what it is worth.
    async fn pretrained(&self, model: ModelId) -> Option<Vec<u8>> {
        let arrays = Trainer::new(model, 7, &Device::flex()).network().arrays().await.ok()?;
        let worth = Pretrained { test_accuracy: 0.125, test_images: 8, epochs: 3 };
        (model == ModelId::Compact).then(|| checkpoint::pack(model, &arrays, &worth))
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
enum Do {
    Say(Command),
    /// So many pieces of work.
    Work(usize),
}
use Do::{Say, Work};

/// 90 images in batches of 32 are 3 steps an epoch; 20 test images are one batch of validation.
fn spec() -> TrainSpec {
    let own = TrainSpec::of(ModelId::Compact);
    let recipe = Recipe { epochs: 2, batch: 32, augment: Augment::default(), ..own.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, ..own }
}

fn play(script: Vec<Do>) -> Session<Paper> {
    let mut session = Session::new(Paper::default());
    block_on(async {
        session.handle(Command::Open(EngineChoice::Cpu)).await;
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
fn transcript(session: &Session<Paper>) -> Vec<String> {
    let short = |event: &Event| match event {
        Event::Engine(_) => vec!["engine".into()],
        Event::Using(network) => vec![format!("using {}", network.model)],
        Event::Judged(judgement) => vec![format!("judged {}", judgement.n_images)],
        Event::Dataset(dataset) => vec![format!("dataset {}", dataset.n_train)],
        Event::Started(plan) => vec![format!("started {}", plan.steps_per_epoch)],
        Event::Stepped(steps) => steps.iter().map(|step| format!("step {}", step.step)).collect(),
        Event::EpochEnded(epoch) => vec![format!("epoch {}", epoch.epoch)],
        Event::Paused => vec!["paused".into()],
        Event::Resumed => vec!["resumed".into()],
        Event::Stopped => vec!["stopped".into()],
        Event::Finished(_) => vec!["finished".into()],
        Event::Predicted { version, .. } => vec![format!("predicted {version}")],
        Event::Failed(fault) => vec![format!("failed: {}", fault.what)],
        Event::Progress(_) | Event::Ready { .. } | Event::Elsewhere | Event::Crashed(_) => vec![],
    };
    session.host().events.borrow().iter().flat_map(short).collect()
}

fn losses(session: &Session<Paper>) -> Vec<f64> {
    let run = run(session);
    run.steps.iter().map(|step| step.batch.loss).collect()
}

fn run(session: &Session<Paper>) -> Run {
    let mut run = Run::default();
    session.host().events.borrow().iter().for_each(|event| run.apply(event));
    run
}

fn predict(version: u64) -> Do {
    Say(Command::Predict { version, pixels: vec![0; 784] })
}

const BEGUN: [&str; 4] = ["engine", "using compact", "dataset 90", "started 3"];

#[test]
fn a_whole_run() {
    let session = play(vec![Say(Command::Start(spec())), Work(20)]);
    let rest =
        ["step 1", "step 2", "step 3", "epoch 1", "step 4", "step 5", "step 6", "epoch 2", "judged 20", "finished"];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
    let run = run(&session);
    assert_eq!((run.state, run.epochs.len(), run.fraction_done()), (State::Finished, 2, 1.0));
    assert_eq!(run.summary.map(|summary| summary.test_images), Some(20));
}

#[test]
fn pause_in_the_middle_of_an_epoch_holds_and_changes_nothing() {
    let script = vec![
        Say(Command::Start(spec())),
        Work(2),
        Say(Command::Pause),
        Work(5),
        predict(1),
        Say(Command::Resume),
        Work(20),
    ];
    let paused = play(script);
    let rest = ["step 1", "step 2", "paused", "predicted 1", "resumed", "step 3", "epoch 1"];
    assert_eq!(transcript(&paused)[..11], [&BEGUN[..], &rest[..]].concat());
    let straight = play(vec![Say(Command::Start(spec())), Work(20)]);
    assert_eq!(losses(&paused), losses(&straight));
}

#[test]
fn single_steps_hold_after_each_and_validate_at_the_end_of_an_epoch() {
    let step = || [Say(Command::Step), Work(9)];
    let mut script = vec![Say(Command::Start(spec())), Work(1), Say(Command::Pause)];
    script.extend(step().into_iter().chain(step()).chain(step()));
    let rest = [
        "step 1", "paused", "resumed", "step 2", "paused", "resumed", "step 3", "epoch 1", "paused", "resumed",
        "step 4", "paused",
    ];
    assert_eq!(transcript(&play(script)), [&BEGUN[..], &rest[..]].concat());
}

#[test]
fn stop_in_the_middle_of_an_epoch_keeps_the_network() {
    let session = play(vec![Say(Command::Start(spec())), Work(2), Say(Command::Stop), Work(5), predict(7)]);
    let rest = ["step 1", "step 2", "stopped", "predicted 7"];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
    assert_eq!(run(&session).state, State::Finished);
    assert!(block_on(session.weights()).is_ok());
}

#[test]
fn a_new_start_ends_the_old_run() {
    let session = play(vec![Say(Command::Start(spec())), Work(1), Say(Command::Start(spec())), Work(1)]);
    let rest = ["step 1", "stopped", "dataset 90", "started 3", "step 1"];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
}

#[test]
fn commands_that_mean_nothing_now_are_quiet() {
    let idle = [Command::Pause, Command::Resume, Command::Step, Command::Stop];
    let session = play(idle.into_iter().map(Say).collect());
    assert_eq!(transcript(&session), ["engine", "using compact"]);
}

#[test]
fn limits_shorten_the_epoch() {
    let recipe = Recipe { epochs: 1, ..spec().recipe };
    let limited = TrainSpec { train_limit: Some(40), test_limit: Some(5), recipe, ..spec() };
    let session = play(vec![Say(Command::Start(limited)), Work(20)]);
    let rest = ["dataset 40", "started 2", "step 1", "step 2", "epoch 1", "judged 5", "finished"];
    assert_eq!(transcript(&session)[2..], rest);
    assert_eq!(run(&session).summary.map(|summary| summary.test_images), Some(5));
}

#[test]
fn what_cannot_be_is_said_and_survived() {
    let nowhere = TrainSpec { dataset: DatasetId::Mnist, ..spec() };
    let senseless = TrainSpec { recipe: Recipe { batch: 0, ..spec().recipe }, ..spec() };
    let session = play(vec![
        Say(Command::Start(nowhere)),
        Say(Command::Start(senseless)),
        Say(Command::Predict { version: 1, pixels: vec![0; 3] }),
        predict(2),
    ]);
    let said = transcript(&session);
    assert_eq!(said[2], "failed: There is only paper here");
    assert!(said[3].starts_with("failed: batch size must be between"), "{said:?}");
    assert!(said[4].starts_with("failed: An image of 3 bytes"), "{said:?}");
    assert_eq!(said[5], "predicted 2");
}

#[test]
fn the_pretrained_network_reads_before_any_training() {
    let session = play(vec![predict(1)]);
    assert_eq!(transcript(&session), ["engine", "using compact", "predicted 1"]);
    let run = run(&session);
    let pretrained = run.network.clone().and_then(|network| network.pretrained);
    assert_eq!(pretrained.map(|worth| (worth.test_images, worth.epochs)), Some((8, 3)));
    assert!(run.learned, "its answers are more than chance");
}

#[test]
fn a_model_without_weights_of_its_own_has_learned_nothing() {
    let session = play(vec![Say(Command::Use(ModelId::Strided)), predict(1)]);
    assert_eq!(transcript(&session)[2..], ["using strided", "predicted 1"]);
    assert!(!run(&session).learned);
}

#[test]
fn the_network_at_hand_is_judged_when_asked() {
    let session = play(vec![Say(Command::Judge(spec()))]);
    let run = run(&session);
    assert_eq!(run.judgement.map(|judgement| judgement.n_images), Some(20));
    assert_eq!(run.state, State::Ready);
}

/// 110 images are dealt as 59, 7 and 44: validated on the 7 after each epoch, tested on the 44 at the end.
#[test]
fn the_split_of_kaggle_keeps_the_test_images_for_the_end() {
    let session = play(vec![Say(Command::Start(TrainSpec { split: SplitId::Kaggle, ..spec() })), Work(40)]);
    let said = transcript(&session);
    assert_eq!(said[2..4], ["dataset 59", "started 2"]);
    assert_eq!(said[said.len() - 2..], ["judged 44", "finished"]);
    let run = run(&session);
    assert_eq!(run.dataset.and_then(|dataset| dataset.n_validation), Some(7));
    assert_eq!(run.summary.map(|summary| summary.test_images), Some(44));
}
