//! What a session does between two pieces of work: requests are answered while images are loaded and while a network is
//! evaluated, failures stay with their command, and every message names its request.

use inkling_core::protocol::{
    Activity, Command, CommandName, EvaluationSpec, Event, Message, RequestId, RunState, SessionState,
};
use inkling_core::spec::{DatasetId, ModelId, SplitId, TrainSpec};
use inkling_engine::session::Session;
use inkling_engine::train::weights_file;
use pollster::block_on;

use crate::test_host::{
    Action, Advance, Handle, Interrupt, Predict, STARTED, TestHost, events, losses, run, run_script, run_script_on,
    spec, transcript,
};

fn evaluate() -> Action {
    Handle(Command::Evaluate(EvaluationSpec::of(&spec())))
}

/// An evaluation of Kaggle's split of the 110 images: its 44 test images are one batch.
fn evaluate_split(split: SplitId, split_seed: u64) -> Action {
    Handle(Command::Evaluate(EvaluationSpec { split, split_seed, ..EvaluationSpec::of(&spec()) }))
}

/// A host whose images come only after the session has waited `n_waits` times.
fn slow_images(n_waits: usize) -> TestHost {
    TestHost { n_waits: n_waits.into(), ..TestHost::default() }
}

fn states(session: &Session<TestHost>) -> Vec<SessionState> {
    let told = |event| if let Event::State(state) = event { Some(state) } else { None };
    let mut states: Vec<_> = events(session).into_iter().filter_map(told).collect();
    states.dedup();
    states
}

#[test]
fn requests_are_answered_between_the_batches_of_an_evaluation() {
    let session = run_script(vec![evaluate(), Predict(1), Advance(1), Predict(2)]);
    assert_eq!(transcript(&session)[2..], ["evaluating", "predicted 1", "evaluated 20", "predicted 2"]);
    assert!(!session.is_busy());
}

#[test]
fn an_evaluation_can_be_stopped_and_replaced() {
    let session = run_script(vec![evaluate(), Handle(Command::Stop), Advance(9), evaluate(), evaluate(), Advance(9)]);
    assert_eq!(transcript(&session)[2..], ["evaluating", "evaluating", "evaluated 20"]);
    let idle = SessionState { run: RunState::Ready, activity: None };
    assert_eq!(states(&session).last(), Some(&idle));
}

#[test]
fn a_run_waits_for_an_evaluation_and_is_not_changed_by_it() {
    let session = run_script(vec![Handle(Command::Start(spec())), Advance(2), evaluate(), Advance(20)]);
    let rest = ["step 1", "step 2", "evaluating", "evaluated 20", "step 3", "epoch 1"];
    assert_eq!(transcript(&session)[..10], [&STARTED[..], &rest[..]].concat());
    let undisturbed = run_script(vec![Handle(Command::Start(spec())), Advance(20)]);
    assert_eq!(losses(&session), losses(&undisturbed));
    assert_eq!(run(&session).state, RunState::Finished);
}

#[test]
fn requests_are_answered_while_images_are_loaded() {
    let script =
        vec![Handle(Command::Start(spec())), Predict(1), Interrupt, Predict(2), Advance(1), Predict(3), Advance(1)];
    let session = run_script_on(slow_images(3), script);
    let rest = ["predicted 1", "predicted 2", "dataset 90", "started 3", "predicted 3", "step 1"];
    assert_eq!(transcript(&session)[2..], rest);
}

#[test]
fn a_run_whose_images_are_loaded_can_be_stopped() {
    let script = vec![Handle(Command::Start(spec())), Interrupt, Handle(Command::Stop), Advance(9), Predict(1)];
    let session = run_script_on(slow_images(9), script);
    assert_eq!(transcript(&session)[2..], ["predicted 1"]);
    assert_eq!(run(&session).state, RunState::Ready);
}

#[test]
fn a_run_that_is_paused_before_it_begins_begins_paused() {
    let script = vec![
        Handle(Command::Start(spec())),
        Handle(Command::Pause),
        Advance(9),
        Predict(1),
        Handle(Command::Resume),
        Advance(1),
    ];
    let session = run_script_on(slow_images(3), script);
    assert_eq!(transcript(&session)[2..], ["dataset 90", "started 3", "paused", "predicted 1", "resumed", "step 1"]);
}

#[test]
fn a_failure_names_its_command_and_ends_a_run_only_if_it_is_the_runs() {
    let mnist = EvaluationSpec { dataset: DatasetId::Mnist, ..EvaluationSpec::of(&spec()) };
    let session = run_script(vec![
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::Predict { pixels: vec![0; 3], shifts: false }),
        Handle(Command::Evaluate(mnist)),
        Advance(20),
    ]);
    let failed = |event| if let Event::Failed { command, .. } = event { Some(command) } else { None };
    let failures: Vec<_> = events(&session).into_iter().filter_map(failed).collect();
    assert_eq!(failures, [CommandName::Predict, CommandName::Evaluate]);
    assert_eq!((run(&session).state, run(&session).epochs.len()), (RunState::Finished, 2));
    let mnist = TrainSpec { dataset: DatasetId::Mnist, ..spec() };
    let session =
        run_script(vec![Handle(Command::Start(spec())), Advance(1), Handle(Command::Start(mnist)), Predict(1)]);
    let rest = ["step 1", "stopped", "Start failed: Only synthetic digits are available", "predicted 1"];
    assert_eq!(transcript(&session), [&STARTED[..], &rest[..]].concat());
    assert_eq!(run(&session).state, RunState::Failed);
}

