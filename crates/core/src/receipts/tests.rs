//! Receipts written, read, checked, compared and summed up.

mod ensembles;

use super::*;
use crate::evaluation::wilson;
use crate::spec::{DatasetId, EngineChoice};

/// The receipt of a run with this number of errors on 10,000 test images.
fn receipt(model: ModelId, seed: u64, test_errors: usize) -> Receipt {
    let mut spec = TrainSpec { seed, ..TrainSpec::of(model) };
    spec.recipe.epochs = 2;
    let epoch_log: Vec<_> =
        [(1, 0.25, 0.985), (2, 0.05, 0.995)].map(|(epoch, loss, val)| line(epoch, loss, val)).into();
    let test_images = 10_000;
    Receipt {
        model,
        seed,
        epochs: 2,
        parameters: 13_904,
        test_accuracy: (test_images - test_errors) as f64 / test_images as f64,
        test_errors,
        test_images,
        seconds: 75.5,
        engine: "cpu".into(),
        device: "8 cores".into(),
        command: format!("inkling train --model {model} --dataset mnist --seed {seed}"),
        date: "2026-11-21".into(),
        version: "0.1.0".into(),
        build: "0123456789abcdef".into(),
        test_loss: 0.0151,
        best_validation: BestEpoch { epoch: 2, accuracy: 0.995 },
        interval: wilson(test_images - test_errors, test_images),
        spec,
        data: vec![DataSum::of("training images", 1, &[0; 784]), DataSum::of("training labels", 1, &[7])],
        epoch_log,
        weights: WeightsSum { file: format!("{model}.safetensors"), sha256: sha256(&seed.to_le_bytes()) },
    }
}

fn line(epoch: usize, loss: f64, val_accuracy: f64) -> EpochLine {
    EpochLine {
        epoch,
        loss,
        accuracy: 0.9,
        val_loss: 0.02,
        val_accuracy,
        learning_rate: 0.003,
        images_per_second: 1600.0,
        seconds: 37.0,
    }
}

fn compact() -> Receipt {
    receipt(ModelId::Compact, 1, 46)
}

/// The compact receipt after a change.
fn but(change: impl FnOnce(&mut Receipt)) -> Receipt {
    let mut receipt = compact();
    change(&mut receipt);
    receipt
}

mod written {
    use super::*;

    #[test]
    fn json_survives_a_round_trip() {
        let text = compact().to_json().unwrap();
        assert_eq!(Receipt::from_json(&text), Ok(compact()));
    }

    #[test]
    fn the_documented_names_are_at_the_top_level() {
        let value: serde_json::Value = serde_json::from_str(&compact().to_json().unwrap()).unwrap();
        assert_eq!((&value["model"], &value["seed"], &value["epochs"]), (&"compact".into(), &1.into(), &2.into()));
        assert_eq!((&value["test_errors"], &value["test_accuracy"]), (&46.into(), &0.9954.into()));
        for name in ["parameters", "test_images", "seconds", "engine", "device", "command", "interval", "epoch_log"] {
            assert!(!value[name].is_null(), "{name}");
        }
    }

    #[test]
    fn a_json_error_names_its_position() {
        let message = |text: &str| Receipt::from_json(text).unwrap_err().to_string();
        assert!(message("{\n}").contains("missing field `model` at line 2 column 1"), "{}", message("{\n}"));
        let text = compact().to_json().unwrap().replacen("\"compact\"", "\"compcat\"", 1);
        assert!(message(&text).contains("there is no model called \"compcat\""), "{}", message(&text));
        assert!(message("").contains("give the file as it was recorded"));
    }

    #[test]
    fn known_values() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let days = [0, 951_782_400, 1_709_251_199, 1_798_761_599, 4_107_542_400];
        assert_eq!(days.map(iso_day), ["1970-01-01", "2000-02-29", "2024-02-29", "2026-12-31", "2100-03-01"]);
        let log = [line(1, 0.3, 0.98), line(2, 0.2, 0.99), line(3, 0.1, 0.99)];
        assert_eq!(BestEpoch::of(&log), Some(BestEpoch { epoch: 2, accuracy: 0.99 }));
        assert_eq!(BestEpoch::of(&[]), None);
    }
}

