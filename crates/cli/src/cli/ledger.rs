//! Receipts of runs: written after training, repeated by `inkling verify`, gathered by `inkling scoreboard`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use inkling_core::evaluation::Judgement;
use inkling_core::protocol::{EngineReport, EpochReport};
use inkling_core::receipts::{
    self, BestEpoch, DataSum, Ensemble, EpochLine, Likeness, Member, Receipt, Records, WeightsSum,
};
use inkling_core::run::Run;
use inkling_core::spec::{SplitId, TrainSpec};

use super::report::Reporter;
use super::train::train;
use super::{ScoreboardArgs, VerifyArgs};

/// The receipt of a run that reached its end; `None` of one that did not.
pub fn receipt(run: &Run, weights: WeightsSum, data: Vec<DataSum>) -> Option<Receipt> {
    let (plan, engine, judgement) = (run.plan.as_ref()?, run.engine.as_ref()?, run.judgement.as_ref()?);
    let (spec, epoch_log) = (plan.spec.clone(), run.epochs.iter().map(line).collect::<Vec<_>>());
    Some(Receipt {
        model: spec.model,
        seed: spec.seed,
        epochs: run.epochs.len(),
        parameters: plan.parameters,
        test_accuracy: judgement.accuracy,
        test_errors: judgement.n_errors,
        test_images: judgement.n_images,
        seconds: run.summary?.elapsed_secs,
        engine: engine.kind.id().into(),
        device: engine.adapter.clone(),
        command: command(&spec),
        date: today(),
        version: env!("CARGO_PKG_VERSION").into(),
        build: env!("INKLING_BUILD").into(),
        test_loss: judgement.loss,
        best_validation: BestEpoch::of(&epoch_log)?,
        interval: judgement.interval,
        spec,
        data,
        epoch_log,
        weights,
    })
}

fn line(epoch: &EpochReport) -> EpochLine {
    EpochLine {
        epoch: epoch.epoch,
        loss: epoch.training.loss,
        accuracy: epoch.training.accuracy,
        val_loss: epoch.validation.loss,
        val_accuracy: epoch.validation.accuracy,
        learning_rate: epoch.learning_rate,
        images_per_second: epoch.images_per_second,
        seconds: epoch.elapsed_secs,
    }
}

/// What repeats a run: everything that is not the model's own recipe is named.
fn command(spec: &TrainSpec) -> String {
    let own = TrainSpec::of(spec.model);
    let mut command =
        format!("inkling train --model {} --dataset {} --engine {}", spec.model, spec.dataset, spec.engine);
    let mut name = |differs: bool, flag: &str, value: String| {
        if differs {
            command.push_str(&format!(" --{flag} {value}"));
        }
    };
    let (recipe, usual) = (&spec.recipe, &own.recipe);
    let split = |split: SplitId| split.to_string();
    name(spec.split != own.split, "split", split(spec.split));
    name(recipe.epochs != usual.epochs, "epochs", recipe.epochs.to_string());
    name(recipe.batch != usual.batch, "batch", recipe.batch.to_string());
    name(recipe.learning_rate != usual.learning_rate, "lr", recipe.learning_rate.to_string());
    name(recipe.schedule != usual.schedule, "schedule", recipe.schedule.to_string());
    name(recipe.optimizer != usual.optimizer, "optimizer", recipe.optimizer.to_string());
    name(recipe.weight_decay != usual.weight_decay, "weight-decay", recipe.weight_decay.to_string());
    name(recipe.dropout != usual.dropout, "dropout", recipe.dropout.to_string());
    name(recipe.label_smoothing != usual.label_smoothing, "label-smoothing", recipe.label_smoothing.to_string());
    name(recipe.augment != usual.augment, "augment", recipe.augment.to_string());
    let limit = |limit: Option<usize>| limit.map(|n| n.to_string()).unwrap_or_default();
    name(spec.train_limit.is_some(), "train-limit", limit(spec.train_limit));
    name(spec.test_limit.is_some(), "test-limit", limit(spec.test_limit));
    name(spec.workers != own.workers, "workers", spec.workers.to_string());
    name(true, "seed", spec.seed.to_string());
    command
}

/// Repeats a recorded run and says whether it came out the same.
///
/// # Errors
/// When the receipt cannot be read, the run fails, or it came out different.
pub async fn verify(args: VerifyArgs) -> Result<()> {
    let recorded = read(&args.receipt)?;
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot write to {}; choose another --out", args.out.display()))?;
    eprintln!("repeating: {}", recorded.command);
    let again = train(recorded.spec.clone(), &args.out, Reporter::new(args.json, args.out.clone()), false).await?;
    let Some(again) = again else { bail!("interrupted: nothing was compared") };
    let verdict = receipts::compare(&recorded, &again);
    say!("{verdict}");
    if verdict.likeness == Likeness::Different {
        bail!("the run came out different from {}", args.receipt.display());
    }
    Ok(())
}

/// The receipt of networks that were judged together.
pub fn ensemble(
    members: Vec<Member>,
    shifts: bool,
    judgement: &Judgement,
    engine: &EngineReport,
    data: Vec<DataSum>,
) -> Ensemble {
    Ensemble {
        members,
        shifts,
        test_accuracy: judgement.accuracy,
        test_errors: judgement.n_errors,
        test_images: judgement.n_images,
        test_loss: judgement.loss,
        interval: judgement.interval,
        engine: engine.kind.id().into(),
        device: engine.adapter.clone(),
        date: today(),
        version: env!("CARGO_PKG_VERSION").into(),
        build: env!("INKLING_BUILD").into(),
        data,
    }
}

fn today() -> String {
    receipts::iso_day(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Prints the scoreboard of some receipts as Markdown, and writes them into a file for the page if there is to be one.
///
/// # Errors
/// When a receipt cannot be read, or the file cannot be written.
pub fn scoreboard(args: &ScoreboardArgs) -> Result<()> {
    let mut records = Records::default();
    // In an order that no shell decides.
    for path in args.receipts.iter().collect::<BTreeSet<_>>() {
        records.add(&text(path)?).with_context(|| unreadable(path))?;
    }
    if let Some(path) = &args.site {
        fs::write(path, records.to_bytes()?)
            .with_context(|| format!("cannot write {}; choose another --site", path.display()))?;
    }
    say!("{}", receipts::scoreboard(&records).trim_end());
    Ok(())
}

/// The receipt of a run from its file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Receipt> {
    Receipt::from_json(&text(path)?).with_context(|| unreadable(path))
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: give a file that `inkling` wrote", unreadable(path)))
}

fn unreadable(path: &Path) -> String {
    format!("cannot read the receipt {}", path.display())
}
