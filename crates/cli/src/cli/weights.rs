//! `inkling evaluate`, `predict`, `submit` and `pack`: what saved weights are worth, and what they read.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use inkling_core::data::{Split, csv, shift};
use inkling_core::evaluation::{self, Judge, Judgement};
use inkling_core::receipts::{self, Member};
use inkling_core::spec::{IMAGE_PIXELS, ModelId, Prediction, Pretrained, Recipe, SplitId};
use inkling_engine::device::{self, Engine};
use inkling_engine::train::{Checkpoint, Trainer, checkpoint};
use serde_json::json;

use super::train::{load, sums_of};
use super::{EngineArgs, EvaluateArgs, PackArgs, PredictArgs, SubmitArgs, ledger, picture};

/// Test images judged at once.
const BATCH: usize = 500;

/// Prints how good weights are on a test set; several together are an ensemble, judged by their mean probabilities.
///
/// # Errors
/// When the weights, the data or the engine fail.
pub async fn evaluate(args: EvaluateArgs) -> Result<()> {
    let engine = open(&args.engine).await?;
    let (trainers, members) = networks(&args.weights, &engine).await?;
    let mut dataset = load(&args.dataset, &|note| eprintln!("{note}"))?;
    if args.split == SplitId::Kaggle {
        dataset = dataset.dealt(args.seed);
    }
    dataset.test.limit(args.test_limit);
    let judgement = judge(&trainers, &dataset.test, args.shifts).await?;
    if let Some(path) = &args.receipt {
        let data = sums_of("test", &dataset.test).to_vec();
        let ensemble = ledger::ensemble(members, args.shifts, &judgement, &engine.report, data);
        fs::write(path, ensemble.to_json()?)
            .with_context(|| format!("cannot write {}; choose another --receipt", path.display()))?;
    }
    if args.json {
        let models: Vec<_> = trainers.iter().map(|trainer| trainer.network().model().id()).collect();
        let Judgement { n_images, n_errors, accuracy, loss, .. } = &judgement;
        let mut line = json!({"event": "evaluated", "model": models.join("+"), "dataset": args.dataset.to_string(),
            "test_images": n_images, "test_errors": n_errors, "test_accuracy": accuracy, "test_loss": loss});
        line["judgement"] = serde_json::to_value(&judgement)?;
        say!("{line}");
    } else {
        say!("{judgement}");
    }
    Ok(())
}

/// The judgement of the mean of what each network makes of an image.
async fn judge(trainers: &[Trainer], test: &Split, shifts: bool) -> Result<Judgement> {
    let mut judge = Judge::default();
    for (batch, pixels) in test.images.chunks(BATCH * IMAGE_PIXELS).enumerate() {
        for (at, prediction) in read_together(trainers, pixels, shifts).await?.iter().enumerate() {
            let index = batch * BATCH + at;
            judge.add(index, test.labels[index], prediction);
        }
    }
    Ok(judge.finish())
}

/// Prints the digit in each picture and how sure the network is.
///
/// # Errors
/// When the weights, a picture or the engine fail.
pub async fn predict(args: PredictArgs) -> Result<()> {
    let (trainer, _) = network(&args.weights, &open(&args.engine).await?).await?;
    for path in &args.images {
        let predictions = trainer.predict(&picture::read(path)?).await?;
        let prediction = predictions.first().context("the engine gave no answer; try --engine cpu")?;
        let (digit, confidence) = (prediction.digit(), prediction.confidence());
        let path = path.display().to_string();
        if args.json {
            let probabilities = prediction.probabilities;
            say!(
                "{}",
                json!({"event": "predicted", "image": path, "digit": digit, "confidence": confidence, "probabilities": probabilities})
            );
        } else {
            say!("{path}: {digit} ({:.1} %)", confidence * 100.0);
        }
    }
    Ok(())
}

