//! `inkling evaluate`, `predict`, `submit` and `pack`: evaluates saved weights and predicts with them. It never trains.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::Device;
use inkling_core::data::{Split, csv, shift};
use inkling_core::evaluation::{self, Evaluation, Evaluator};
use inkling_core::receipts::{self, EnsembleMember};
use inkling_core::spec::{IMAGE_PIXELS, ModelId, Prediction, Pretrained, Recipe, SplitId};
use inkling_engine::device::{self, Engine};
use inkling_engine::train::{Checkpoint, Trainer, checkpoint};
use serde_json::json;

use super::train::{load, sums_of};
use super::{EngineArgs, EvaluateArgs, PackArgs, PredictArgs, SubmitArgs, image_file, receipt_commands};

/// Images per call of the network.
const BATCH: usize = 500;

/// `inkling evaluate`: prints the evaluation of weights on a test set. Several files are an ensemble, which predicts
/// the mean of their probabilities.
///
/// # Errors
/// When the weights or the data cannot be used, the engine fails, or the receipt cannot be written.
pub async fn evaluate(args: EvaluateArgs) -> Result<()> {
    let engine = open(&args.engine).await?;
    let (trainers, members) = networks(&args.weights, &engine).await?;
    let mut dataset = load(&args.dataset, &|note| eprintln!("{note}"))?;
    if args.split == SplitId::Kaggle {
        dataset = dataset.resplit(args.seed);
    }
    dataset.test.limit(args.test_limit);
    let evaluation = evaluation_of(&trainers, &dataset.test, args.shifts).await?;
    if let Some(path) = &args.receipt {
        let data = sums_of("test", &dataset.test).to_vec();
        let ensemble = receipt_commands::ensemble(members, args.shifts, &evaluation, &engine.report, data);
        fs::write(path, ensemble.to_json()?)
            .with_context(|| format!("cannot write {}; choose another --receipt", path.display()))?;
    }
    if args.json {
        let models: Vec<_> = trainers.iter().map(|trainer| trainer.network().model().id()).collect();
        let Evaluation { n_images, n_errors, accuracy, loss, .. } = &evaluation;
        let mut line = json!({"event": "evaluated", "model": models.join("+"), "dataset": args.dataset.to_string(),
            "test_images": n_images, "test_errors": n_errors, "test_accuracy": accuracy, "test_loss": loss});
        line["judgement"] = serde_json::to_value(&evaluation)?;
        print_line!("{line}");
    } else {
        print_line!("{evaluation}");
    }
    Ok(())
}

/// Evaluates an ensemble on a test set; one network is an ensemble of one. `shifts` as in [`ensemble_predictions`].
async fn evaluation_of(trainers: &[Trainer], test: &Split, shifts: bool) -> Result<Evaluation> {
    let mut evaluator = Evaluator::default();
    for (batch, pixels) in test.images.chunks(BATCH * IMAGE_PIXELS).enumerate() {
        for (offset, prediction) in ensemble_predictions(trainers, pixels, shifts).await?.iter().enumerate() {
            let index = batch * BATCH + offset;
            evaluator.add(index, test.labels[index], prediction);
        }
    }
    Ok(evaluator.finish())
}

/// `inkling predict`: prints the predicted digit of each picture and its probability.
///
/// # Errors
/// When the weights or a picture cannot be used, or the engine fails.
pub async fn predict(args: PredictArgs) -> Result<()> {
    let (trainer, _) = network(&args.weights, &open(&args.engine).await?).await?;
    for path in &args.images {
        let predictions = trainer.predict(&image_file::read(path)?).await?;
        let prediction = predictions.first().context("the engine gave no answer; try --engine cpu")?;
        let (digit, confidence) = (prediction.digit(), prediction.confidence());
        let path = path.display().to_string();
        if args.json {
            let probabilities = prediction.probabilities;
            print_line!(
                "{}",
                json!({"event": "predicted", "image": path, "digit": digit, "confidence": confidence, "probabilities": probabilities})
            );
        } else {
            print_line!("{path}: {digit} ({:.1} %)", confidence * 100.0);
        }
    }
    Ok(())
}

