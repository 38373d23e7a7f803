//! Scripts of commands for the session, compared with the events that it emits.

#[path = "session/ensembles.rs"]
mod ensembles;
#[path = "session/requests.rs"]
mod requests;
#[path = "session/test_host.rs"]
mod test_host;
#[path = "session/user_files.rs"]
mod user_files;

use inkling_core::data::synthetic;
use inkling_core::protocol::{Command, EvaluationSpec, Event, RunState};
use inkling_core::spec::{DatasetId, ModelId, OptimizerId, Prediction, Recipe, SplitId, TrainSpec};
use inkling_engine::session::Session;
use pollster::block_on;
use test_host::{
    Advance, Handle, Predict, STARTED, TestHost, events, losses, run, run_script, run_script_on, spec, transcript,
};

#[test]
fn a_run_emits_its_steps_epochs_evaluation_and_summary() {
    let session = run_script(vec![Handle(Command::Start(spec())), Advance(20)]);
    let rest =
        ["step 1", "step 2", "step 3", "epoch 1", "step 4", "step 5", "step 6", "epoch 2", "evaluated 20", "finished"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
    let run = run(&session);
    assert_eq!((run.state, run.epochs.len(), run.fraction_done()), (RunState::Finished, 2, 1.0));
    assert_eq!(run.summary.map(|summary| summary.test_images), Some(20));
}

#[test]
fn pausing_within_an_epoch_changes_no_loss() {
    let script = vec![
        Handle(Command::Start(spec())),
        Advance(2),
        Handle(Command::Pause),
        Advance(5),
        Predict(1),
        Handle(Command::Resume),
        Advance(20),
    ];
    let paused = run_script(script);
    let rest = ["step 1", "step 2", "paused", "predicted 1", "resumed", "step 3", "epoch 1"];
    assert_eq!(transcript(&paused)[..11], [&STARTED[..], &rest[..]].concat());
    let uninterrupted = run_script(vec![Handle(Command::Start(spec())), Advance(20)]);
    assert_eq!(losses(&paused), losses(&uninterrupted));
}

#[test]
fn single_steps_pause_after_each_and_validate_at_the_end_of_an_epoch() {
    let step = || [Handle(Command::Step), Advance(9)];
    let mut script = vec![Handle(Command::Start(spec())), Advance(1), Handle(Command::Pause)];
    script.extend(step().into_iter().chain(step()).chain(step()));
    let rest = [
        "step 1", "paused", "resumed", "step 2", "paused", "resumed", "step 3", "epoch 1", "paused", "resumed",
        "step 4", "paused",
    ];
    assert_eq!(transcript(&run_script(script)), [&STARTED[..], &rest[..]].concat());
}

#[test]
fn stopping_within_an_epoch_keeps_the_network() {
    let session =
        run_script(vec![Handle(Command::Start(spec())), Advance(2), Handle(Command::Stop), Advance(5), Predict(7)]);
    let rest = ["step 1", "step 2", "stopped", "predicted 7"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
    assert_eq!(run(&session).state, RunState::Finished);
    assert!(block_on(session.weights()).is_ok());
}

/// The last checkpoint that the session emitted.
fn last_checkpoint(session: &Session<TestHost>) -> Vec<u8> {
    let mut checkpoints = events(session).into_iter().filter_map(|event| match event {
        Event::Checkpoint(bytes) => Some(bytes),
        _ => None,
    });
    checkpoints.next_back().unwrap()
}

fn restore(checkpoint: Vec<u8>, go_on: bool) -> Command {
    Command::Restore { checkpoint, go_on, workers: 1 }
}

/// With each optimizer, and a network that has BatchNorm and dropout: from the middle of an epoch, from its end, and
/// from the beginning of the next.
#[test]
fn a_restored_run_equals_an_uninterrupted_one_to_the_bit() {
    for &optimizer in OptimizerId::ALL {
        let default = spec();
        let spec = TrainSpec { recipe: Recipe { optimizer, dropout: 1.0, ..default.recipe }, ..default };
        let uninterrupted = run_script(vec![Handle(Command::Start(spec.clone())), Advance(20)]);
        for pieces in [2, 3, 4, 5] {
            let host = TestHost { checkpoint_secs: Some(0.0), ..TestHost::default() };
            let lost = run_script_on(host, vec![Handle(Command::Start(spec.clone())), Advance(pieces)]);
            let restored = run_script(vec![Handle(restore(last_checkpoint(&lost), true)), Advance(20)]);
            let (expected_losses, restored_losses) = (losses(&uninterrupted), losses(&restored));
            let n_before = expected_losses.len() - restored_losses.len();
            assert_eq!(expected_losses[n_before..], restored_losses, "{optimizer} after {pieces}");
            let epochs = |session: &Session<TestHost>| {
                run(session).epochs.iter().map(|row| (row.epoch, row.learning_rate)).collect::<Vec<_>>()
            };
            let expected = epochs(&uninterrupted);
            let restored_epochs = epochs(&restored);
            assert!(expected.ends_with(&restored_epochs), "{optimizer} after {pieces}: {restored_epochs:?}");
            let weights = |session: &Session<TestHost>| block_on(session.weights()).unwrap();
            assert_eq!(weights(&uninterrupted), weights(&restored), "{optimizer} after {pieces}");
            let summary = |session: &Session<TestHost>| {
                run(session).summary.map(|summary| (summary.test, summary.best, summary.test_errors))
            };
            assert_eq!(summary(&uninterrupted), summary(&restored), "{optimizer} after {pieces}");
        }
    }
}

#[test]
fn a_checkpoint_is_taken_after_the_first_step_when_due_after_each_epoch_and_at_the_end() {
    let never = TestHost { checkpoint_secs: Some(1e9), ..TestHost::default() };
    let session = run_script_on(never, vec![Handle(Command::Start(spec())), Advance(20)]);
    let rest = [
        "step 1",
        "checkpoint",
        "step 2",
        "step 3",
        "epoch 1",
        "checkpoint",
        "step 4",
        "step 5",
        "step 6",
        "epoch 2",
        "evaluated 20",
        "finished",
        "checkpoint",
    ];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
    let often = TestHost { checkpoint_secs: Some(0.0), ..TestHost::default() };
    let session =
        run_script_on(often, vec![Handle(Command::Start(spec())), Advance(2), Handle(Command::Stop), Advance(9)]);
    // None after step 2: the checkpoint of step 1 has just been taken.
    let rest = ["step 1", "checkpoint", "step 2", "checkpoint", "stopped"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
}

#[test]
fn the_network_of_a_checkpoint_predicts_without_its_run() {
    let host = TestHost { checkpoint_secs: Some(0.0), ..TestHost::default() };
    let lost = run_script_on(host, vec![Handle(Command::Start(spec())), Advance(2), Handle(Command::Stop), Predict(1)]);
    let restored = run_script(vec![Handle(restore(last_checkpoint(&lost), false)), Advance(9), Predict(1)]);
    assert_eq!(transcript(&restored), ["engine", "using compact", "restored 2 false", "predicted 1"]);
    let predicted = |session| events(session).iter().filter_map(prediction).collect::<Vec<_>>();
    assert_eq!(predicted(&lost), predicted(&restored));
}

#[test]
fn a_damaged_checkpoint_is_refused_with_a_remedy() {
    for damaged in [vec![], vec![7; 100]] {
        let session = run_script(vec![Handle(restore(damaged, true)), Predict(1)]);
        let events = transcript(&session);
        assert!(
            events[2].starts_with("Restore failed: The run cannot go on: its checkpoint cannot be used"),
            "{events:?}"
        );
        assert_eq!(events[3], "predicted 1", "the current network stays");
    }
}

#[test]
fn a_new_start_ends_the_old_run() {
    let session =
        run_script(vec![Handle(Command::Start(spec())), Advance(1), Handle(Command::Start(spec())), Advance(1)]);
    let rest = ["step 1", "stopped", "dataset 90", "started 3", "step 1"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
}

#[test]
fn commands_without_effect_emit_nothing() {
    let idle = [Command::Pause, Command::Resume, Command::Step, Command::Stop];
    let session = run_script(idle.into_iter().map(Handle).collect());
    assert_eq!(transcript(&session), ["engine", "using compact"]);
}

#[test]
fn misclassified_images_are_emitted_with_the_evaluation() {
    let session = run_script(vec![Handle(Command::Evaluate(EvaluationSpec::of(&spec()))), Advance(9)]);
    let (run, test) = (run(&session), synthetic::split(synthetic::SEED, 20_000, 20));
    let indices: Vec<_> = run.evaluation.unwrap().result.misclassified.iter().map(|image| image.index).collect();
    assert!(indices.len() > 2, "an untrained network misclassifies few digits: {indices:?}");
    assert_eq!(run.misclassified_images.iter().map(|image| image.index).collect::<Vec<_>>(), indices);
    assert!(run.misclassified_images.iter().all(|image| image.pixels == test.image(image.index)));
}

/// A host whose clock advances so fast that a measurement takes few steps.
fn with_tick(tick_secs: f64) -> TestHost {
    TestHost { tick_secs: Some(tick_secs), ..TestHost::default() }
}

#[test]
fn the_engine_is_measured_in_pieces_and_the_current_network_stays() {
    let session = run_script_on(
        with_tick(0.7),
        vec![Predict(1), Handle(Command::Measure { workers: 1 }), Advance(2), Predict(2), Advance(50), Predict(3)],
    );
    let expected = ["predicted 1", "predicted 2", "measured 1", "measured 2", "measured 3, over", "predicted 3"];
    assert_eq!(transcript(&session)[2..], expected);
    assert!(!session.is_busy());
    let run = run(&session);
    let speeds = run.speed.unwrap().speeds;
    assert_eq!(speeds.iter().map(|speed| speed.model.id()).collect::<Vec<_>>(), ["compact", "strided", "classic"]);
    for speed in &speeds {
        // One tick for compiling, one for the step.
        assert!((speed.first_step_secs - 1.4).abs() < 1e-9 && speed.n_steps == 5, "{speed:?}");
        assert!((speed.images_per_second - 128.0 / 0.7).abs() < 1e-6, "{speed:?}");
    }
    assert_eq!((run.state, run.progress), (RunState::Ready, None));
    let predictions: Vec<_> = events(&session).iter().filter_map(prediction).collect();
    assert!(predictions.len() == 3 && predictions.iter().all(|prediction| *prediction == predictions[0]));
}

#[test]
fn a_slow_engine_skips_the_larger_networks() {
    let session = run_script_on(with_tick(10.0), vec![Handle(Command::Measure { workers: 1 }), Advance(50)]);
    assert_eq!(transcript(&session)[2..], ["measured 1, over"]);
    assert_eq!(run(&session).speed.unwrap().speeds[0].n_steps, 2);
}

fn prediction(event: &Event) -> Option<Prediction> {
    if let Event::Predicted(predictions) = event { predictions.first().cloned() } else { None }
}

#[test]
fn a_run_ends_for_a_measurement_and_a_measurement_for_a_run() {
    let session = run_script(vec![
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::Measure { workers: 1 }),
        Advance(1),
        Handle(Command::Start(spec())),
        Advance(1),
    ]);
    let rest = ["step 1", "stopped", "measured 0, over", "dataset 90", "started 3", "step 1"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
}

#[test]
fn limits_shorten_the_epoch() {
    let recipe = Recipe { epochs: 1, ..spec().recipe };
    let limited = TrainSpec { train_limit: Some(40), test_limit: Some(5), recipe, ..spec() };
    let session = run_script(vec![Handle(Command::Start(limited)), Advance(20)]);
    let rest = ["dataset 40", "started 2", "step 1", "step 2", "epoch 1", "evaluated 5", "finished"];
    assert_eq!(transcript(&session)[2..], rest);
    assert_eq!(run(&session).summary.map(|summary| summary.test_images), Some(5));
}

#[test]
fn invalid_commands_fail_and_the_session_survives() {
    let missing_dataset = TrainSpec { dataset: DatasetId::Mnist, ..spec() };
    let invalid_batch = TrainSpec { recipe: Recipe { batch: 0, ..spec().recipe }, ..spec() };
    let session = run_script(vec![
        Handle(Command::Start(missing_dataset)),
        Handle(Command::Start(invalid_batch)),
        Handle(Command::Predict { pixels: vec![0; 3], shifts: false }),
        Predict(2),
    ]);
    let events = transcript(&session);
    assert_eq!(events[2], "Start failed: Only synthetic digits are available");
    assert!(events[3].starts_with("Start failed: batch size must be between"), "{events:?}");
    assert!(events[4].starts_with("Predict failed: Images of 3 bytes"), "{events:?}");
    assert_eq!(events[5], "predicted 2");
}

#[test]
fn the_pretrained_network_predicts_before_any_training() {
    let session = run_script(vec![Predict(1)]);
    assert_eq!(transcript(&session), ["engine", "using compact", "predicted 1"]);
    let run = run(&session);
    let pretrained = run.network.clone().and_then(|network| network.pretrained);
    assert_eq!(pretrained.map(|pretrained| (pretrained.test_images, pretrained.epochs)), Some((8, 3)));
    assert!(run.learned, "its predictions are better than chance");
}

#[test]
fn a_model_without_pretrained_weights_has_learned_nothing() {
    let session = run_script(vec![Handle(Command::LoadModel(ModelId::Strided)), Predict(1)]);
    assert_eq!(transcript(&session)[2..], ["using strided", "predicted 1"]);
    assert!(!run(&session).learned);
}

#[test]
fn the_current_network_is_evaluated_on_command() {
    let session = run_script(vec![Handle(Command::Evaluate(EvaluationSpec::of(&spec()))), Advance(9)]);
    let run = run(&session);
    assert_eq!(run.evaluation.map(|report| report.result.n_images), Some(20));
    assert_eq!(run.state, RunState::Ready);
}

/// 110 images are split into 59, 7 and 44: the 7 validate after each epoch, the 44 test at the end.
#[test]
fn the_kaggle_split_reserves_the_test_images_for_the_end() {
    let session = run_script(vec![Handle(Command::Start(TrainSpec { split: SplitId::Kaggle, ..spec() })), Advance(40)]);
    let events = transcript(&session);
    assert_eq!(events[2..4], ["dataset 59", "started 2"]);
    assert_eq!(events[events.len() - 2..], ["evaluated 44", "finished"]);
    let run = run(&session);
    assert_eq!(run.dataset.and_then(|dataset| dataset.n_validation), Some(7));
    assert_eq!(run.summary.map(|summary| summary.test_images), Some(44));
}
