//! A script of commands against the session, and the transcript of what it says.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use burn::tensor::Device;
use inkling::data::{Dataset, synthetic};
use inkling::judge;
use inkling::protocol::{Command, Event, Fault};
use inkling::run::{Run, State};
use inkling::session::{Host, Session};
use inkling::spec::{Augment, DatasetId, EngineChoice, ModelId, Prediction, Pretrained, Recipe, SplitId, TrainSpec};
use inkling::train::{Trainer, checkpoint};
use pollster::block_on;

/// A world of paper: events are kept, the clock ticks when asked, digits are drawn.
#[derive(Default)]
struct Paper {
    events: RefCell<Vec<Event>>,
    ticks: Cell<f64>,
    /// Of the clock, if not 0.05.
    tick_secs: Option<f64>,
    /// Seeds of further models that came with it.
    shipped: BTreeMap<&'static str, u64>,
    /// How often weights were brought.
    n_brought: Cell<usize>,
}

impl Host for Paper {
    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn now_secs(&self) -> f64 {
        self.ticks.set(self.ticks.get() + self.tick_secs.unwrap_or(0.05));
        self.ticks.get()
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
    play_in(Paper::default(), script)
}

fn play_in(paper: Paper, script: Vec<Do>) -> Session<Paper> {
    let mut session = Session::new(paper);
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
        Event::Finished(_) => vec!["finished".into()],
        Event::Predicted { version, .. } => vec![format!("predicted {version}")],
        Event::Failed(fault) => vec![format!("failed: {}", fault.what)],
        Event::Crew(crew) => vec![format!("{} workers, {} lost", crew.workers, crew.lost)],
        Event::Measured(speed) => {
            let over = if speed.over { ", over" } else { "" };
            vec![format!("measured {}{over}", speed.paces.len())]
        }
        Event::Progress(_) | Event::Pictures(_) | Event::Ready { .. } | Event::Elsewhere | Event::Crashed(_) => vec![],
    };
    session.host().events.borrow().iter().flat_map(short).collect()
}

fn losses(session: &Session<Paper>) -> Vec<f64> {
    let run = run(session);
    run.steps.iter().map(|step| step.batch.loss).collect()
}

fn run(session: &Session<Paper>) -> Run {
    Run::of(session.host().events.borrow().iter())
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
fn the_images_of_mistakes_come_with_the_judgement() {
    let session = play(vec![Say(Command::Judge(spec()))]);
    let (run, test) = (run(&session), synthetic::split(synthetic::SEED, 20_000, 20));
    let named: Vec<_> = run.judgement.unwrap().mistakes.iter().map(|mistake| mistake.index).collect();
    assert!(named.len() > 2, "an untrained network reads digits: {named:?}");
    assert_eq!(run.pictures.iter().map(|picture| picture.index).collect::<Vec<_>>(), named);
    assert!(run.pictures.iter().all(|picture| picture.pixels == test.image(picture.index)));
}

/// Of the clock of a measurement, so that it takes few steps.
fn ticking(tick_secs: f64) -> Paper {
    Paper { tick_secs: Some(tick_secs), ..Paper::default() }
}

#[test]
fn the_engine_is_measured_in_pieces_and_the_network_at_hand_stays() {
    let session = play_in(
        ticking(0.7),
        vec![predict(1), Say(Command::Measure { workers: 1 }), Work(2), predict(2), Work(50), predict(3)],
    );
    let said = ["predicted 1", "predicted 2", "measured 1", "measured 2", "measured 3, over", "predicted 3"];
    assert_eq!(transcript(&session)[2..], said);
    assert!(!session.is_busy());
    let run = run(&session);
    let paces = run.speed.unwrap().paces;
    assert_eq!(paces.iter().map(|pace| pace.model.id()).collect::<Vec<_>>(), ["compact", "strided", "classic"]);
    for pace in &paces {
        // A tick for compiling, another for the step.
        assert!((pace.first_step_secs - 1.4).abs() < 1e-9 && pace.n_steps == 5, "{pace:?}");
        assert!((pace.images_per_second - 128.0 / 0.7).abs() < 1e-6, "{pace:?}");
    }
    assert_eq!((run.state, run.progress), (State::Ready, None));
    let events = session.host().events.borrow();
    let answers: Vec<_> = events.iter().filter_map(answer).collect();
    assert!(answers.len() == 3 && answers.iter().all(|prediction| *prediction == answers[0]));
}

#[test]
fn a_slow_engine_is_spared_the_larger_networks() {
    let session = play_in(ticking(10.0), vec![Say(Command::Measure { workers: 1 }), Work(50)]);
    assert_eq!(transcript(&session)[2..], ["measured 1, over"]);
    assert_eq!(run(&session).speed.unwrap().paces[0].n_steps, 2);
}

fn answer(event: &Event) -> Option<Prediction> {
    if let Event::Predicted { prediction, .. } = event { Some(prediction.clone()) } else { None }
}

#[test]
fn a_run_ends_for_a_measurement_and_a_measurement_for_a_run() {
    let session = play(vec![
        Say(Command::Start(spec())),
        Work(1),
        Say(Command::Measure { workers: 1 }),
        Work(1),
        Say(Command::Start(spec())),
        Work(1),
    ]);
    let rest = ["step 1", "stopped", "measured 0, over", "dataset 90", "started 3", "step 1"];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
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

/// IDX files of 30 drawn digits to train on and 10 to be tested on, in the disorder in which they were dropped.
fn files() -> Vec<(String, Vec<u8>)> {
    let header = |rank: u8, sizes: &[u32]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_be_bytes()).collect();
        [vec![0, 0, 8, rank], sizes].concat()
    };
    let pair = |name: &str, first, n: usize| {
        let split = synthetic::split(synthetic::SEED, first, n);
        let images = [header(3, &[n as u32, 28, 28]), split.images].concat();
        let labels = [header(1, &[n as u32]), split.labels].concat();
        [(format!("{name}-labels"), labels), (format!("{name}-images"), images)]
    };
    [pair("t10k", 90, 10), pair("train", 0, 30)].concat()
}

