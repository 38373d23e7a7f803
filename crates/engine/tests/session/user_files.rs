//! User data sets in a session.

use inkling_core::data::synthetic;
use inkling_core::protocol::Command;
use inkling_core::spec::{DatasetId, Recipe, TrainSpec};

use crate::test_host::{Advance, Handle, Predict, STARTED, run, run_script, spec, transcript};

/// IDX files with 30 training and 10 test images, in arbitrary order as a user drops them.
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

fn user_files_spec() -> TrainSpec {
    TrainSpec { dataset: DatasetId::UserFiles, recipe: Recipe { epochs: 1, ..spec().recipe }, ..spec() }
}

#[test]
fn user_files_can_be_trained_on_repeatedly() {
    let session = run_script(vec![
        Handle(Command::LoadUserFiles(files())),
        Handle(Command::Start(user_files_spec())),
        Advance(9),
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::Start(user_files_spec())),
        Advance(9),
    ]);
    let user_run = ["dataset 30", "started 1", "step 1", "epoch 1", "evaluated 10", "finished"];
    let other_run = ["dataset 90", "started 3", "step 1", "stopped"];
    assert_eq!(transcript(&session)[2..], [&["dataset 30"][..], &user_run[..], &other_run[..], &user_run[..]].concat());
    assert_eq!(run(&session).dataset.map(|report| report.id), Some(DatasetId::UserFiles));
}

#[test]
fn unusable_files_do_not_replace_the_user_data_set() {
    let session = run_script(vec![
        Handle(Command::LoadUserFiles(files())),
        Handle(Command::LoadUserFiles(files()[..1].to_vec())),
        Predict(1),
        Handle(Command::Start(user_files_spec())),
        Advance(1),
    ]);
    let events = transcript(&session);
    assert!(
        events[3].starts_with("LoadUserFiles failed: These files cannot be learned from: 1 of the files came"),
        "{events:?}"
    );
    assert_eq!(events[4..], ["predicted 1", "dataset 30", "started 1", "step 1"]);
}

#[test]
fn loading_files_ends_a_run_in_progress_and_keeps_its_network() {
    let session = run_script(vec![
        Handle(Command::Start(spec())),
        Advance(1),
        Handle(Command::LoadUserFiles(files())),
        Advance(3),
        Predict(1),
    ]);
    assert_eq!(transcript(&session), [&STARTED[..], &["step 1", "stopped", "dataset 30", "predicted 1"]].concat());
}

#[test]
fn training_on_user_files_fails_before_any_are_loaded() {
    let session = run_script(vec![Handle(Command::Start(user_files_spec()))]);
    assert_eq!(transcript(&session)[2..], ["Start failed: There are no images of your own yet"]);
}
