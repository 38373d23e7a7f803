//! `inkling train`: drives a session from the terminal, and keeps the weights however the run ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};

use super::report::Reporter;
use super::{TrainArgs, data_cache};
use crate::data::Dataset;
use crate::files::{self, Note};
use crate::protocol::{Command, Event, Fault};
use crate::session::{Host, Session};
use crate::spec::{DatasetId, TrainSpec};
use crate::train::checkpoint;

/// Trains as the arguments say.
///
/// # Errors
/// When the engine, the data or the run fails, or the weights cannot be saved.
pub async fn run(args: TrainArgs) -> Result<()> {
    let spec = spec(&args);
    // Found out now rather than after hours of training.
    fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot write to {}; choose another --out", args.out.display()))?;
    let interrupted = watch_interrupt()?;
    let mut session =
        Session::new(Terminal { began: Instant::now(), reporter: Reporter::new(args.json, args.out.clone()) });
    session.handle(Command::Open(spec.engine)).await;
    session.host().reporter.check()?;
    session.handle(Command::Start(spec)).await;
    while session.is_busy() {
        if interrupted.load(Ordering::Relaxed) {
            session.handle(Command::Stop).await;
        } else {
            session.advance().await;
        }
    }
    session.host().reporter.check()?;
    let path = save(&session, &args.out).await?;
    session.host().reporter.saved(&path, interrupted.load(Ordering::Relaxed));
    Ok(())
}

fn spec(args: &TrainArgs) -> TrainSpec {
    TrainSpec {
        model: args.model,
        dataset: args.dataset.clone(),
        engine: args.engine.engine,
        epochs: args.epochs,
        batch: args.batch,
        learning_rate: args.lr,
        seed: args.seed,
        train_limit: args.train_limit,
        test_limit: args.test_limit,
    }
}

/// Set by Ctrl-C, which then stops after the current step.
fn watch_interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    Ok(interrupted)
}

async fn save(session: &Session<Terminal>, folder: &Path) -> Result<PathBuf> {
    let (model, arrays) = session.weights().await.map_err(|fault| anyhow!("{fault}"))?;
    let path = folder.join(format!("{model}.safetensors"));
    let partial = path.with_extension("safetensors.part");
    fs::write(&partial, checkpoint::save(model, &arrays))
        .and_then(|()| fs::rename(&partial, &path))
        .with_context(|| format!("cannot write {}; choose another --out", path.display()))?;
    Ok(path)
}

/// The session's world in a terminal.
struct Terminal {
    began: Instant,
    reporter: Reporter,
}

impl Host for Terminal {
    fn emit(&self, event: Event) {
        self.reporter.hear(&event);
    }

    fn now_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        let dataset = load(id, &|note| self.reporter.note(note));
        dataset.map(|dataset| (dataset, None)).map_err(|error| Fault::new(error.to_string(), ""))
    }
}

/// Brings a data set from disk or from its hosts.
///
/// # Errors
/// When it cannot be had, or is damaged.
pub fn load(id: &DatasetId, on: &dyn Fn(&str)) -> Result<Dataset> {
    let mut downloading = None;
    let mut tell = |note: Note| match note {
        Note::Found { .. } => {}
        Note::PassedOver { folder, why } => on(&format!("MNIST: not in {} ({why})", folder.display())),
        Note::HostFailed { url, why } => on(&format!("MNIST: {url} does not deliver ({why})")),
        // One line a file, not one a block of bytes.
        Note::Downloading { name, .. } if downloading.replace(name) != Some(name) => {
            on(&format!("MNIST: downloading {name}"))
        }
        Note::Downloading { .. } => {}
    };
    let dataset = files::load(id, &data_cache(), &mut tell)?;
    if dataset.test.is_empty() {
        bail!("the data set {id} holds no test images; choose another");
    }
    Ok(dataset)
}