fn with_dropped() -> TrainSpec {
    TrainSpec { dataset: DatasetId::Dropped, recipe: Recipe { epochs: 1, ..spec().recipe }, ..spec() }
}

#[test]
fn files_are_learned_from_again_and_again() {
    let session = play(vec![
        Say(Command::Files(files())),
        Say(Command::Start(with_dropped())),
        Work(9),
        Say(Command::Start(spec())),
        Work(1),
        Say(Command::Start(with_dropped())),
        Work(9),
    ]);
    let once = ["dataset 30", "started 1", "step 1", "epoch 1", "judged 10", "finished"];
    let between = ["dataset 90", "started 3", "step 1", "stopped"];
    assert_eq!(transcript(&session)[2..], [&["dataset 30"][..], &once[..], &between[..], &once[..]].concat());
    assert_eq!(run(&session).dataset.map(|report| report.id), Some(DatasetId::Dropped));
}

#[test]
fn files_that_cannot_be_learned_from_cost_nothing_that_was_there() {
    let session = play(vec![
        Say(Command::Files(files())),
        Say(Command::Files(files()[..1].to_vec())),
        predict(1),
        Say(Command::Start(with_dropped())),
        Work(1),
    ]);
    let said = transcript(&session);
    assert!(said[3].starts_with("failed: These files cannot be learned from: 1 of the files came"), "{said:?}");
    assert_eq!(said[4..], ["predicted 1", "dataset 30", "started 1", "step 1"]);
}

#[test]
fn files_end_a_run_in_progress_and_keep_its_network() {
    let session = play(vec![Say(Command::Start(spec())), Work(1), Say(Command::Files(files())), Work(3), predict(1)]);
    assert_eq!(transcript(&session), [&BEGUN[..], &["step 1", "stopped", "dataset 30", "predicted 1"]].concat());
}

#[test]
fn without_files_there_is_nothing_of_ones_own_to_learn_from() {
    let session = play(vec![Say(Command::Start(with_dropped()))]);
    assert_eq!(transcript(&session)[2..], ["failed: There are no images of your own yet"]);
}

/// Two models besides the usual one came with the program.
fn several() -> Paper {
    Paper { shipped: [("strided", 8), ("leaky", 9)].into(), ..Paper::default() }
}

fn predictions(session: &Session<Paper>) -> Vec<Prediction> {
    let prediction = |event: &Event| match event {
        Event::Predicted { prediction, .. } => Some(prediction.clone()),
        _ => None,
    };
    session.host().events.borrow().iter().filter_map(prediction).collect()
}

#[test]
fn networks_read_together_as_the_mean_of_each() {
    let take = |model| Say(Command::Use(model));
    let alone =
        [take(ModelId::Strided), predict(1), take(ModelId::Leaky), predict(2), take(ModelId::Compact), predict(3)];
    let together = [Say(Command::Together(true)), predict(4), Say(Command::Together(false)), predict(5)];
    let session = play_in(several(), alone.into_iter().chain(together).collect());
    let told = ["together compact strided leaky", "predicted 4", "together compact", "predicted 5"];
    assert_eq!(transcript(&session)[8..], told);
    let read = predictions(&session);
    assert_eq!(read[3], judge::ensemble(&[read[2].clone(), read[0].clone(), read[1].clone()]));
    assert_ne!(read[3], read[2]);
    assert_eq!(read[4], read[2]);
}

#[test]
fn who_reads_together_follows_the_network_at_hand() {
    let session = play_in(
        several(),
        vec![
            Say(Command::Together(true)),
            Say(Command::Use(ModelId::Strided)),
            Say(Command::Start(spec())),
            Work(1),
            Say(Command::Together(false)),
            Say(Command::Together(true)),
            Work(1),
            Say(Command::Pause),
        ],
    );
    let said = transcript(&session);
    let told = ["together compact strided leaky", "using strided", "together strided compact leaky"];
    assert_eq!(said[2..5], told);
    let trained = ["dataset 90", "started 3", "together compact strided leaky", "step 1", "together compact"];
    assert_eq!(said[5..10], trained);
    assert_eq!(said[10..], ["together compact strided leaky", "step 2", "paused"], "the run goes on");
    // Once for each model when they first read together, and once for each that came to hand.
    assert_eq!(session.host().n_brought.get(), ModelId::ALL.len() + 2);
    assert_eq!(run(&session).readers, [ModelId::Compact, ModelId::Strided, ModelId::Leaky]);
}

#[test]
fn a_network_alone_is_named_alone() {
    let session = play(vec![Say(Command::Together(true)), predict(1)]);
    assert_eq!(transcript(&session)[2..], ["together compact", "predicted 1"]);
}
