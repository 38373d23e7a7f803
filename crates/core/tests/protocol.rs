//! Every message survives encoding and decoding, and damaged bytes are refused.

use inkling_core::evaluation::Evaluator;
use inkling_core::protocol::*;
use inkling_core::spec::*;

fn metrics() -> Metrics {
    Metrics { loss: 0.25, accuracy: 0.875 }
}

fn commands() -> Vec<Command> {
    let spec = TrainSpec { dataset: DatasetId::Folder("./fashion".into()), train_limit: Some(7), ..Default::default() };
    vec![
        Command::Open(EngineRequest { untested: true, ..EngineRequest::new(EngineChoice::WebGpu, ModelId::Leaky) }),
        Command::Start(spec),
        Command::Pause,
        Command::Resume,
        Command::Step,
        Command::Stop,
        Command::LoadModel(ModelId::Wide),
        Command::LoadWeights(vec![vec![1, 2], vec![]]),
        Command::Evaluate(EvaluationSpec { shifts: true, ..EvaluationSpec::of(&TrainSpec::of(ModelId::Wide)) }),
        Command::LoadUserFiles(vec![("train-images.gz".into(), vec![0x1f, 0x8b, 0]), ("labels".into(), vec![])]),
        Command::Measure { workers: 2 },
        Command::SetEnsemble(true),
        Command::Predict { pixels: (0..784).map(|i| i as u8).collect(), shifts: true },
    ]
}

fn events() -> Vec<Event> {
    let engine = EngineReport {
        kind: EngineKind::WebGpu,
        adapter: "vendor chip".into(),
        software: true,
        fallback_reason: Some("no timestamps".into()),
        work_per_sec: Some(1e9),
        kernels: Some(Kernels { adapter: u64::MAX, tiles: true }),
    };
    let dataset = DatasetReport {
        id: DatasetId::Mnist,
        n_train: 37_800,
        n_validation: Some(4200),
        n_test: 28_000,
        fallback: Some("why".into()),
    };
    let step = StepReport { epoch: 1, step: 2, batch: metrics(), running: metrics(), images_per_second: 496.5 };
    let epoch = EpochReport {
        epoch: 3,
        epochs: 12,
        step: 1407,
        training: metrics(),
        validation: metrics(),
        learning_rate: 0.003,
        images_per_second: 500.0,
        elapsed_secs: 120.5,
    };
    let best = BestEpoch { epoch: 2, validation: metrics() };
    let summary = RunSummary { test_images: 10_000, test_errors: 61, test: metrics(), best, elapsed_secs: 99.0 };
    let mut evaluator = Evaluator::default();
    evaluator.add(3, 7, &Prediction { probabilities: [0.1; 10] });
    let speed = ModelSpeed {
        model: ModelId::Strided,
        batch: 128,
        first_step_secs: 0.5,
        n_steps: 31,
        images_per_second: 1225.0,
    };
    let pretrained = Some(Pretrained { test_accuracy: 0.995, test_images: 10_000, epochs: 20 });
    let (models, dataset_id) = (vec![ModelId::Compact], DatasetId::Folder("./fashion".into()));
    let evaluation = EvaluationReport { result: evaluator.finish(), models, dataset: dataset_id, fallback: None };
    let provenance = Some(Provenance::of(&TrainSpec::default(), &DatasetId::Mnist, "0123"));
    vec![
        Event::Ready { build: "0123".into() },
        Event::Engine(engine),
        Event::ModelLoaded(NetworkReport { model: ModelId::Compact, parameters: 13_904, pretrained, provenance }),
        Event::State(SessionState { run: RunState::Paused, activity: Some(Activity::Evaluating) }),
        Event::EnsembleChanged(vec![ModelId::Compact, ModelId::Leaky]),
        Event::Progress(Progress { phase: Phase::Fetch, done: 1, total: 2 }),
        Event::Progress(Progress { phase: Phase::Unpack, done: 1, total: 2 }),
        Event::Progress(Progress { phase: Phase::Data, done: 1, total: 2 }),
        Event::Dataset(dataset),
        Event::Started(RunPlan { spec: TrainSpec::default(), parameters: 13_904, steps_per_epoch: 469 }),
        Event::WorkerPool(PoolReport { workers: 2, lost: 1 }),
        Event::Stepped(vec![step, step]),
        Event::EpochEnded(epoch),
        Event::Stopped,
        Event::Checkpoint(vec![1, 2, 3]),
        Event::MisclassifiedImages(vec![TestImage { index: 3, pixels: vec![0, 255, 7] }]),
        Event::Evaluated(Box::new(evaluation)),
        Event::Finished(summary),
        Event::Measured(SpeedMeasurement { speeds: vec![speed], workers: 2, over: true }),
        Event::Predicted(vec![Prediction { probabilities: [0.1; 10] }]),
        Event::Failed { command: CommandName::Evaluate, fault: Fault::new("what", "remedy") },
        Event::Crashed(Fault::new("what", "remedy")),
    ]
}

#[test]
fn every_request_survives_a_round_trip() {
    for command in commands() {
        let request = Request { id: RequestId(u64::MAX), command };
        assert_eq!(decode(&encode(&request)), Ok(request));
    }
}

#[test]
fn every_event_survives_a_round_trip() {
    for event in events() {
        let message = Message { request: RequestId(7), event };
        assert_eq!(decode(&encode(&message)), Ok(message));
    }
}

#[test]
fn a_nan_loss_arrives_as_nan() {
    let event = Event::Stepped(vec![StepReport {
        epoch: 1,
        step: 1,
        batch: Metrics { loss: f64::NAN, accuracy: 0.0 },
        running: metrics(),
        images_per_second: 0.0,
    }]);
    let Ok(Event::Stepped(steps)) = decode(&encode(&event)) else { panic!("another message arrived") };
    assert!(steps[0].batch.loss.is_nan());
}

#[test]
fn damaged_messages_are_refused() {
    for command in commands() {
        let bytes = encode(&command);
        assert!(decode::<Command>(&bytes[..bytes.len() - 1]).is_err(), "{command:?} truncated");
        assert!(decode::<Command>(&[bytes, vec![0]].concat()).is_err(), "{command:?} with an extra byte");
    }
    assert!(decode::<Command>(&[200, 1, 2, 3]).is_err());
}

#[test]
fn a_stored_kernel_choice_is_valid_for_its_build_only() {
    for kernels in [Kernels { adapter: u64::MAX, tiles: true }, Kernels { adapter: 7, tiles: false }] {
        assert_eq!(Kernels::from_stored(&kernels.to_stored("0123"), "0123"), Some(kernels));
    }
    for other in ["", "another-build 7 true", "0123 x true", "0123 7", "0123 7 1"] {
        assert_eq!(Kernels::from_stored(other, "0123"), None, "{other}");
    }
}
