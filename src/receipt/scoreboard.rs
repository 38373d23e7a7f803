//! The scoreboard: published figures beside those of recorded runs, as Markdown. Every figure of ours is a receipt's.

use super::Receipt;
use crate::spec::{DatasetId, ModelId, TrainSpec};
use crate::zoo::{Published, published};

const HEAD: &str = "\
# Results

Published figures are their authors'. Every figure of ours was measured by a run whose receipt lies under `results/`;
`inkling verify RECEIPT` runs it again and compares. This page is written from the receipts.

*Ours* is the accuracy of a run's final weights on the test images, with its 95 % interval (Wilson). Where a network was
trained several times by the same recipe, the row is that of the median run (of an even number, the worse of the two in
the middle), and the best is named beside it. *Best epoch* is the highest accuracy on the validation images during that
run; where a published figure is the best of several epochs, that is what to compare it with.

| network | published | ours (95 % interval) | errors | best epoch | epochs (published) | seconds | device | seed | date | command |
|---|---|---|---|---|---|---|---|---|---|---|
";

const ALL_HEAD: &str = "
## Every run

| network | seed | accuracy (95 % interval) | errors | loss | best epoch | epochs | seconds | device | images | date | version (build) | weights | command |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|
";

/// The text of `RESULTS.md`: a row for each network, and then every run. The first table takes whole runs on MNIST in
/// the network's published split only, and where they differ in their recipe, those of the recipe with the most runs.
pub fn scoreboard(receipts: &[Receipt]) -> String {
    let rows: String = ModelId::ALL.iter().map(|&model| row(model, &comparable(model, receipts))).collect();
    let mut runs: Vec<_> = receipts.iter().collect();
    runs.sort_by_key(|run| (place(run.model), run.date.clone(), run.seed));
    let all: String = runs.into_iter().map(run_row).collect();
    if all.is_empty() { format!("{HEAD}{rows}") } else { format!("{HEAD}{rows}{ALL_HEAD}{all}") }
}

fn place(model: ModelId) -> Option<usize> {
    ModelId::ALL.iter().position(|&other| other == model)
}

/// The runs of a network that one row may sum up, the worst first.
fn comparable(model: ModelId, receipts: &[Receipt]) -> Vec<&Receipt> {
    let whole: Vec<_> = receipts.iter().filter(|run| run.model == model && as_published(run)).collect();
    let alike = |run: &&Receipt| -> Vec<&Receipt> {
        whole.iter().copied().filter(|other| other.spec.recipe == run.spec.recipe).collect()
    };
    // Of recipes with equally many runs, the one used last.
    let weight = |runs: &Vec<&Receipt>| (runs.len(), runs.iter().map(|run| run.date.clone()).max());
    let mut runs = whole.iter().map(alike).max_by_key(weight).unwrap_or_default();
    runs.sort_by(|a, b| a.test_accuracy.total_cmp(&b.test_accuracy).then(b.seed.cmp(&a.seed)));
    runs
}

/// Whether a run learned from and was tested on what the published one was.
fn as_published(run: &Receipt) -> bool {
    let TrainSpec { dataset, split, train_limit, test_limit, .. } = &run.spec;
    let whole = train_limit.is_none() && test_limit.is_none();
    whole && *dataset == DatasetId::Mnist && *split == TrainSpec::of(run.model).split
}

fn row(model: ModelId, runs: &[&Receipt]) -> String {
    let original = published(model);
    let epochs = original.epochs.map(|epochs| format!(" ({epochs})")).unwrap_or_default();
    let Some(median) = runs.get(runs.len().saturating_sub(1) / 2) else {
        let none = || "–".to_string();
        return line(&[model.id().into(), theirs(&original), "not run".into(), none(), none(), format!("–{epochs}")]);
    };
    line(&[
        model.id().into(),
        theirs(&original),
        ours(median, runs),
        errors(median),
        best_epoch(median),
        format!("{}{epochs}", median.epochs),
        format!("{:.0}", median.seconds),
        device(median),
        median.seed.to_string(),
        median.date.clone(),
        format!("`{}`", median.command),
    ])
}

/// The published figure and what it was measured on.
fn theirs(original: &Published) -> String {
    let percent = original.accuracy.map(|accuracy| format!("{}, ", percent(accuracy))).unwrap_or_default();
    format!("{percent}{}", original.measured_on)
}

/// The median and, where there are several runs, the best; `runs` come with the worst first.
fn ours(median: &Receipt, runs: &[&Receipt]) -> String {
    let figure = format!("**{}** ({})", percent(median.test_accuracy), median.interval);
    match runs {
        [.., best] if runs.len() > 1 => {
            let (n, highest) = (runs.len(), percent(best.test_accuracy));
            format!("{figure}, median of {n} runs; best {highest} ({}, seed {})", best.interval, best.seed)
        }
        _ => figure,
    }
}

fn run_row(run: &Receipt) -> String {
    line(&[
        run.model.id().into(),
        run.seed.to_string(),
        format!("{} ({})", percent(run.test_accuracy), run.interval),
        errors(run),
        format!("{:.4}", run.test_loss),
        best_epoch(run),
        run.epochs.to_string(),
        format!("{:.0}", run.seconds),
        device(run),
        images(&run.spec),
        run.date.clone(),
        format!("{} ({})", run.version, beginning(&run.build)),
        beginning(&run.weights.sha256),
        format!("`{}`", run.command),
    ])
}

/// A row of a table; rows that end early are filled up by whoever renders them.
fn line(cells: &[String]) -> String {
    let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|").replace(['\r', '\n'], " ")).collect();
    format!("| {} |\n", cells.join(" | "))
}

fn errors(run: &Receipt) -> String {
    format!("{} of {}", run.test_errors, run.test_images)
}

fn best_epoch(run: &Receipt) -> String {
    format!("{} (epoch {})", percent(run.best_validation.accuracy), run.best_validation.epoch)
}

fn device(run: &Receipt) -> String {
    format!("{} ({})", run.device, run.engine)
}

/// What was trained and tested on.
fn images(spec: &TrainSpec) -> String {
    let limit = |n: Option<usize>, purpose| n.map(|n| format!(", first {n} {purpose}")).unwrap_or_default();
    let (train, test) = (limit(spec.train_limit, "to train"), limit(spec.test_limit, "to test"));
    format!("{}, {} split{train}{test}", spec.dataset, spec.split)
}

/// Enough of a checksum to tell it from others.
fn beginning(sum: &str) -> String {
    sum.chars().take(12).collect()
}

fn percent(fraction: f64) -> String {
    format!("{:.2} %", 100.0 * fraction)
}