/// Reads Kaggle's test images and writes the submission.
///
/// # Errors
/// When the weights or the CSV file cannot be read, or the submission cannot be written.
pub async fn submit(args: SubmitArgs) -> Result<()> {
    let (trainers, _) = networks(&args.weights, &open(&args.engine).await?).await?;
    let named = || format!("cannot use {}", args.test.display());
    let file = fs::File::open(&args.test).with_context(|| format!("{}: give Kaggle's test.csv", named()))?;
    let pixels = csv::images(io::BufReader::new(file)).with_context(named)?;
    let mut digits = vec![];
    for pixels in pixels.chunks(BATCH * IMAGE_PIXELS) {
        let read = read_together(&trainers, pixels, args.shifts).await?;
        digits.extend(read.iter().map(|prediction| prediction.digit() as u8));
    }
    fs::write(&args.out, csv::submission(&digits))
        .with_context(|| format!("cannot write {}; choose another --out", args.out.display()))?;
    eprintln!("{} images read; the submission is in {}", digits.len(), args.out.display());
    Ok(())
}

/// Writes weights in a quarter of their space, with what they are worth in that form.
///
/// # Errors
/// When the weights, the receipt or MNIST cannot be read, or the file cannot be written.
pub async fn pack(args: PackArgs) -> Result<()> {
    let recorded = ledger::read(&args.receipt)?;
    let bytes = fs::read(&args.weights).with_context(|| format!("cannot read {}", args.weights.display()))?;
    if receipts::sha256(&bytes) != recorded.weights.sha256 {
        bail!("{} is not the file that {} tells of", args.weights.display(), args.receipt.display());
    }
    let Checkpoint { model, arrays, .. } = checkpoint::load(&bytes)?;
    let mut worth = Pretrained { test_accuracy: 0.0, test_images: 0, epochs: recorded.epochs };
    let packed = checkpoint::load(&checkpoint::pack(model, &arrays, &worth))?;
    let trainer = Trainer::from_arrays(model, &packed.arrays, &Device::flex())?;
    let mut dataset = load(&recorded.spec.dataset, &|note| eprintln!("{note}"))?;
    if recorded.spec.split == SplitId::Kaggle {
        dataset = dataset.dealt(recorded.seed);
    }
    let judgement = judge(&[trainer], &dataset.test, false).await?;
    (worth.test_accuracy, worth.test_images) = (judgement.accuracy, judgement.n_images);
    let packed = checkpoint::pack(model, &arrays, &worth);
    fs::write(&args.out, &packed).with_context(|| format!("cannot write {}", args.out.display()))?;
    say!("{}: {} bytes, {}", args.out.display(), packed.len(), judgement.headline());
    Ok(())
}

/// What several networks together make of each image; with `shifts`, of each also moved a pixel to each side.
async fn read_together(trainers: &[Trainer], pixels: &[u8], shifts: bool) -> Result<Vec<Prediction>> {
    let n_places = if shifts { shift::AROUND.len() } else { 1 };
    let mut read = vec![];
    for by in &shift::AROUND[..n_places] {
        let pixels = shift::shifted(pixels, *by);
        for trainer in trainers {
            read.push(trainer.predict(&pixels).await?);
        }
    }
    let together = |at: usize| read.iter().map(|predictions| predictions[at].clone()).collect::<Vec<_>>();
    Ok((0..pixels.len() / IMAGE_PIXELS).map(|at| evaluation::ensemble(&together(at))).collect())
}

async fn open(args: &EngineArgs) -> Result<Engine> {
    let request = args.request(ModelId::Compact);
    device::open(request, |_| {}).await.map_err(|fault| anyhow!("{fault}"))
}

async fn networks(weights: &[PathBuf], engine: &Engine) -> Result<(Vec<Trainer>, Vec<Member>)> {
    let mut networks = vec![];
    for path in weights {
        networks.push(network(path, engine).await?);
    }
    Ok(networks.into_iter().unzip())
}

async fn network(weights: &Path, engine: &Engine) -> Result<(Trainer, Member)> {
    let named = || format!("cannot use the weights {}", weights.display());
    let bytes = fs::read(weights).with_context(|| format!("{}: give a file that `inkling train` saved", named()))?;
    let Checkpoint { model, arrays, .. } = checkpoint::load(&bytes).with_context(named)?;
    engine.prepare(model, &Recipe::of(model), |_| {}).await.map_err(|fault| anyhow!("{fault}"))?;
    let trainer = Trainer::from_arrays(model, &arrays, &engine.device).with_context(named)?;
    Ok((trainer, Member { model, sha256: receipts::sha256(&bytes) }))
}
