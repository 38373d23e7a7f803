//! The published tables of recorded runs, `RESULTS.md` and `public/records.postcard`, agree with the receipts in
//! `results/`.

use std::fs;
use std::path::{Path, PathBuf};

use inkling_core::receipts::{Receipt, Records, scoreboard};
use inkling_core::spec::{ModelId, Provenance};
use inkling_engine::train::weights_file;

/// The command that rewrites both files.
const REWRITE: &str = "cargo inkling scoreboard results/*.json --site public/records.postcard > RESULTS.md";

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// All receipts, sorted by file name as a shell lists them.
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
fn results_md_is_up_to_date() {
    let published = fs::read_to_string(root().join("RESULTS.md")).unwrap();
    let expected = scoreboard(&records());
    assert!(published.trim_end() == expected.trim_end(), "RESULTS.md is not of these receipts: {REWRITE}");
}

#[test]
fn the_page_s_receipts_are_up_to_date() {
    let shipped = Records::from_bytes(&fs::read(root().join("public/records.postcard")).unwrap());
    assert!(shipped == Ok(records()), "public/records.postcard is not of these receipts: {REWRITE}");
}

/// The weights that the page ships are those of recorded runs, and say what they learned.
#[test]
fn the_page_s_weights_are_of_recorded_runs() {
    for model in [ModelId::Compact, ModelId::Strided, ModelId::Leaky] {
        let bytes = fs::read(root().join(format!("public/weights/{model}.safetensors"))).unwrap();
        let weights_file = weights_file::load(&bytes).unwrap();
        let receipt = fs::read_to_string(root().join(format!("results/{model}-1.json"))).unwrap();
        let receipt = Receipt::from_json(&receipt).unwrap();
        let recorded = Provenance::of(&receipt.spec, &receipt.spec.dataset, &receipt.build);
        assert_eq!((weights_file.model, weights_file.provenance), (model, Some(recorded)));
        assert_eq!(weights_file.pretrained.map(|pretrained| pretrained.epochs), Some(receipt.epochs));
    }
}