#[test]
fn every_event_of_a_run_names_the_request_that_started_it() {
    let session = run_script(vec![
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::Pause),
        Handle(Command::Step),
        Advance(9),
        Handle(Command::Stop),
    ]);
    let messages = session.host().messages.borrow();
    let of_start = |message: &&Message| !matches!(message.request, RequestId(101 | 102));
    let others: Vec<_> = messages.iter().filter(of_start).collect();
    assert!(others.is_empty(), "101 opened the engine and 102 started the run: {others:?}");
    let stopped = messages.iter().find(|message| message.event == Event::Stopped);
    assert_eq!(stopped.map(|message| message.request), Some(RequestId(102)));
}

#[test]
fn the_states_of_a_session_are_told() {
    let session = run_script(vec![
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::Pause),
        evaluate(),
        Advance(1),
        Handle(Command::Resume),
        Advance(20),
    ]);
    let state = |run| SessionState { run, activity: None };
    let evaluating = SessionState { run: RunState::Paused, activity: Some(Activity::Evaluating) };
    let paused = [state(RunState::Paused), evaluating, state(RunState::Paused)];
    let expected = [
        &[state(RunState::Loading), state(RunState::Ready), state(RunState::Loading), state(RunState::Training)][..],
        &paused,
        &[state(RunState::Training), state(RunState::Finished)],
    ];
    assert_eq!(states(&session), expected.concat());
}

/// The weights file of a network that a short run trained on this split.
fn weights_of(split: SplitId, split_seed: u64) -> Vec<u8> {
    let session = run_script(vec![Handle(Command::Start(TrainSpec { split, split_seed, ..spec() })), Advance(1)]);
    block_on(session.weights_file()).unwrap()
}

#[test]
fn a_network_is_not_evaluated_on_images_that_it_learned() {
    let outcome = |split, split_seed| {
        let script = vec![
            Handle(Command::LoadWeights(vec![weights_of(SplitId::Kaggle, 1)])),
            evaluate_split(split, split_seed),
            Advance(9),
        ];
        transcript(&run_script(script)).split_off(3)
    };
    assert_eq!(outcome(SplitId::Kaggle, 1), ["ensemble compact", "evaluating", "evaluated 44"]);
    let refused = "Evaluate failed: compact has learned some of these test images: it was trained on the kaggle split of \
                   synthetic";
    assert_eq!(outcome(SplitId::Kaggle, 2), ["ensemble compact", "evaluating", refused]);
    assert_eq!(outcome(SplitId::Published, 1), ["ensemble compact", "evaluating", refused]);
}

#[test]
fn given_weights_predict_and_are_evaluated_together() {
    let (first, second) = (weights_of(SplitId::Published, 1), {
        let spec = TrainSpec { seed: 5, ..spec() };
        let session = run_script(vec![Handle(Command::Start(spec)), Advance(3)]);
        block_on(session.weights_file()).unwrap()
    });
    let ensemble = EvaluationSpec { ensemble: true, ..EvaluationSpec::of(&spec()) };
    let evaluation = |files: Vec<Vec<u8>>, spec: &EvaluationSpec| {
        let script = vec![Handle(Command::LoadWeights(files)), Handle(Command::Evaluate(spec.clone())), Advance(9)];
        run(&run_script(script)).evaluation.unwrap()
    };
    let both = evaluation(vec![first.clone(), second.clone()], &ensemble);
    assert_eq!(both.models, [ModelId::Compact; 2]);
    let alone = [evaluation(vec![first.clone()], &ensemble), evaluation(vec![second.clone()], &ensemble)];
    assert!(alone.iter().all(|alone| alone.result.loss != both.result.loss));
    let current_alone = evaluation(vec![first.clone(), second], &EvaluationSpec::of(&spec()));
    assert_eq!(current_alone, alone[0]);
    let shifted = evaluation(vec![first], &EvaluationSpec { shifts: true, ..ensemble });
    assert_ne!(shifted.result.loss, alone[0].result.loss);
}

#[test]
fn a_weights_file_says_what_its_network_learned() {
    let weights_file = weights_file::load(&weights_of(SplitId::Kaggle, 3)).unwrap();
    let provenance = weights_file.provenance.unwrap();
    assert_eq!((provenance.dataset, provenance.split), (DatasetId::Synthetic, SplitId::Kaggle));
    assert_eq!((provenance.split_seed, provenance.seed, &*provenance.build), (3, 1, "test"));
}

#[test]
fn damaged_weights_are_refused_and_the_file_is_named() {
    let files = vec![weights_of(SplitId::Published, 1), vec![1, 2, 3]];
    let session = run_script(vec![Handle(Command::LoadWeights(files)), Predict(1)]);
    let events = transcript(&session);
    assert!(events[3].starts_with("LoadWeights failed: File 2: The weights cannot be used"), "{events:?}");
    assert_eq!(events[4], "predicted 1", "the current network stays");
}
