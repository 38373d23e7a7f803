//! The scoreboard: published figures beside those of recorded runs, as Markdown. It never prints a figure of ours that
//! is not in a receipt.

use super::{Ensemble, LeaderboardEntry, Receipt, Records, leaderboard};
use crate::evaluation::Interval;
use crate::models::{Published, published};
use crate::spec::{ModelId, TrainSpec};

const HEAD: &str = "\
# Results

Published figures are their authors'. Every figure of ours was measured by a run whose receipt lies under `results/`;
`inkling verify RECEIPT` runs it again and compares. This page is written from the receipts.

*Ours* is the accuracy of a run's final weights on the test images of its split, with its 95 % interval (Wilson):
MNIST's 10,000 test images in the published split, 28,000 of its 70,000 images in Kaggle's. Where a network was trained
several times by the same recipe, mostly from other seeds, the row shows the run with the median accuracy on these same
test images (of an even number, the worse of the two in the middle), and the best run beside it: read *best* as the
upper end of the range, not as an estimate. *Best epoch* is the highest accuracy on the validation images during that
run, which in the published split are the test images too; where a published figure is the best of several epochs,
compare it with that.

| network | published | ours (95 % interval) | errors | best epoch | epochs (published) | seconds | device | seed | date | command |
|---|---|---|---|---|---|---|---|---|---|---|
";

const ALL_HEAD: &str = "
## Every run

| network | seed | accuracy (95 % interval) | errors | loss | best epoch | epochs | seconds | device | images | date | version (build) | weights | command |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

const ENSEMBLES_HEAD: &str = "
## Ensembles

An ensemble predicts the digit with the highest mean of its members' probabilities. *Weights* identifies the members by
the beginnings of the checksums of their weights, as in the table of every run. [The ensemble](docs/ensemble.md) tells
how its members were chosen and what was tried before.

| networks | accuracy (95 % interval) | errors | loss | device | date | version (build) | weights |
|---|---|---|---|---|---|---|---|
";

/// The text of `RESULTS.md`: a row for each network ([`leaderboard`]), then the ensembles, then every run.
pub fn scoreboard(records: &Records) -> String {
    let Records { runs, ensembles } = records;
    let network_rows: String = leaderboard(runs).iter().map(network_row).collect();
    let ensemble_rows = ensembles.iter().map(|ensemble| ensemble_row(ensemble, runs)).collect();
    let mut runs: Vec<_> = runs.iter().collect();
    runs.sort_by_key(|run| (position(run.model), run.date.clone(), run.seed));
    let run_rows = runs.into_iter().map(run_row).collect();
    format!("{HEAD}{network_rows}{}{}", section(ENSEMBLES_HEAD, ensemble_rows), section(ALL_HEAD, run_rows))
}

/// A heading with rows; empty without rows.
fn section(head: &str, rows: Vec<String>) -> String {
    if rows.is_empty() { String::new() } else { format!("{head}{}", rows.concat()) }
}

/// The position of a network in the zoo.
fn position(model: ModelId) -> Option<usize> {
    ModelId::ALL.iter().position(|&other| other == model)
}

fn network_row(entry: &LeaderboardEntry) -> String {
    let original = published(entry.model);
    let model = entry.model.id().to_owned();
    let epochs = original.epochs.map(|epochs| format!(" ({epochs})")).unwrap_or_default();
    let Some(median) = entry.median() else {
        let none = || "–".to_string();
        let published = published_figure(&original);
        return line(&[model, published, "not run".into(), none(), none(), format!("–{epochs}")]);
    };
    line(&[
        model,
        published_figure(&original),
        own_figure(median, entry),
        errors(median.test_errors, median.test_images),
        best_epoch(median),
        format!("{}{epochs}", median.epochs),
        format!("{:.0}", median.seconds),
        device(&median.device, &median.engine),
        median.seed.to_string(),
        median.date.clone(),
        format!("`{}`", median.command),
    ])
}

fn ensemble_row(ensemble: &Ensemble, runs: &[Receipt]) -> String {
    let unrecorded = match ensemble.n_unrecorded(runs) {
        0 => String::new(),
        n => format!("; {n} of them without a receipt"),
    };
    let shifts = if ensemble.shifts { "; each image also a pixel to each side" } else { "" };
    let sums: Vec<_> = ensemble.members.iter().map(|member| beginning(&member.sha256)).collect();
    line(&[
        format!("{}{unrecorded}{shifts}", ensemble.networks()),
        figure(ensemble.test_accuracy, ensemble.interval),
        errors(ensemble.test_errors, ensemble.test_images),
        format!("{:.4}", ensemble.test_loss),
        device(&ensemble.device, &ensemble.engine),
        ensemble.date.clone(),
        program(&ensemble.version, &ensemble.build),
        sums.join(" "),
    ])
}

/// The published accuracy and the images on which it was measured.
fn published_figure(original: &Published) -> String {
    let percent = original.accuracy.map(|accuracy| format!("{}, ", percent(accuracy))).unwrap_or_default();
    format!("{percent}{}", original.measured_on)
}

/// The accuracy of the median run and, of several runs, that of the best.
fn own_figure(median: &Receipt, entry: &LeaderboardEntry) -> String {
    let figure = format!("**{}** ({})", percent(median.test_accuracy), median.interval);
    match entry.best() {
        Some(best) => {
            let (n, highest) = (entry.runs.len(), percent(best.test_accuracy));
            format!("{figure}, median of {n} runs; best {highest} ({}, seed {})", best.interval, best.seed)
        }
        None => figure,
    }
}

fn run_row(run: &Receipt) -> String {
    line(&[
        run.model.id().into(),
        run.seed.to_string(),
        figure(run.test_accuracy, run.interval),
        errors(run.test_errors, run.test_images),
        format!("{:.4}", run.test_loss),
        best_epoch(run),
        run.epochs.to_string(),
        format!("{:.0}", run.seconds),
        device(&run.device, &run.engine),
        images(&run.spec),
        run.date.clone(),
        program(&run.version, &run.build),
        beginning(&run.weights.sha256),
        format!("`{}`", run.command),
    ])
}

/// A row of a Markdown table. Renderers fill up rows with too few cells.
fn line(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace(['\r', '\n'], " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn figure(accuracy: f64, interval: Interval) -> String {
    format!("{} ({interval})", percent(accuracy))
}

fn errors(n_errors: usize, n_images: usize) -> String {
    format!("{n_errors} of {n_images}")
}

fn best_epoch(run: &Receipt) -> String {
    format!("{} (epoch {})", percent(run.best_validation.accuracy), run.best_validation.epoch)
}

fn device(device: &str, engine: &str) -> String {
    format!("{device} ({engine})")
}

fn program(version: &str, build: &str) -> String {
    format!("{version} ({})", beginning(build))
}

/// The data set, split and limits of a run.
fn images(spec: &TrainSpec) -> String {
    let limit = |n: Option<usize>, purpose| n.map(|n| format!(", first {n} {purpose}")).unwrap_or_default();
    let (train, test) = (limit(spec.train_limit, "to train"), limit(spec.test_limit, "to test"));
    format!("{}, {} split{train}{test}", spec.dataset, spec.split)
}

/// The first 12 digits of a checksum, which identify it.
fn beginning(sum: &str) -> String {
    sum.chars().take(12).collect()
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}
