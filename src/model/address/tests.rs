//! Tests of addresses and the settings that they describe.

use inkling_core::spec::{Augment, OptimizerId, Recipe, Schedule, SplitId};

use super::*;

fn read(query: &str) -> Address {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Address::read(pairs.map(|(name, value)| (name.into(), value.into())), 1)
}

#[test]
fn settings_survive_a_round_trip() {
    let recipe = Recipe {
        epochs: 3,
        batch: 32,
        optimizer: OptimizerId::Sgd,
        learning_rate: 0.0125,
        schedule: Schedule::Step { every: 2, factor: 0.5 },
        weight_decay: 0.0005,
        dropout: 0.5,
        label_smoothing: 0.1,
        augment: Augment { shift: 1.0, elastic: 0.5, ..Augment::default() },
    };
    let spec = TrainSpec {
        model: ModelId::Leaky,
        engine: EngineChoice::Cpu,
        dataset: DatasetId::Synthetic,
        split: SplitId::Kaggle,
        recipe,
        seed: u64::MAX,
        split_seed: 4,
        train_limit: Some(256),
        test_limit: Some(200),
        workers: 3,
    };
    let address = read(&query(&spec)[1..]);
    assert_eq!(address, Address { spec, ..Address::default() });
}

#[test]
fn documented_parameters_are_parsed() {
    assert!(read("patches=0").unpatched && !read("start=1").unpatched);
    let address = read("engine=cpu&dataset=mnist&model=compact&limit=12800&epochs=4&batch=128&start=1");
    assert!(address.start && address.messages.is_empty());
    assert_eq!((address.spec.train_limit, address.spec.recipe.epochs), (Some(12_800), 4));
}

#[test]
fn an_invalid_parameter_is_named_and_the_others_apply() {
    let address = read("epochs=zwölf&batch=64&engine=gpu&dataset=./x&lr=7&limit=0&start=yes&utm_source=x");
    let mut expected = TrainSpec::default();
    expected.recipe.batch = 64;
    assert_eq!(address.spec, expected);
    let named: Vec<_> = address.messages.iter().filter_map(|message| message.split('=').next()).collect();
    assert_eq!(named, ["engine", "dataset", "epochs", "lr", "limit", "start"]);
    assert!(address.messages[2].contains("whole number") && address.messages[2].contains("Using 20"));
}

#[test]
fn a_link_to_a_user_data_set_asks_for_its_files_and_waits() {
    let address = read("dataset=dropped&epochs=2&start=1");
    assert_eq!((address.spec.dataset, address.spec.recipe.epochs), (DatasetId::UserFiles, 2));
    assert!(!address.start);
    assert!(address.messages[0].contains("Drop their IDX files on the page"), "{:?}", address.messages);
    assert_eq!(address.messages.len(), 1);
}

#[test]
fn another_model_sets_its_recipe_regardless_of_order() {
    let mut expected = TrainSpec::of(ModelId::Classic);
    expected.recipe.epochs = 3;
    assert_eq!(read("epochs=3&model=classic").spec, expected);
    let unchanged = Parameter::Model.with(&expected, "classic").unwrap();
    assert_eq!(unchanged.recipe.epochs, 3, "the same model changes nothing");
    assert_eq!(by_own_recipe(&expected), TrainSpec::of(ModelId::Classic));
}

#[test]
fn a_sprint_sets_ordinary_settings() {
    let address = read("seed=4&sprint=1&start=1&engine=cpu");
    let sprint = TrainSpec { seed: 4, engine: EngineChoice::Cpu, ..TrainSpec::of(ModelId::Sprint) };
    assert_eq!(address, Address { spec: sprint.clone(), start: true, unpatched: false, messages: vec![] });
    assert_eq!(read(&query(&sprint)[1..]).spec, sprint);
    assert!(read("sprint=fast").messages[0].contains("sprint=1"));
}

#[test]
fn an_empty_address_means_the_defaults() {
    assert_eq!(read(""), Address::default());
    assert_eq!(
        query(&TrainSpec::default()),
        "?engine=auto&dataset=mnist&model=compact&split=published&epochs=20&batch=128&lr=0.01\
         &schedule=one-cycle:0.2&optimizer=adam&weight_decay=0&dropout=1&label_smoothing=0\
         &augment=shift=2,rotate=10,scale=0.1,shear=0.1&seed=1&split_seed=1&workers=1"
    );
}

#[test]
fn there_is_one_worker_per_core_unless_the_address_sets_it() {
    let workers = |given: Option<&str>, n_cores| {
        let given = given.map(|workers| ("workers".to_owned(), workers.to_owned()));
        Address::read(given.into_iter().chain([("model".into(), "leaky".into())]), n_cores).spec.workers
    };
    assert_eq!([0, 1, 4, 64].map(|n_cores| workers(None, n_cores)), [1, 1, 4, 8]);
    assert_eq!([Some("3"), Some("0"), Some("9")].map(|given| workers(given, 2)), [3, 2, 2]);
}
