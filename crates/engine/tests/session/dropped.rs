//! Images of one's own.

use inkling_core::data::synthetic;
use inkling_core::protocol::Command;
use inkling_core::spec::{DatasetId, Recipe, TrainSpec};

use crate::paper::{BEGUN, Say, Work, play, predict, run, spec, transcript};

/// IDX files of 30 drawn digits to train on and 10 to be tested on, in the disorder in which they were dropped.
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

fn with_dropped() -> TrainSpec {
    TrainSpec { dataset: DatasetId::Dropped, recipe: Recipe { epochs: 1, ..spec().recipe }, ..spec() }
}

#[test]
fn files_are_learned_from_again_and_again() {
    let session = play(vec![
        Say(Command::Files(files())),
        Say(Command::Start(with_dropped())),
        Work(9),
        Say(Command::Start(spec())),
        Work(1),
        Say(Command::Start(with_dropped())),
        Work(9),
    ]);
    let once = ["dataset 30", "started 1", "step 1", "epoch 1", "judged 10", "finished"];
    let between = ["dataset 90", "started 3", "step 1", "stopped"];
    assert_eq!(transcript(&session)[2..], [&["dataset 30"][..], &once[..], &between[..], &once[..]].concat());
    assert_eq!(run(&session).dataset.map(|report| report.id), Some(DatasetId::Dropped));
}

#[test]
fn files_that_cannot_be_learned_from_cost_nothing_that_was_there() {
    let session = play(vec![
        Say(Command::Files(files())),
        Say(Command::Files(files()[..1].to_vec())),
        predict(1),
        Say(Command::Start(with_dropped())),
        Work(1),
    ]);
    let said = transcript(&session);
    assert!(said[3].starts_with("failed: These files cannot be learned from: 1 of the files came"), "{said:?}");
    assert_eq!(said[4..], ["predicted 1", "dataset 30", "started 1", "step 1"]);
}

#[test]
fn files_end_a_run_in_progress_and_keep_its_network() {
    let session = play(vec![Say(Command::Start(spec())), Work(1), Say(Command::Files(files())), Work(3), predict(1)]);
    assert_eq!(transcript(&session), [&BEGUN[..], &["step 1", "stopped", "dataset 30", "predicted 1"]].concat());
}

#[test]
fn without_files_there_is_nothing_of_ones_own_to_learn_from() {
    let session = play(vec![Say(Command::Start(with_dropped()))]);
    assert_eq!(transcript(&session)[2..], ["failed: There are no images of your own yet"]);
}