mod checked {
    use super::*;

    /// The field that contradicts the rest after a change, by `check` and by `to_json`.
    fn found(change: impl FnOnce(&mut Receipt)) -> String {
        let changed = but(change);
        match (changed.check(), changed.to_json()) {
            (Err(ReceiptError::Contradiction { field, .. }), Err(_)) => field,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn changed_figures_are_found() {
        assert_eq!(compact().check(), Ok(()));
        assert_eq!(found(|r| r.test_errors = 40), "test_accuracy");
        assert_eq!(found(|r| r.test_accuracy = 0.9960), "test_accuracy");
        assert_eq!(found(|r| r.test_errors = 10_001), "test_errors");
        assert_eq!(found(|r| r.test_images = 0), "test_images");
        assert_eq!(found(|r| r.interval.high = 0.9999), "interval");
        assert_eq!(found(|r| r.best_validation.epoch = 1), "best_validation");
    }

    #[test]
    fn settings_logs_and_checksums_are_checked() {
        assert_eq!(found(|r| r.model = ModelId::Wide), "model");
        assert_eq!(found(|r| r.seed = 2), "seed");
        assert_eq!(found(|r| r.epochs = 3), "epochs");
        assert_eq!(found(|r| r.date = "21.11.2026".into()), "date");
        assert_eq!(found(|r| r.epoch_log.truncate(1)), "epoch_log");
        assert_eq!(found(|r| r.epoch_log.swap(0, 1)), "epoch_log");
        assert_eq!(found(|r| r.epoch_log[1].val_loss = f64::NAN), "val_loss of epoch 2");
        assert_eq!(found(|r| r.test_loss = f64::INFINITY), "test_loss");
        assert_eq!(found(|r| r.data.clear()), "data");
        assert_eq!(found(|r| r.data[1].sha256 = "abc".into()), "sha256 of the training labels");
        assert_eq!(found(|r| r.weights.sha256.clear()), "sha256 of the weights");
    }

    #[test]
    fn a_message_names_a_remedy() {
        assert_eq!(
            but(|r| r.test_errors = 40).check().unwrap_err().to_string(),
            "the receipt contradicts itself: test_accuracy is 0.9954, expected 0.996 by test_errors; \
             restore the file or record the run again"
        );
    }
}

mod compared {
    use super::*;

    /// The likeness and the first reason of the compact receipt and a changed one with other weights.
    fn verdict(change: impl FnOnce(&mut Receipt)) -> (Likeness, String) {
        let again = but(|r| {
            r.weights.sha256 = sha256(b"others");
            change(r);
        });
        let verdict = compare(&compact(), &again);
        (verdict.likeness, verdict.reasons[0].clone())
    }

    fn with_errors(receipt: &mut Receipt, n: usize) {
        let other = super::receipt(ModelId::Compact, 1, n);
        (receipt.test_errors, receipt.test_accuracy, receipt.interval) = (n, other.test_accuracy, other.interval);
    }

    #[test]
    fn the_same_weights_are_identical() {
        let again = but(|r| (r.seconds, r.date) = (80.0, "2027-01-01".into()));
        assert_eq!(
            compare(&compact(), &again).to_string(),
            "identical: the weights have the same SHA-256; 46 errors on 10000 test images both times"
        );
    }

    #[test]
    fn the_same_weights_with_other_errors_are_not_identical() {
        let near = compare(&compact(), &but(|r| with_errors(r, 47)));
        assert_eq!(near.likeness, Likeness::Consistent);
        assert_eq!(
            near.reasons[1],
            "the errors were 46 of 10000 and are 47 of 10000, \
             accuracies of 99.39 to 99.65 % and 99.38 to 99.65 %, which overlap"
        );
        assert_eq!(near.reasons[2], "the weights have the same SHA-256");
        assert_eq!(compare(&compact(), &but(|r| with_errors(r, 200))).likeness, Likeness::Different);
    }

    #[test]
    fn small_differences_are_consistent() {
        let (likeness, reason) = verdict(|r| r.epoch_log[0].loss *= 1.0009);
        assert_eq!(likeness, Likeness::Consistent);
        assert_eq!(reason, "the loss of the first epoch was 0.250000 and is 0.250225, within 0.1 % apart");
        assert_eq!(verdict(|r| with_errors(r, 70)).0, Likeness::Consistent);
    }

    #[test]
    fn large_differences_are_named_first() {
        let (likeness, reason) = verdict(|r| r.epoch_log[0].loss *= 1.0011);
        assert_eq!(likeness, Likeness::Different);
        assert!(reason.ends_with("more than 0.1 % apart"), "{reason}");
        let (likeness, reason) = verdict(|r| with_errors(r, 90));
        assert_eq!(likeness, Likeness::Different);
        assert!(reason.ends_with("which do not overlap"), "{reason}");
        assert_eq!(verdict(|r| r.epoch_log[0].loss = f64::NAN).0, Likeness::Different);
    }

    #[test]
    fn other_settings_or_images_are_different() {
        let (likeness, reason) = verdict(|r| (r.spec.seed, r.spec.recipe.batch) = (9, 64));
        assert_eq!(likeness, Likeness::Different);
        assert_eq!(reason, "the settings differ (recipe, seed): repeat it with the recorded ones");
        let (likeness, reason) = verdict(|r| r.data[0] = DataSum::of("training images", 1, &[1; 784]));
        assert_eq!(likeness, Likeness::Different);
        assert_eq!(reason, "the data differ (training images): repeat it on the recorded ones");
        let (_, reason) = verdict(|r| r.data.push(DataSum::of("test labels", 1, &[3])));
        assert_eq!(reason, "the data differ (test labels): repeat it on the recorded ones");
    }

    #[test]
    fn another_engine_or_data_set_location_is_consistent() {
        let again = but(|r| {
            r.weights.sha256 = sha256(b"others");
            (r.spec.engine, r.spec.dataset) = (EngineChoice::Gpu, DatasetId::Folder("./mnist".into()));
            r.device = "a graphics card".into();
        });
        let verdict = compare(&compact(), &again);
        assert_eq!(verdict.likeness, Likeness::Consistent);
        assert_eq!(verdict.reasons[2..], ["the weights differ", "recorded with device 8 cores, now a graphics card"]);
    }
}

mod summed_up {
    use super::*;

    fn board(receipts: &[Receipt]) -> Records {
        Records { runs: receipts.to_vec(), ensembles: vec![] }
    }

    /// The cells of a network's row in the first table.
    fn cells(receipts: &[Receipt], model: ModelId) -> Vec<String> {
        let text = scoreboard(&board(receipts));
        let row = text.lines().find(|line| line.starts_with(&format!("| {model} |"))).unwrap();
        row.trim_matches('|').split(" | ").map(|cell| cell.trim().into()).collect()
    }

    #[test]
    fn without_receipts_nothing_was_run() {
        let text = scoreboard(&board(&[]));
        assert_eq!(text.matches("not run").count(), ModelId::ALL.len());
        assert!(!text.contains("Every run"));
        assert_eq!(cells(&[], ModelId::Wide)[1..3], ["no accuracy was published", "not run"]);
        assert!(
            text.contains(
                "| classic | 99.14 %, best validation accuracy of 12 epochs; the last had 98.99 % | not run |"
            )
        );
    }

    #[test]
    fn networks_are_listed_in_the_order_of_the_zoo() {
        let text = scoreboard(&board(&[]));
        let positions: Vec<_> = ModelId::ALL.iter().map(|model| text.find(&format!("| {model} |")).unwrap()).collect();
        assert!(positions.is_sorted());
    }

    #[test]
    fn one_run_is_a_row_in_both_tables() {
        let expected = [
            "compact",
            "99.41 %, validation accuracy of the last epoch",
            "**99.54 %** (99.39 to 99.65 %)",
            "46 of 10000",
            "99.50 % (epoch 2)",
            "2 (20)",
            "76",
            "8 cores (cpu)",
            "1",
            "2026-11-21",
            "`inkling train --model compact --dataset mnist --seed 1`",
        ];
        assert_eq!(cells(&[compact()], ModelId::Compact), expected);
        let text = scoreboard(&board(&[compact()]));
        let run = text.lines().last().unwrap();
        assert!(run.starts_with("| compact | 1 | 99.54 % (99.39 to 99.65 %) | 46 of 10000 | 0.0151 |"), "{run}");
        assert!(run.contains("| mnist, published split | 2026-11-21 | 0.1.0 (0123456789ab) |"), "{run}");
    }

    #[test]
    fn every_row_has_the_columns_of_its_heading() {
        let text = scoreboard(&board(&[compact(), receipt(ModelId::Wide, 1, 50)]));
        let mut n_columns = 0;
        for line in text.lines().filter(|line| line.starts_with('|') && !line.contains("not run")) {
            let n = line.matches('|').count();
            n_columns = if line.starts_with("| network") { n } else { n_columns };
            assert_eq!(n, n_columns, "{line}");
        }
    }

    #[test]
    fn several_runs_show_the_median_and_the_best() {
        let runs = |errors: &[usize]| -> Vec<Receipt> {
            errors.iter().zip(1..).map(|(&errors, seed)| receipt(ModelId::Strided, seed, errors)).collect()
        };
        let odd = cells(&runs(&[40, 60, 50]), ModelId::Strided);
        assert_eq!(odd[2], "**99.50 %** (99.34 to 99.62 %), median of 3 runs; best 99.60 % (99.46 to 99.71 %, seed 1)");
        assert_eq!((odd[3].as_str(), odd[8].as_str()), ("50 of 10000", "3"));
        let even = cells(&runs(&[40, 60]), ModelId::Strided);
        assert!(
            even[2].starts_with("**99.40 %**") && even[2].contains("median of 2 runs; best 99.60 %"),
            "{}",
            even[2]
        );
        assert_eq!(scoreboard(&board(&runs(&[40, 60, 50]))).matches("| strided |").count(), 1 + 3);
    }

    #[test]
    fn runs_on_fewer_or_other_images_are_only_listed() {
        let short = but(|r| r.spec.train_limit = Some(1000));
        let fashion = but(|r| r.spec.dataset = DatasetId::Folder("./fashion".into()));
        let resplit = but(|r| r.spec.split = crate::spec::SplitId::Kaggle);
        let text = scoreboard(&board(&[short.clone(), fashion.clone(), resplit.clone()]));
        assert_eq!(cells(&[short, fashion, resplit], ModelId::Compact)[2], "not run");
        assert!(text.contains("mnist, published split, first 1000 to train"), "{text}");
        assert!(text.contains("./fashion, published split") && text.contains("mnist, kaggle split"), "{text}");
    }

    #[test]
    fn a_median_is_of_runs_of_one_recipe() {
        let other_recipe = but(|r| r.spec.recipe.batch = 32);
        let runs = [other_recipe.clone(), receipt(ModelId::Compact, 2, 60), receipt(ModelId::Compact, 3, 55)];
        assert!(cells(&runs, ModelId::Compact)[2].contains("median of 2 runs; best 99.45 %"));
        let later = Receipt { date: "2026-12-01".into(), ..receipt(ModelId::Compact, 2, 60) };
        assert_eq!(cells(&[later, other_recipe], ModelId::Compact)[2], "**99.40 %** (99.23 to 99.53 %)");
    }

    #[test]
    fn cells_are_escaped() {
        let text = scoreboard(&board(&[but(|r| r.device = "a|b\nc".into())]));
        assert!(text.contains("| a\\|b c (cpu) |"), "{text}");
    }
}
