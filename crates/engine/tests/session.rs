//! A script of commands against the session, and the transcript of what it says.

#[path = "session/dropped.rs"]
mod dropped;
#[path = "session/paper.rs"]
mod paper;

use inkling_core::data::synthetic;
use inkling_core::evaluation;
use inkling_core::protocol::{Command, Event};
use inkling_core::run::State;
use inkling_core::spec::{DatasetId, ModelId, OptimizerId, Prediction, Recipe, SplitId, TrainSpec};
use inkling_engine::session::Session;
use paper::{BEGUN, Paper, Say, Work, losses, play, play_in, predict, run, spec, transcript};
use pollster::block_on;

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

/// The last snapshot that was told of.
fn snapshot(session: &Session<Paper>) -> Vec<u8> {
    let events = session.host().events.borrow();
    let mut snapshots = events.iter().filter_map(|event| match event {
        Event::Snapshot(bytes) => Some(bytes.clone()),
        _ => None,
    });
    snapshots.next_back().unwrap()
}

fn restore(snapshot: Vec<u8>, go_on: bool) -> Command {
    Command::Restore { snapshot, go_on, workers: 1 }
}

/// By each optimizer, with a network that normalises and drops: from the middle of an epoch, from its end, from the
/// beginning of the next.
#[test]
fn a_restored_run_goes_on_as_if_nothing_had_happened_to_the_bit() {
    for &optimizer in OptimizerId::ALL {
        let own = spec();
        let spec = TrainSpec { recipe: Recipe { optimizer, dropout: 1.0, ..own.recipe }, ..own };
        let straight = play(vec![Say(Command::Start(spec.clone())), Work(20)]);
        for pieces in [2, 3, 4, 5] {
            let keeping = || Paper { snapshot_secs: Some(0.0), ..Paper::default() };
            let lost = play_in(keeping(), vec![Say(Command::Start(spec.clone())), Work(pieces)]);
            let restored = play(vec![Say(restore(snapshot(&lost), true)), Work(20)]);
            let (straight_s, restored_s) = (losses(&straight), losses(&restored));
            let known = straight_s.len() - restored_s.len();
            assert_eq!(straight_s[known..], restored_s, "{optimizer} after {pieces}");
            let weights = |session: &Session<Paper>| block_on(session.weights()).unwrap();
            assert_eq!(weights(&straight), weights(&restored), "{optimizer} after {pieces}");
            let summary = |session: &Session<Paper>| {
                run(session).summary.map(|summary| (summary.test, summary.best, summary.test_errors))
            };
            assert_eq!(summary(&straight), summary(&restored), "{optimizer} after {pieces}");
        }
    }
}

#[test]
fn a_snapshot_is_taken_after_the_first_step_when_due_after_each_epoch_and_at_the_end() {
    let never = Paper { snapshot_secs: Some(1e9), ..Paper::default() };
    let session = play_in(never, vec![Say(Command::Start(spec())), Work(20)]);
    let rest = [
        "step 1",
        "snapshot",
        "step 2",
        "step 3",
        "epoch 1",
        "snapshot",
        "step 4",
        "step 5",
        "step 6",
        "epoch 2",
        "judged 20",
        "finished",
        "snapshot",
    ];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
    let often = Paper { snapshot_secs: Some(0.0), ..Paper::default() };
    let session = play_in(often, vec![Say(Command::Start(spec())), Work(2), Say(Command::Stop), Work(9)]);
    // Not after step 2: the first has just been taken.
    let rest = ["step 1", "snapshot", "step 2", "snapshot", "stopped"];
    assert_eq!(transcript(&session), [&BEGUN[..], &rest[..]].concat());
}

#[test]
fn the_network_of_a_snapshot_reads_without_going_on() {
    let keeping = Paper { snapshot_secs: Some(0.0), ..Paper::default() };
    let lost = play_in(keeping, vec![Say(Command::Start(spec())), Work(2), Say(Command::Stop), predict(1)]);
    let reader = play(vec![Say(restore(snapshot(&lost), false)), Work(9), predict(1)]);
    assert_eq!(transcript(&reader), ["engine", "using compact", "restored 2 false", "predicted 1"]);
    assert_eq!(run(&lost).prediction, run(&reader).prediction);
}

#[test]
fn a_damaged_snapshot_is_refused_with_a_remedy() {
    for damaged in [vec![], vec![7; 100]] {
        let session = play(vec![Say(restore(damaged, true)), predict(1)]);
        let told = transcript(&session);
        assert!(told[2].starts_with("failed: The run cannot go on: its snapshot cannot be used"), "{told:?}");
        assert_eq!(told[3], "predicted 1", "the network at hand stays");
    }
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
    assert_eq!(read[3], evaluation::ensemble(&[read[2].clone(), read[0].clone(), read[1].clone()]));
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
