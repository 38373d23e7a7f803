//! Ensembles of the current network and the pretrained ones of other models.

use inkling_core::evaluation;
use inkling_core::protocol::Command;
use inkling_core::spec::{ModelId, Prediction};
use inkling_engine::session::Session;

use super::prediction;
use super::test_host::{Advance, Handle, Predict, TestHost, events, run, run_script, run_script_on, spec, transcript};

/// A host with pretrained weights of three models.
fn with_three_models() -> TestHost {
    TestHost { pretrained_seeds: [("strided", 8), ("leaky", 9)].into(), ..TestHost::default() }
}

fn predictions(session: &Session<TestHost>) -> Vec<Prediction> {
    events(session).iter().filter_map(prediction).collect()
}

#[test]
fn an_ensemble_predicts_the_mean_of_its_networks() {
    let load = |model| Handle(Command::LoadModel(model));
    let single =
        [load(ModelId::Strided), Predict(1), load(ModelId::Leaky), Predict(2), load(ModelId::Compact), Predict(3)];
    let ensemble = [Handle(Command::SetEnsemble(true)), Predict(4), Handle(Command::SetEnsemble(false)), Predict(5)];
    let session = run_script_on(with_three_models(), single.into_iter().chain(ensemble).collect());
    let expected = ["ensemble compact strided leaky", "predicted 4", "ensemble compact", "predicted 5"];
    assert_eq!(transcript(&session)[8..], expected);
    let predicted = predictions(&session);
    let mean = evaluation::ensemble(&[predicted[2].clone(), predicted[0].clone(), predicted[1].clone()]);
    assert_eq!(predicted[3], mean);
    assert_ne!(predicted[3], predicted[2]);
    assert_eq!(predicted[4], predicted[2]);
}

#[test]
fn the_ensemble_follows_the_current_network() {
    let session = run_script_on(
        with_three_models(),
        vec![
            Handle(Command::SetEnsemble(true)),
            Handle(Command::LoadModel(ModelId::Strided)),
            Handle(Command::Start(spec())),
            Advance(1),
            Handle(Command::SetEnsemble(false)),
            Handle(Command::SetEnsemble(true)),
            Advance(1),
            Handle(Command::Pause),
        ],
    );
    let events = transcript(&session);
    let loaded = ["ensemble compact strided leaky", "using strided", "ensemble strided compact leaky"];
    assert_eq!(events[2..5], loaded);
    let trained = ["dataset 90", "started 3", "ensemble compact strided leaky", "step 1", "ensemble compact"];
    assert_eq!(events[5..10], trained);
    assert_eq!(events[10..], ["ensemble compact strided leaky", "step 2", "paused"], "the run goes on");
    // Once for each model when the ensemble was first activated, and once for each of the two loaded as current
    // network.
    assert_eq!(session.host().n_loads.get(), ModelId::ALL.len() + 2);
    assert_eq!(run(&session).ensemble, [ModelId::Compact, ModelId::Strided, ModelId::Leaky]);
}

#[test]
fn an_ensemble_of_one_network_is_reported_as_one() {
    let session = run_script(vec![Handle(Command::SetEnsemble(true)), Predict(1)]);
    assert_eq!(transcript(&session)[2..], ["ensemble compact", "predicted 1"]);
}
