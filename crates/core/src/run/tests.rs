use super::*;
use crate::spec::{Metrics, TrainSpec};

fn engine() -> Event {
    let report = EngineReport {
        kind: EngineKind::Cpu,
        adapter: "SIMD".into(),
        software: false,
        passed_over: None,
        work_per_sec: None,
        kernels: None,
    };
    Event::Engine(report)
}

fn started() -> Event {
    let mut spec = TrainSpec::default();
    (spec.recipe.epochs, spec.recipe.batch) = (2, 10);
    Event::Started(RunPlan { spec, parameters: 1, steps_per_epoch: 5 })
}

fn stepped(step: usize) -> Event {
    let metrics = Metrics::default();
    let epoch = (step - 1) / 5 + 1;
    Event::Stepped(vec![StepReport { epoch, step, batch: metrics, running: metrics, images_per_second: 20.0 }])
}

fn failed() -> Event {
    Event::Failed(Fault::new("It broke", "Repair it."))
}

#[test]
fn states_follow_the_events() {
    let state = |events: &[Event]| Run::of(events).state;
    assert_eq!(state(&[]), State::Loading);
    assert_eq!(state(&[engine()]), State::Ready);
    assert_eq!(state(&[engine(), Event::Progress(Progress { phase: Phase::Data, done: 0, total: 9 })]), State::Loading);
    assert_eq!(state(&[engine(), started()]), State::Training);
    assert_eq!(state(&[engine(), started(), Event::Paused]), State::Paused);
    assert_eq!(state(&[engine(), started(), Event::Paused, Event::Resumed]), State::Training);
    assert_eq!(state(&[engine(), started(), Event::Stopped]), State::Finished);
    assert_eq!(state(&[engine(), started(), failed()]), State::Failed);
}

#[test]
fn remaining_time_follows_the_speed() {
    let run = Run::of(&[started(), stepped(4)]);
    assert_eq!((run.n_steps(), run.fraction_done(), run.remaining_secs()), (Some(10), 0.4, Some(3.0)));
    assert_eq!(Run::default().remaining_secs(), None);
}

#[test]
fn a_new_engine_model_or_run_resets_the_speed() {
    let speed = |events: &[Event]| Run::of(events).images_per_second;
    let stopped_run = [engine(), started(), stepped(4), Event::Stopped];
    assert_eq!(speed(&stopped_run), Some(20.0));
    assert_eq!(speed(&[&stopped_run[..], &[engine()]].concat()), None);
    let other = NetworkReport { model: ModelId::Classic, parameters: 1, pretrained: None };
    assert_eq!(speed(&[&stopped_run[..], &[Event::ModelLoaded(other)]].concat()), None);
    assert_eq!(speed(&[&stopped_run[..], &[started()]].concat()), None);
}

#[test]
fn a_failure_and_a_new_worker_keep_the_steps() {
    let ready = Event::Ready { build: "b".into() };
    let run = Run::of(&[engine(), started(), stepped(4), failed(), ready]);
    assert_eq!((run.steps.len(), run.state), (1, State::Loading));
    assert!(run.engine.is_none() && !run.learned && run.fault.is_some());
}

#[test]
fn a_new_run_begins_empty() {
    let run = Run::of(&[engine(), started(), stepped(4), failed(), started()]);
    assert!(run.steps.is_empty() && !run.learned && run.fault.is_none());
    assert_eq!(run.epoch(), 1);
}

#[test]
fn a_loaded_model_ends_its_own_loading_and_not_that_of_a_run() {
    let loaded = Event::ModelLoaded(NetworkReport { model: ModelId::Compact, parameters: 1, pretrained: None });
    let state =
        |phase| Run::of(&[engine(), Event::Progress(Progress { phase, done: 0, total: 0 }), loaded.clone()]).state;
    assert_eq!((state(Phase::SelfTest), state(Phase::Data)), (State::Ready, State::Loading));
}

#[test]
fn a_restored_run_drops_the_steps_after_its_snapshot() {
    let Event::Started(plan) = started() else { unreachable!() };
    let restored = |goes_on| Event::Restored(Restored { plan: plan.clone(), epoch: 1, n_steps: 3, goes_on });
    let events: Vec<_> = [engine(), started()].into_iter().chain((1..=6).map(stepped)).collect();
    let mut run = Run::of(&events);
    run.reopen();
    assert_eq!((run.state, run.learned, run.steps.len()), (State::Loading, true, 6));
    let model_only = Run::of(events.iter().chain(&[restored(false)]));
    assert_eq!((model_only.state, model_only.steps.len()), (State::Finished, 6));
    [engine(), restored(true), stepped(4)].iter().for_each(|event| run.apply(event));
    assert_eq!((run.state, run.steps.len(), run.fraction_done()), (State::Training, 4, 0.4));
    assert_eq!(run.resumptions, [Resumption { n_steps: 3, engine: Some(EngineKind::Cpu) }]);
    run.apply(&started());
    assert!(run.resumptions.is_empty(), "another run");
}

#[test]
fn the_first_step_ends_its_progress() {
    let first = Event::Progress(Progress { phase: Phase::FirstStep, done: 0, total: 0 });
    assert!(Run::of(&[started(), first.clone()]).progress.is_some());
    assert!(Run::of(&[started(), first, stepped(1)]).progress.is_none());
}
