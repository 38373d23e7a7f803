//! `inkling train`: drives a session from the terminal and saves the weights, also of an interrupted run. It never
//! computes a step itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use inkling_core::protocol::{Command, EngineRequest};
use inkling_core::receipts::{Receipt, WeightsSum};
use inkling_core::spec::{ModelId, Recipe, TrainSpec};
use inkling_engine::train::{WeightsFile, weights_file};

use super::report::Reporter;
use super::session::TerminalSession;
use super::{RecipeArgs, TrainArgs, receipts};

/// Trains as the arguments say. Writes the weights and, after a complete run, a receipt.
///
/// # Errors
/// When the engine, the data or the run fails, or the weights cannot be saved.
pub async fn run(args: TrainArgs) -> Result<()> {
    let spec = spec(&args)?;
    // A folder that cannot be written must be noticed now, not after hours of training.
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot write to {}; choose another --out", args.out.display()))?;
    let receipt = train(spec, &args.out, Reporter::new(args.json, args.out.clone()), args.engine.untested).await?;
    if let Some(receipt) = receipt {
        let path = args.out.join(format!("{}.receipt.json", receipt.model));
        fs::write(&path, receipt.to_json()?)
            .with_context(|| format!("cannot write {}; choose another --out", path.display()))?;
    }
    Ok(())
}

/// Trains, saves the weights in `out` after every epoch and at the end, and returns the receipt of the run, or `None`
/// if it was interrupted. `untested` skips the self-test of a graphics card.
///
/// # Errors
/// As [`run`].
pub async fn train(spec: TrainSpec, out: &Path, reporter: Reporter, untested: bool) -> Result<Option<Receipt>> {
    let interrupted = watch_interrupt()?;
    let mut session = TerminalSession::new(reporter);
    let request = EngineRequest { untested, ..EngineRequest::new(spec.engine, spec.model) };
    session.request(Command::Open(request)).await?;
    session.request(Command::Start(spec)).await?;
    while session.is_busy() {
        if interrupted.load(Ordering::Relaxed) {
            session.request(Command::Stop).await?;
        } else {
            session.advance().await;
        }
        // A long run that breaks off must not lose the epochs that it completed.
        if session.host().epoch_ended.take() {
            save(&session, out).await?;
        }
    }
    session.check()?;
    let (path, weights) = save(&session, out).await?;
    let stopped = interrupted.load(Ordering::Relaxed);
    let host = session.host();
    host.reporter.saved(&path, stopped, &host.run.borrow());
    let receipt = receipts::receipt(&host.run.borrow(), weights, host.data.take());
    Ok(receipt.filter(|_| !stopped))
}

fn spec(args: &TrainArgs) -> Result<TrainSpec> {
    let default = if args.sprint { TrainSpec::of(ModelId::Sprint) } else { TrainSpec::of(args.model) };
    let base = match Recipe::published(default.model) {
        Some(recipe) if args.published => recipe,
        None if args.published => bail!("no recipe was published for {}; leave --published out", default.model),
        _ => default.recipe,
    };
    Ok(TrainSpec {
        model: default.model,
        dataset: args.dataset.clone(),
        split: args.split.unwrap_or(default.split),
        engine: args.engine.engine,
        recipe: recipe(&args.recipe, base),
        seed: args.seed,
        split_seed: args.split_seed,
        train_limit: args.train_limit,
        test_limit: args.test_limit,
        workers: args.workers,
    })
}

/// A recipe with the overrides of the command line.
fn recipe(args: &RecipeArgs, base: Recipe) -> Recipe {
    Recipe {
        epochs: args.epochs.unwrap_or(base.epochs),
        batch: args.batch.unwrap_or(base.batch),
        optimizer: args.optimizer.unwrap_or(base.optimizer),
        learning_rate: args.lr.unwrap_or(base.learning_rate),
        schedule: args.schedule.unwrap_or(base.schedule),
        weight_decay: args.weight_decay.unwrap_or(base.weight_decay),
        dropout: args.dropout.unwrap_or(base.dropout),
        label_smoothing: args.label_smoothing.unwrap_or(base.label_smoothing),
        augment: args.augment.unwrap_or(base.augment),
    }
}

/// A flag that Ctrl-C sets; the training loop stops after the current step when it is set.
fn watch_interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    Ok(interrupted)
}

/// Writes the current weights to `folder`; returns the path of the file and the checksum of the weights.
async fn save(session: &TerminalSession, folder: &Path) -> Result<(PathBuf, WeightsSum)> {
    let bytes = session.weights_file().await?;
    let WeightsFile { model, arrays, .. } = weights_file::load(&bytes)?;
    let file = format!("{model}.safetensors");
    let path = folder.join(&file);
    let partial = path.with_extension("safetensors.part");
    fs::write(&partial, &bytes)
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}; choose another --out", path.display()))?;
    Ok((path, WeightsSum { file, sha256: weights_file::sha256(model, &arrays) }))
}
