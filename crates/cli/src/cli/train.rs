//! `inkling train`: drives a session from the terminal and saves the weights, also of an interrupted run. It never
//! computes a step itself.

use std::cell::{Cell, RefCell};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use inkling_core::data::{Dataset, Split};
use inkling_core::protocol::{Command, EngineRequest, Event, Fault};
use inkling_core::receipts::{self, DataSum, Receipt, WeightsSum};
use inkling_core::spec::{DatasetId, ModelId, Recipe, TrainSpec};
use inkling_engine::session::{Host, Session};
use inkling_engine::train::checkpoint;
use inkling_mnist_files::{self, Note};

use super::report::Reporter;
use super::{RecipeArgs, TrainArgs, data_cache};

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
    let host =
        TerminalHost { began: Instant::now(), reporter, data: RefCell::default(), epoch_ended: Cell::new(false) };
    let mut session = Session::new(host);
    let request = EngineRequest { untested, ..EngineRequest::new(spec.engine, spec.model) };
    session.handle(Command::Open(request)).await;
    session.host().reporter.check()?;
    session.handle(Command::Start(spec)).await;
    while session.is_busy() {
        if interrupted.load(Ordering::Relaxed) {
            session.handle(Command::Stop).await;
        } else {
            session.advance().await;
        }
        // A long run that breaks off must not lose the epochs that it completed.
        if session.host().epoch_ended.take() {
            save(&session, out).await?;
        }
    }
    session.host().reporter.check()?;
    let (path, weights) = save(&session, out).await?;
    let stopped = interrupted.load(Ordering::Relaxed);
    session.host().reporter.saved(&path, stopped);
    let data = session.host().data.take();
    Ok(session.host().reporter.receipt(weights, data).filter(|_| !stopped))
}

fn spec(args: &TrainArgs) -> Result<TrainSpec> {
    let default = if args.sprint { TrainSpec::sprint() } else { TrainSpec::of(args.model) };
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

/// Writes the current weights to `folder`; returns the path and the checksum of the file.
async fn save(session: &Session<TerminalHost>, folder: &Path) -> Result<(PathBuf, WeightsSum)> {
    let (model, arrays) = session.weights().await.map_err(|fault| anyhow!("{fault}"))?;
    let file = format!("{model}.safetensors");
    let (path, bytes) = (folder.join(&file), checkpoint::save(model, &arrays));
    let partial = path.with_extension("safetensors.part");
    fs::write(&partial, &bytes)
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}; choose another --out", path.display()))?;
    Ok((path, WeightsSum { file, sha256: receipts::sha256(&bytes) }))
}

/// The session's host in a terminal: events go to the reporter, images come from disk or the network.
struct TerminalHost {
    began: Instant,
    reporter: Reporter,
    /// Checksums of the images and labels that were loaded.
    data: RefCell<Vec<DataSum>>,
    /// Set at the end of an epoch, cleared when the weights are saved.
    epoch_ended: Cell<bool>,
}

impl Host for TerminalHost {
    fn emit(&self, event: Event) {
        self.epoch_ended.set(self.epoch_ended.get() || matches!(event, Event::EpochEnded(_)));
        self.reporter.on_event(&event);
    }

    fn now_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Always `None`: the command line ships no weights; users name files of weights.
    async fn pretrained(&self, _: ModelId) -> Option<Vec<u8>> {
        None
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        let dataset = load(id, &|note| self.reporter.note(note));
        let dataset = dataset.map_err(|error| Fault::new(error.to_string(), ""))?;
        self.data.replace(sums(&dataset));
        Ok((dataset, None))
    }
}

/// The checksums of the training and test images and labels.
fn sums(dataset: &Dataset) -> Vec<DataSum> {
    [sums_of("training", &dataset.train), sums_of("test", &dataset.test)].concat()
}

/// The checksums of the images and of the labels of a split. `name` is its name in a receipt: `training` or `test`.
pub fn sums_of(name: &str, split: &Split) -> [DataSum; 2] {
    let sum = |kind: &str, bytes: &[u8]| DataSum::of(&format!("{name} {kind}"), split.len(), bytes);
    [sum("images", &split.images), sum("labels", &split.labels)]
}

/// Loads a data set from disk, or downloads it. `report` receives messages about the progress.
///
/// # Errors
/// When the data set is neither on disk nor can be downloaded, is damaged, or has no test images.
pub fn load(id: &DatasetId, report: &dyn Fn(&str)) -> Result<Dataset> {
    let mut downloading = None;
    let mut on_note = |note: Note| match note {
        Note::Found { .. } => {}
        Note::PassedOver { folder, why } => report(&format!("MNIST: not in {} ({why})", folder.display())),
        Note::HostFailed { url, why } => report(&format!("MNIST: {url} does not deliver ({why})")),
        // One line per file, not one per block of bytes.
        Note::Downloading { name, .. } if downloading.replace(name) != Some(name) => {
            report(&format!("MNIST: downloading {name}"))
        }
        Note::Downloading { .. } => {}
    };
    let dataset = inkling_mnist_files::load(id, &data_cache(), &mut on_note)?;
    if dataset.test.is_empty() {
        bail!("the data set {id} holds no test images; choose another");
    }
    Ok(dataset)
}
