//! Receipts of this program's runs and ensembles: created, and read from files. What a receipt contains and how two are
//! compared is defined in `inkling_core::receipts`, never here.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use inkling_core::evaluation::Evaluation;
use inkling_core::protocol::{EngineReport, EpochReport};
use inkling_core::receipts::{self, BestEpoch, DataSum, Ensemble, EnsembleMember, EpochLine, Receipt, WeightsSum};
use inkling_core::run::Run;
use inkling_core::spec::{SplitId, TrainSpec};

/// The receipt of a run that reached its end, or `None` for an unfinished run.
pub fn receipt(run: &Run, weights: WeightsSum, data: Vec<DataSum>) -> Option<Receipt> {
    let (plan, engine, evaluation) = (run.plan.as_ref()?, run.engine.as_ref()?, &run.evaluation.as_ref()?.result);
    let (spec, epoch_log) = (plan.spec.clone(), run.epochs.iter().map(epoch_line).collect::<Vec<_>>());
    Some(Receipt {
        model: spec.model,
        seed: spec.seed,
        epochs: run.epochs.len(),
        parameters: plan.parameters,
        test_accuracy: evaluation.accuracy,
        test_errors: evaluation.n_errors,
        test_images: evaluation.n_images,
        seconds: run.summary?.elapsed_secs,
        engine: engine.kind.id().into(),
        device: engine.adapter.clone(),
        command: command(&spec),
        date: today(),
        version: env!("CARGO_PKG_VERSION").into(),
        build: env!("INKLING_BUILD").into(),
        test_loss: evaluation.loss,
        best_validation: BestEpoch::of(&epoch_log)?,
        interval: evaluation.interval,
        spec,
        data,
        epoch_log,
        weights,
    })
}

fn epoch_line(epoch: &EpochReport) -> EpochLine {
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

/// The command that repeats a run: it has a flag for every value that differs from the model's default.
fn command(spec: &TrainSpec) -> String {
    let default_spec = TrainSpec::of(spec.model);
    let mut command =
        format!("inkling train --model {} --dataset {} --engine {}", spec.model, spec.dataset, spec.engine);
    let mut flag = |differs: bool, name: &str, value: String| {
        if differs {
            command.push_str(&format!(" --{name} {value}"));
        }
    };
    let (recipe, default) = (&spec.recipe, &default_spec.recipe);
    let split = |split: SplitId| split.to_string();
    flag(spec.split != default_spec.split, "split", split(spec.split));
    flag(spec.split_seed != default_spec.split_seed, "split-seed", spec.split_seed.to_string());
    flag(recipe.epochs != default.epochs, "epochs", recipe.epochs.to_string());
    flag(recipe.batch != default.batch, "batch", recipe.batch.to_string());
    flag(recipe.learning_rate != default.learning_rate, "lr", recipe.learning_rate.to_string());
    flag(recipe.schedule != default.schedule, "schedule", recipe.schedule.to_string());
    flag(recipe.optimizer != default.optimizer, "optimizer", recipe.optimizer.to_string());
    flag(recipe.weight_decay != default.weight_decay, "weight-decay", recipe.weight_decay.to_string());
    flag(recipe.dropout != default.dropout, "dropout", recipe.dropout.to_string());
    flag(recipe.label_smoothing != default.label_smoothing, "label-smoothing", recipe.label_smoothing.to_string());
    flag(recipe.augment != default.augment, "augment", recipe.augment.to_string());
    let limit = |limit: Option<usize>| limit.map(|n| n.to_string()).unwrap_or_default();
    flag(spec.train_limit.is_some(), "train-limit", limit(spec.train_limit));
    flag(spec.test_limit.is_some(), "test-limit", limit(spec.test_limit));
    flag(spec.workers != default_spec.workers, "workers", spec.workers.to_string());
    flag(true, "seed", spec.seed.to_string());
    command
}

/// The receipt of an ensemble. `shifts`: each image was also predicted shifted by one pixel to each side; `data` holds
/// the checksums of the test images and labels.
pub fn ensemble(
    members: Vec<EnsembleMember>,
    shifts: bool,
    evaluation: &Evaluation,
    engine: &EngineReport,
    data: Vec<DataSum>,
) -> Ensemble {
    Ensemble {
        members,
        shifts,
        test_accuracy: evaluation.accuracy,
        test_errors: evaluation.n_errors,
        test_images: evaluation.n_images,
        test_loss: evaluation.loss,
        interval: evaluation.interval,
        engine: engine.kind.id().into(),
        device: engine.adapter.clone(),
        date: today(),
        version: env!("CARGO_PKG_VERSION").into(),
        build: env!("INKLING_BUILD").into(),
        data,
    }
}

/// Today in UTC, as `2026-01-31`.
fn today() -> String {
    receipts::iso_day(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Reads the receipt of a run from its file.
///
/// # Errors
/// When the file cannot be read or is not a receipt of a run.
pub fn read(path: &Path) -> Result<Receipt> {
    Receipt::from_json(&text(path)?).with_context(|| unreadable(path))
}

/// The text of a receipt's file.
///
/// # Errors
/// When it cannot be read.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("{}: give a file that `inkling` wrote", unreadable(path)))
}

/// What went wrong with a receipt's file.
pub fn unreadable(path: &Path) -> String {
    format!("cannot read the receipt {}", path.display())
}