/// `inkling submit`: classifies Kaggle's test images and writes the submission.
///
/// # Errors
/// When the weights or the CSV file cannot be read, the engine fails, or the submission cannot be written.
pub async fn submit(args: SubmitArgs) -> Result<()> {
    let (trainers, _) = networks(&args.weights, &open(&args.engine).await?).await?;
    let named = || format!("cannot use {}", args.test.display());
    let file = fs::File::open(&args.test).with_context(|| format!("{}: give Kaggle's test.csv", named()))?;
    let pixels = csv::images(io::BufReader::new(file)).with_context(named)?;
    let mut digits = vec![];
    for pixels in pixels.chunks(BATCH * IMAGE_PIXELS) {
        let predictions = ensemble_predictions(&trainers, pixels, args.shifts).await?;
        digits.extend(predictions.iter().map(|prediction| prediction.digit() as u8));
    }
    fs::write(&args.out, csv::submission(&digits))
        .with_context(|| format!("cannot write {}; choose another --out", args.out.display()))?;
    eprintln!("{} images read; the submission is in {}", digits.len(), args.out.display());
    Ok(())
}

/// `inkling pack`: writes weights in a quarter of their size, together with the accuracy that was measured in that
/// form.
///
/// # Errors
/// When the weights, the receipt or the data set cannot be read, the weights are not those of the receipt, or the file
/// cannot be written.
pub async fn pack(args: PackArgs) -> Result<()> {
    let recorded = receipt_commands::read(&args.receipt)?;
    let bytes = fs::read(&args.weights).with_context(|| format!("cannot read {}", args.weights.display()))?;
    if receipts::sha256(&bytes) != recorded.weights.sha256 {
        bail!("{} is not the file that {} tells of", args.weights.display(), args.receipt.display());
    }
    let Checkpoint { model, arrays, .. } = checkpoint::load(&bytes)?;
    // The accuracy is that of the packed weights, so they are packed once without it to be evaluated.
    let mut pretrained = Pretrained { test_accuracy: 0.0, test_images: 0, epochs: recorded.epochs };
    let packed = checkpoint::load(&checkpoint::pack(model, &arrays, &pretrained))?;
    let trainer = Trainer::from_arrays(model, &packed.arrays, &Device::flex())?;
    let mut dataset = load(&recorded.spec.dataset, &|note| eprintln!("{note}"))?;
    if recorded.spec.split == SplitId::Kaggle {
        dataset = dataset.resplit(recorded.seed);
    }
    let evaluation = evaluation_of(&[trainer], &dataset.test, false).await?;
    (pretrained.test_accuracy, pretrained.test_images) = (evaluation.accuracy, evaluation.n_images);
    let packed = checkpoint::pack(model, &arrays, &pretrained);
    fs::write(&args.out, &packed).with_context(|| format!("cannot write {}", args.out.display()))?;
    print_line!("{}: {} bytes, {}", args.out.display(), packed.len(), evaluation.headline());
    Ok(())
}

/// The mean prediction of several networks for each image; with `shifts`, also over the image shifted by one pixel to
/// each of the four sides.
async fn ensemble_predictions(trainers: &[Trainer], pixels: &[u8], shifts: bool) -> Result<Vec<Prediction>> {
    let n_shifts = if shifts { shift::AROUND.len() } else { 1 };
    let mut predictions = vec![];
    for by in &shift::AROUND[..n_shifts] {
        let pixels = shift::shifted(pixels, *by);
        for trainer in trainers {
            predictions.push(trainer.predict(&pixels).await?);
        }
    }
    let of_image = |image: usize| predictions.iter().map(|batch| batch[image].clone()).collect::<Vec<_>>();
    Ok((0..pixels.len() / IMAGE_PIXELS).map(|image| evaluation::ensemble(&of_image(image))).collect())
}

/// Opens the chosen engine.
async fn open(args: &EngineArgs) -> Result<Engine> {
    let request = args.request(ModelId::Compact);
    device::open(request, |_| {}).await.map_err(|fault| anyhow!("{fault}"))
}

/// Loads several weights files; returns networks ready to predict, and their entries in an ensemble's receipt.
async fn networks(weights: &[PathBuf], engine: &Engine) -> Result<(Vec<Trainer>, Vec<EnsembleMember>)> {
    let mut networks = vec![];
    for path in weights {
        networks.push(network(path, engine).await?);
    }
    Ok(networks.into_iter().unzip())
}

/// Loads one weights file.
async fn network(weights: &Path, engine: &Engine) -> Result<(Trainer, EnsembleMember)> {
    let named = || format!("cannot use the weights {}", weights.display());
    let bytes = fs::read(weights).with_context(|| format!("{}: give a file that `inkling train` saved", named()))?;
    let Checkpoint { model, arrays, .. } = checkpoint::load(&bytes).with_context(named)?;
    engine.prepare(model, &Recipe::of(model), |_| {}).await.map_err(|fault| anyhow!("{fault}"))?;
    let trainer = Trainer::from_arrays(model, &arrays, &engine.device).with_context(named)?;
    Ok((trainer, EnsembleMember { model, sha256: receipts::sha256(&bytes) }))
}
