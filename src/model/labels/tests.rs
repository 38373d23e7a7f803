//! Tests of the page's text, word for word.

use inkling_core::models;
use inkling_core::protocol::{Activity, BestEpoch, Event, Restored, RunPlan, RunSummary, SessionState, StepReport};
use inkling_core::spec::{Metrics, ModelId, OptimizerId, TrainSpec};

use super::*;

fn started() -> Event {
    Event::Started(RunPlan { spec: TrainSpec::default(), parameters: 13_904, steps_per_epoch: 469 })
}

fn state(run: RunState) -> Event {
    Event::State(SessionState { run, activity: None })
}

fn progressed(phase: Phase, done: u64, total: u64) -> Event {
    Event::Progress(Progress { phase, done, total })
}

fn stepped(epoch: usize, step: usize) -> Event {
    let metrics = Metrics::default();
    Event::Stepped(vec![StepReport { epoch, step, batch: metrics, running: metrics, images_per_second: 412.4 }])
}

#[test]
fn the_status_follows_a_run_from_start_to_end() {
    let test = Metrics { loss: 0.03, accuracy: 0.9912 };
    let best = BestEpoch { epoch: 9, validation: test };
    let summary = RunSummary { test_images: 10_000, test_errors: 88, test, best, elapsed_secs: 1.0 };
    let status_after = |events: &[Event]| status(&Run::of(events));
    let training = || state(RunState::Training);
    assert_eq!(status_after(&[]), "Loading the engine…");
    assert_eq!(status_after(&[progressed(Phase::Data, 0, 0)]), "Preparing the images…");
    assert_eq!(status_after(&[started(), training(), progressed(Phase::FirstStep, 0, 0)]), "Taking the first step…");
    assert_eq!(status_after(&[progressed(Phase::Compile, 0, 36)]), "Compiling shaders…");
    let after_steps = |event| status_after(&[started(), training(), stepped(3, 1000), event]);
    assert_eq!(after_steps(training()), "Training epoch 3 of 20");
    assert_eq!(after_steps(state(RunState::Paused)), "Paused in epoch 3 of 20");
    assert_eq!(after_steps(state(RunState::Finished)), "Stopped in epoch 3 of 20");
    let finished = [started(), stepped(12, 5628), Event::Finished(summary), state(RunState::Finished)];
    let finished = status_after(&finished);
    assert_eq!(finished, "Finished: 99.12 % of 10,000 test images read correctly");
}

#[test]
fn the_final_status_mentions_a_lost_graphics_card() {
    let test = Metrics { loss: 0.03, accuracy: 0.9912 };
    let best = BestEpoch { epoch: 9, validation: test };
    let summary = RunSummary { test_images: 10_000, test_errors: 88, test, best, elapsed_secs: 1.0 };
    let Event::Started(plan) = started() else { unreachable!() };
    let restored = |n_steps| Event::Restored(Restored { plan: plan.clone(), epoch: 3, n_steps, goes_on: true });
    let mut run = Run::of(&[started(), stepped(3, 1000), restored(960)]);
    assert_eq!(
        resumed_message(&run).unwrap(),
        "The graphics card was lost. The run resumed from step 960 on a new device."
    );
    let ended = [Event::Finished(summary), state(RunState::Finished)];
    let twice = [started(), stepped(3, 1000), restored(960), restored(990)];
    let twice = Run::of(twice.iter().chain(&ended));
    assert!(
        status(&twice)
            .ends_with(", after the graphics card was lost and the run resumed 2 times, most recently from step 990"),
        "{}",
        status(&twice)
    );
    run.resumptions[0].engine = Some(EngineKind::Cpu);
    (run.summary, run.state) = (Some(summary), RunState::Finished);
    assert!(status(&run).ends_with("and the run resumed from step 960 on the CPU"), "{}", status(&run));
}

#[test]
fn progress_is_counted_in_its_own_unit() {
    let progress_after = |events: &[Event]| progress(&Run::of(events));
    assert_eq!(progress_after(&[progressed(Phase::Unpack, 12_400_000, 54_900_080)]), "Unpacking MNIST: 12 of 54 MB");
    assert_eq!(progress_after(&[progressed(Phase::Compile, 0, 36)]), "Shader 1 of 36");
    assert_eq!(progress_after(&[progressed(Phase::Compile, 35, 36)]), "Shader 36 of 36");
    assert_eq!(progress_after(&[progressed(Phase::Data, 500, 20_000)]), "500 of 20,000 images");
    assert_eq!(progress_after(&[started(), stepped(1, 340), state(RunState::Training)]), "Step 340 of 9,380");
    assert_eq!(progress_after(&[started(), progressed(Phase::Validate, 4000, 10_000)]), "4,000 of 10,000 images");
    assert_eq!(progress_after(&[started(), progressed(Phase::Test, 400, 28_000)]), "400 of 28,000 images");
}

