//! What is told of recorded runs is what their receipts say.

use std::fs;
use std::path::{Path, PathBuf};

use inkling_core::receipts::{Records, scoreboard};

/// Writes both anew.
const ANEW: &str = "cargo inkling scoreboard results/*.json --site public/records.postcard > RESULTS.md";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The receipts in the order in which a shell names them.
fn records() -> Records {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(root().join("results")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut records = Records::default();
    for path in paths {
        records.add(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    records
}

#[test]
fn results_md_is_written_from_the_receipts() {
    let kept = fs::read_to_string(root().join("RESULTS.md")).unwrap();
    assert!(kept.trim_end() == scoreboard(&records()).trim_end(), "RESULTS.md is not of these receipts: {ANEW}");
}

#[test]
fn the_page_ships_the_receipts() {
    let kept = Records::from_bytes(&fs::read(root().join("public/records.postcard")).unwrap());
    assert!(kept == Ok(records()), "public/records.postcard is not of these receipts: {ANEW}");
}
