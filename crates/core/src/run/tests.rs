use super::*;
use crate::spec::{Metrics, TrainSpec};

fn engine() -> Event {
    let report = EngineReport {
        kind: EngineKind::Cpu,
        adapter: "SIMD".into(),
        software: false,
        fallback_reason: None,
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

fn failed(command: CommandName) -> Event {
    Event::Failed { command, fault: Fault::new("It broke", "Repair it.") }
}

fn state(run: RunState) -> Event {
    Event::State(SessionState { run, activity: None })
}

#[test]
fn the_session_tells_the_state() {
    let told = |events: &[Event]| Run::of(events).state;
    assert_eq!(told(&[]), RunState::Loading);
    assert_eq!(told(&[engine(), started()]), RunState::Loading, "inferred from nothing else");
    for id in [RunState::Ready, RunState::Training, RunState::Paused, RunState::Finished] {
        assert_eq!(told(&[engine(), state(id)]), id);
    }
}

#[test]
fn only_a_failure_of_what_a_run_depends_on_is_its_failure() {
    let told = |command| {
        let run = Run::of(&[engine(), started(), state(RunState::Training), failed(command)]);
        (run.state, run.fault.is_some())
    };
    for command in [CommandName::Start, CommandName::Restore, CommandName::Open] {
        assert_eq!(told(command), (RunState::Failed, true), "{command:?}");
    }
    for command in [CommandName::Predict, CommandName::Evaluate, CommandName::LoadUserFiles, CommandName::Measure] {
        assert_eq!(told(command), (RunState::Training, true), "{command:?}");
    }
}

#[test]
fn events_of_an_earlier_run_do_not_count() {
    let mut run = Run::default();
    let message = |request, event| Message { request: RequestId(request), event };
    for (request, event) in [(1, started()), (1, stepped(1)), (2, started()), (1, stepped(2)), (2, stepped(1))] {
        run.apply(&message(request, event));
    }
    assert_eq!((run.id, run.steps.entries().len(), run.steps.n_steps()), (Some(RequestId(2)), 1, 1));
}

#[test]
fn progress_ends_with_the_state_it_belongs_to() {
    let progress = Event::Progress(Progress { phase: Phase::Fetch, done: 1, total: 2 });
    let shown = |next| Run::of(&[state(RunState::Loading), progress.clone(), next]).progress.is_some();
    assert!(shown(state(RunState::Loading)) && !shown(state(RunState::Training)));
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
    let other = NetworkReport { model: ModelId::Classic, parameters: 1, pretrained: None, provenance: None };
    assert_eq!(speed(&[&stopped_run[..], &[Event::ModelLoaded(other)]].concat()), None);
    assert_eq!(speed(&[&stopped_run[..], &[started()]].concat()), None);
}

#[test]
fn a_failure_and_a_new_worker_keep_the_steps() {
    let new_worker = Event::Ready { build: "b".into() };
    let run = Run::of(&[engine(), started(), stepped(4), failed(CommandName::Start), new_worker]);
    assert_eq!((run.steps.n_steps(), run.state), (4, RunState::Loading));
    assert!(run.engine.is_none() && !run.learned && run.fault.is_some());
}

#[test]
fn a_new_run_begins_empty() {
    let run = Run::of(&[engine(), started(), stepped(4), failed(CommandName::Start), started()]);
    assert!(run.steps.last().is_none() && !run.learned && run.fault.is_none());
    assert_eq!(run.epoch(), 1);
}

#[test]
fn a_restored_run_drops_the_steps_after_its_checkpoint() {
    let Event::Started(plan) = started() else { unreachable!() };
    let restored = |goes_on| Event::Restored(Restored { plan: plan.clone(), epoch: 1, n_steps: 3, goes_on });
    let events: Vec<_> = [engine(), started()].into_iter().chain((1..=6).map(stepped)).collect();
    let mut run = Run::of(&events);
    run.on_engine_lost();
    assert_eq!((run.state, run.learned, run.steps.n_steps()), (RunState::Loading, true, 6));
    assert_eq!(Run::of(events.iter().chain(&[restored(false)])).steps.n_steps(), 6, "the network alone is restored");
    let message = |event| Message { request: RequestId(7), event };
    [engine(), restored(true), stepped(4)].into_iter().for_each(|event| run.apply(&message(event)));
    assert_eq!((run.id, run.steps.n_steps(), run.fraction_done()), (Some(RequestId(7)), 4, 0.4));
    assert_eq!(run.resumptions, [Resumption { n_steps: 3, engine: Some(EngineKind::Cpu) }]);
    run.apply(&message(started()));
    assert!(run.resumptions.is_empty(), "another run");
}

#[test]
fn the_first_step_ends_its_progress() {
    let first = Event::Progress(Progress { phase: Phase::FirstStep, done: 0, total: 0 });
    assert!(Run::of(&[started(), first.clone()]).progress.is_some());
    assert!(Run::of(&[started(), first, stepped(1)]).progress.is_none());
}
