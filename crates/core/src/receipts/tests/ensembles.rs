//! Receipts of ensembles, and records of everything.

use super::*;

/// The receipt of three networks; the run of the last one has no receipt.
fn ensemble() -> Ensemble {
    let member = |model, seed: u64| EnsembleMember { model, sha256: sha256(&seed.to_le_bytes()) };
    Ensemble {
        members: vec![member(ModelId::Strided, 2), member(ModelId::Compact, 1), member(ModelId::Compact, 9)],
        shifts: false,
        test_accuracy: 0.9973,
        test_errors: 27,
        test_images: 10_000,
        test_loss: 0.0087,
        interval: wilson(9_973, 10_000),
        engine: "cpu".into(),
        device: "8 cores".into(),
        date: "2026-11-22".into(),
        version: "0.1.0".into(),
        build: "0123456789abcdef".into(),
        data: vec![DataSum::of("test images", 1, &[0; 784]), DataSum::of("test labels", 1, &[7])],
    }
}

fn records() -> Records {
    Records { runs: vec![compact(), receipt(ModelId::Strided, 2, 40)], ensembles: vec![ensemble()] }
}

#[test]
fn json_distinguishes_runs_and_ensembles() {
    let mut read = Records::default();
    for text in records().runs.iter().map(|run| run.to_json()).chain([ensemble().to_json()]) {
        read.add(&text.unwrap()).unwrap();
    }
    assert_eq!(read, records());
    let error = read.add("{\"members\": []}").unwrap_err().to_string();
    assert!(error.contains("missing field `shifts`"), "{error}");
}

#[test]
fn the_file_of_the_page_survives_a_round_trip() {
    let bytes = records().to_bytes().unwrap();
    assert_eq!(Records::from_bytes(&bytes), Ok(records()));
    let damaged = Records::from_bytes(&bytes[..bytes.len() - 1]).unwrap_err().to_string();
    assert!(damaged.contains("write them again"), "{damaged}");
}

#[test]
fn contradictions_are_found() {
    let found = |change: fn(&mut Ensemble)| {
        let mut changed = ensemble();
        change(&mut changed);
        match (changed.check(), changed.to_json()) {
            (Err(ReceiptError::Contradiction { field, .. }), Err(_)) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(|e| e.members.truncate(1)), "members");
    assert_eq!(found(|e| e.test_errors = 22), "test_accuracy");
    assert_eq!(found(|e| e.interval.low = 0.0), "interval");
    assert_eq!(found(|e| e.date = "today".into()), "date");
    assert_eq!(found(|e| e.data.clear()), "data");
    assert_eq!(found(|e| e.members[0].sha256.clear()), "sha256 of a member");
}

#[test]
fn the_scoreboard_names_the_members() {
    let text = scoreboard(&records());
    let row = text.lines().find(|line| line.contains("2 compact, 1 strided")).unwrap();
    assert!(
        row.starts_with("| 2 compact, 1 strided; 1 of them without a receipt | 99.73 % (99.61 to 99.81 %) |"),
        "{row}"
    );
    assert!(row.contains("| 27 of 10000 | 0.0087 | 8 cores (cpu) | 2026-11-22 | 0.1.0 (0123456789ab) |"), "{row}");
    let first: String = ensemble().members[0].sha256.chars().take(12).collect();
    assert_eq!(text.matches(&first).count(), 2, "in the ensemble and at its run");
    assert!(!scoreboard(&Records { ensembles: vec![], ..records() }).contains("Ensembles"));
}

#[test]
fn leaderboard_entries_have_a_median_and_a_best_run() {
    let runs = [receipt(ModelId::Compact, 1, 40), receipt(ModelId::Compact, 2, 60), receipt(ModelId::Compact, 3, 50)];
    let leaderboard = leaderboard(&runs);
    let seed = |run: Option<&Receipt>| run.map(|run| run.seed);
    assert_eq!((seed(leaderboard[0].median()), seed(leaderboard[0].best())), (Some(3), Some(1)));
    assert_eq!((leaderboard[1].model, seed(leaderboard[1].median())), (ModelId::Strided, None));
    assert_eq!(leaderboard.len(), ModelId::ALL.len());
}
