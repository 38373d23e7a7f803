//! The rows of the scoreboard: each network's published accuracy beside our recorded runs. Pure: it never fetches
//! records.

use inkling_core::evaluation::Interval;
use inkling_core::models;
use inkling_core::receipts::{Ensemble, LeaderboardEntry, Receipt, Records, leaderboard};

use crate::model::numbers::{count, percent};

/// A row of the scoreboard: a network or an ensemble.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The id of the network, or `ensemble`.
    pub name: String,
    /// The number of parameters, or of the ensemble's networks.
    pub what: String,
    /// The published accuracy, 0 to 1.
    pub published: Option<f64>,
    /// How the published figure was measured, or why there is none.
    pub measured_on: &'static str,
    /// Our measurement. `None` when there is no recorded run.
    pub ours: Option<Score>,
}

/// A measurement, with its origin.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Fraction of the test images that were classified correctly, 0 to 1.
    pub accuracy: f64,
    /// The interval of the accuracy with 95 % confidence.
    pub interval: Interval,
    /// Number of errors, such as `47 errors on 10,000 images`.
    pub errors: String,
    /// The runs that this one is the median of, or the networks of the ensemble.
    pub runs: String,
    /// The best epoch's validation accuracy, for comparison with published figures of this kind. Empty for an ensemble.
    pub best_epoch: String,
    /// Epochs, time, device, engine, seed and date. Device, engine and date for an ensemble.
    pub origin: String,
    /// The recorded run, for repeating it. `None` for an ensemble.
    pub run: Option<Receipt>,
}

/// Returns a row for each network in the order of the zoo, then a row for each ensemble.
pub fn rows(records: &Records) -> Vec<Row> {
    let networks = leaderboard(&records.runs);
    let networks = networks.iter().map(network);
    networks.chain(records.ensembles.iter().map(|it| ensemble(it, &records.runs))).collect()
}

fn network(entry: &LeaderboardEntry) -> Row {
    let published = models::published(entry.model);
    Row {
        name: entry.model.to_string(),
        what: format!("{} parameters", count(published.parameters as u64)),
        published: published.accuracy,
        measured_on: published.measured_on,
        ours: entry.median().map(|median| score(median, entry)),
    }
}

fn score(median: &Receipt, entry: &LeaderboardEntry) -> Score {
    Score {
        accuracy: median.test_accuracy,
        interval: median.interval,
        errors: errors(median.test_errors, median.test_images),
        runs: entry.best().map(|best| of_several(entry.runs.len(), best)).unwrap_or_default(),
        best_epoch: best_epoch(median),
        origin: origin(median),
        run: Some(median.clone()),
    }
}

fn ensemble(ensemble: &Ensemble, runs: &[Receipt]) -> Row {
    let source =
        if ensemble.n_unrecorded(runs) == 0 { "each from a recorded run" } else { "not all from recorded runs" };
    let shifts = if ensemble.shifts { ", each image also shifted by a pixel in each direction" } else { "" };
    Row {
        name: "ensemble".into(),
        what: format!("{} networks together", ensemble.members.len()),
        published: None,
        measured_on: "not published",
        ours: Some(Score {
            accuracy: ensemble.test_accuracy,
            interval: ensemble.interval,
            errors: errors(ensemble.test_errors, ensemble.test_images),
            runs: format!("{}, {source}{shifts}", ensemble.networks()),
            best_epoch: String::new(),
            origin: format!("{} ({}), {}", ensemble.device, ensemble.engine, ensemble.date),
            run: None,
        }),
    }
}

fn errors(n: usize, n_images: usize) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} error{plural} on {} images", count(n as u64), count(n_images as u64))
}

fn of_several(n: usize, best: &Receipt) -> String {
    format!("median of {n} runs, the best {} (seed {})", percent(best.test_accuracy), best.seed)
}

fn best_epoch(run: &Receipt) -> String {
    let best = run.best_validation;
    format!("at best {} of the validation images, after epoch {}", percent(best.accuracy), best.epoch)
}

fn origin(run: &Receipt) -> String {
    let Receipt { epochs, seconds, device, engine, seed, date, .. } = run;
    let plural = if *epochs == 1 { "" } else { "s" };
    format!("{epochs} epoch{plural} in {} s on {device} ({engine}), seed {seed}, {date}", count(seconds.round() as u64))
}

/// The published accuracy as a percentage, or `–`.
pub fn published(row: &Row) -> String {
    row.published.map_or_else(|| "–".into(), percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::spec::ModelId;

    /// The records that are deployed with the page.
    fn shipped() -> Records {
        Records::from_bytes(include_bytes!("../../public/records.postcard")).expect("the records are of this version")
    }

    #[test]
    fn every_network_has_a_row_and_a_run() {
        let rows = rows(&shipped());
        for (row, model) in rows.iter().zip(ModelId::ALL) {
            assert_eq!(row.name, model.id());
            let ours = row.ours.as_ref().expect(&row.name);
            assert!(ours.interval.low < ours.accuracy && ours.accuracy < ours.interval.high, "{ours:?}");
            let run = ours.run.as_ref().expect(&row.name);
            assert_eq!((run.model, run.test_accuracy), (*model, ours.accuracy));
            assert!(row.published.is_none_or(|published| ours.accuracy > published), "{}", row.name);
        }
        assert!(rows[ModelId::ALL.len()..].iter().all(|row| row.name == "ensemble"));
    }

    #[test]
    fn a_network_without_runs_has_no_score() {
        let rows = rows(&Records::default());
        assert_eq!(rows.len(), ModelId::ALL.len());
        assert_eq!((rows[0].what.as_str(), published(&rows[0]).as_str()), ("13,904 parameters", "99.41 %"));
        assert_eq!((published(&rows[4]).as_str(), &rows[4].ours), ("–", &None));
    }

    #[test]
    fn figures_name_their_origin() {
        let rows = rows(&shipped());
        let compact = rows[0].ours.as_ref().unwrap();
        assert!(compact.errors.ends_with(" errors on 10,000 images"), "{}", compact.errors);
        assert!(compact.runs.starts_with("median of "), "{}", compact.runs);
        assert!(
            compact.origin.starts_with("20 epochs in ") && compact.origin.contains(", seed "),
            "{}",
            compact.origin
        );
        assert!(compact.best_epoch.starts_with("at best 99."), "{}", compact.best_epoch);
        assert_eq!(errors(1, 1000), "1 error on 1,000 images");
    }
}
