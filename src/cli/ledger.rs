//! Receipts of runs: written after training, repeated by `inkling verify`, gathered by `inkling scoreboard`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::report::Reporter;
use super::train::train;
use super::{ScoreboardArgs, VerifyArgs};
use crate::protocol::{self, EpochReport};
use crate::receipt::{self, BestEpoch, DataSum, EpochLine, Likeness, Receipt, WeightsSum};
use crate::run::Run;
use crate::spec::{SplitId, TrainSpec};

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
        date: receipt::iso_day(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())),
        version: env!("CARGO_PKG_VERSION").into(),
        build: protocol::BUILD.into(),
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
    let again = train(recorded.spec.clone(), &args.out, Reporter::new(args.json, args.out.clone())).await?;
    let Some(again) = again else { bail!("interrupted: nothing was compared") };
    let verdict = receipt::compare(&recorded, &again);
    say!("{verdict}");
    if verdict.likeness == Likeness::Different {
        bail!("the run came out different from {}", args.receipt.display());
    }
    Ok(())
}

/// Prints the scoreboard of some receipts as Markdown.
///
/// # Errors
/// When a receipt cannot be read.
pub fn scoreboard(args: &ScoreboardArgs) -> Result<()> {
    let receipts = args.receipts.iter().map(|path: &PathBuf| read(path)).collect::<Result<Vec<_>>>()?;
    say!("{}", receipt::scoreboard(&receipts).trim_end());
    Ok(())
}

/// A receipt from its file.
///
/// # Errors
/// When it cannot be read.
pub fn read(path: &Path) -> Result<Receipt> {
    let named = || format!("cannot read the receipt {}", path.display());
    let text =
        fs::read_to_string(path).with_context(|| format!("{}: give a file that `inkling train` wrote", named()))?;
    Receipt::from_json(&text).with_context(named)
}