#[test]
fn an_evaluation_is_reported_in_every_state() {
    let test = progressed(Phase::Test, 2000, 10_000);
    let ready = Event::Engine(EngineReport {
        kind: EngineKind::Cpu,
        adapter: "SIMD".into(),
        software: false,
        fallback_reason: None,
        work_per_sec: None,
        kernels: None,
    });
    let stopped = [started(), stepped(3, 1000), Event::Stopped];
    for (before, run) in
        [(vec![ready], RunState::Ready), (stopped.to_vec(), RunState::Finished), (vec![], RunState::Paused)]
    {
        let evaluating = Event::State(SessionState { run, activity: Some(Activity::Evaluating) });
        let run = Run::of(&[before, vec![evaluating, test.clone()]].concat());
        let described = (status(&run), progress(&run), fraction(&run));
        let expected =
            ("Evaluating the network on the test images…".into(), "2,000 of 10,000 images".into(), Some(0.2));
        assert_eq!(described, expected);
    }
    let at_the_end = [started(), state(RunState::Training), test];
    assert_eq!(status(&Run::of(&at_the_end)), "Evaluating on the test images…");
}

#[test]
fn memory_is_reported_and_wide_gets_a_warning() {
    let of = |model, batch| models::memory(&models::layers(model), batch, OptimizerId::Adam);
    let (compact, wide) = (of(ModelId::Compact, 128), of(ModelId::Wide, 32));
    let needed = needs(&compact, Some(600.0));
    assert!(needed.starts_with("A run needs about ") && needed.ends_with(" of memory and 10 min."), "{needed}");
    assert!(needs(&compact, None).ends_with(" of memory."));
    assert_eq!(much_memory(&compact), None);
    let warning = much_memory(&wide).unwrap();
    assert!(
        warning.contains("a lot") && warning.contains("680 MB") && warning.contains("smaller network"),
        "{warning}"
    );
    assert!(much_memory(&of(ModelId::Compact, 4096)).unwrap().contains("smaller batch"));
}

#[test]
fn images_are_counted_by_purpose() {
    let mut report =
        DatasetReport { id: DatasetId::Mnist, n_train: 60_000, n_validation: None, n_test: 10_000, fallback: None };
    assert_eq!(images(&report), "MNIST: 60,000 training images, 10,000 test images");
    (report.n_train, report.n_validation, report.n_test) = (37_800, Some(4200), 28_000);
    assert_eq!(images(&report), "MNIST: 37,800 training images, 4,200 validation images, 28,000 test images");
}

#[test]
fn lost_workers_are_reported() {
    let message = |lost| lost_workers(&PoolReport { workers: 1, lost });
    assert_eq!(message(0), None);
    assert!(message(1).unwrap().starts_with("A worker was lost: the run continues"));
    assert!(message(2).unwrap().starts_with("2 workers were lost"));
}

#[test]
fn a_software_adapter_gets_a_remark() {
    let report = EngineReport {
        kind: EngineKind::WebGpu,
        adapter: "SwiftShader".into(),
        software: true,
        fallback_reason: None,
        work_per_sec: None,
        kernels: None,
    };
    assert_eq!(engine(&report, 2), "WebGPU · SwiftShader");
    assert!(engine_note(&report).is_some_and(|note| note.contains("CPU engine is faster")));
    let cpu = EngineReport { kind: EngineKind::Cpu, software: false, ..report };
    assert_eq!(engine_note(&cpu), None);
    assert_eq!([1, 2].map(|n| engine(&cpu, n)), ["CPU · SwiftShader, 1 worker", "CPU · SwiftShader, 2 workers"]);
    let fallback_reason = Some("there is no adapter".into());
    let note = engine_note(&EngineReport { fallback_reason, ..cpu });
    assert_eq!(note.as_deref(), Some("WebGPU is not used: there is no adapter."));
}
