//! `inkling evaluate` and `inkling predict`: what saved weights are worth, and what they read.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use serde_json::json;

use super::train::load;
use super::{EngineArgs, EvaluateArgs, PredictArgs, picture};
use crate::data::batch::Batch;
use crate::engine;
use crate::spec::Metrics;
use crate::train::{Mean, Trainer, checkpoint, read_metrics};

/// Test images judged at once.
const BATCH: usize = 500;

/// Prints loss, accuracy and errors on a test set.
///
/// # Errors
/// When the weights, the data or the engine fail.
pub async fn evaluate(args: EvaluateArgs) -> Result<()> {
    let trainer = trainer(&args.weights, &args.engine).await?;
    let mut test = load(&args.dataset, &|note| eprintln!("{note}"))?.test;
    test.limit(args.test_limit);
    let mut mean = Mean::default();
    let indices: Vec<_> = (0..test.len()).collect();
    for indices in indices.chunks(BATCH) {
        let tally = trainer.evaluate(&Batch::gather(&test, indices, trainer.device()));
        for (metrics, n_images) in read_metrics(vec![tally]).await? {
            mean.add(metrics, n_images);
        }
    }
    let (n, errors, Metrics { loss, accuracy }) = (mean.n_images(), mean.n_errors(), mean.metrics());
    if args.json {
        let model = trainer.network().model().id();
        println!(
            "{}",
            json!({"event": "evaluated", "model": model, "dataset": args.dataset.to_string(), "test_images": n,
                   "test_errors": errors, "test_accuracy": accuracy, "test_loss": loss})
        );
    } else {
        println!("{:.2} % right, {errors} errors on {n} test images, loss {loss:.4}", accuracy * 100.0);
    }
    Ok(())
}

/// Prints the digit in each picture and how sure the network is.
///
/// # Errors
/// When the weights, a picture or the engine fail.
pub async fn predict(args: PredictArgs) -> Result<()> {
    let trainer = trainer(&args.weights, &args.engine).await?;
    for path in &args.images {
        let prediction = trainer.predict(&picture::read(path)?).await?;
        let (digit, confidence) = (prediction.digit(), prediction.confidence());
        let path = path.display().to_string();
        if args.json {
            let probabilities = prediction.probabilities;
            println!(
                "{}",
                json!({"event": "predicted", "image": path, "digit": digit, "confidence": confidence, "probabilities": probabilities})
            );
        } else {
            println!("{path}: {digit} ({:.1} %)", confidence * 100.0);
        }
    }
    Ok(())
}

async fn trainer(weights: &Path, args: &EngineArgs) -> Result<Trainer> {
    let named = || format!("cannot use the weights {}", weights.display());
    let bytes = fs::read(weights).with_context(|| format!("{}: give a file that `inkling train` saved", named()))?;
    let (model, arrays) = checkpoint::load(&bytes).with_context(named)?;
    let engine = engine::open(args.engine, |_| {}).await.map_err(|fault| anyhow!("{fault}"))?;
    Trainer::from_arrays(model, &arrays, &engine.device).with_context(named)
}
