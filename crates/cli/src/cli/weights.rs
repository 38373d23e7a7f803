//! `inkling evaluate`, `predict`, `submit` and `pack`: evaluates saved weights and predicts with them, in a session. It
//! never trains.

use std::{fs, io};

use anyhow::{Context, Result, bail};
use inkling_core::data::csv;
use inkling_core::protocol::{Command, EngineRequest, EvaluationReport, EvaluationSpec};
use inkling_core::spec::{EngineChoice, IMAGE_PIXELS, Pretrained, Provenance, SplitId};
use inkling_engine::train::{WeightsFile, weights_file};
use serde_json::json;

use super::report::Reporter;
use super::session::{TerminalSession, load, sums_of};
use super::weights_input::WeightsInput;
use super::{EvaluateArgs, PackArgs, PredictArgs, SubmitArgs, image_file, receipts};

/// Images per request for predictions.
const BATCH: usize = 500;

/// `inkling evaluate`: prints the evaluation of weights on a test set. Several files are an ensemble, which predicts
/// the mean of their probabilities.
///
/// # Errors
/// When the weights or the data cannot be used, a network learned some of the test images, the engine fails, or the
/// receipt cannot be written.
pub async fn evaluate(args: EvaluateArgs) -> Result<()> {
    let files = WeightsInput::read_all(&args.weights)?;
    for (path, _) in args.weights.iter().zip(&files).filter(|(_, file)| file.provenance.is_none()) {
        eprintln!(
            "{} does not say which images it learned: check that the test images are none of them",
            path.display()
        );
    }
    let mut session = open(args.engine.request(files[0].model), &files).await?;
    let spec = evaluation_spec(&args, files[0].provenance.as_ref());
    let report = evaluation(&mut session, spec.clone()).await?;
    if let Some(path) = &args.receipt {
        let mut dataset = load(&spec.dataset, &|_| {})?.split(spec.split, spec.split_seed);
        dataset.test.limit(spec.test_limit);
        let members = files.iter().map(WeightsInput::member).collect();
        let run = session.host().run.borrow();
        let engine = run.engine.as_ref().context("no engine was opened")?;
        let data = sums_of("test", &dataset.test).to_vec();
        let ensemble = receipts::ensemble(members, args.shifts, &report.result, engine, data);
        fs::write(path, ensemble.to_json()?)
            .with_context(|| format!("cannot write {}; choose another --receipt", path.display()))?;
    }
    if args.json {
        print_json(&report)?
    } else {
        print_line!("{}", report.result)
    }
    Ok(())
}

/// The test images that the arguments ask for. Without `--split` they are those that the network was not trained on.
fn evaluation_spec(args: &EvaluateArgs, provenance: Option<&Provenance>) -> EvaluationSpec {
    let trained = provenance.filter(|provenance| provenance.dataset == args.dataset);
    let trained = trained.map(|provenance| (provenance.split, provenance.split_seed));
    let (split, split_seed) = trained.unwrap_or((SplitId::Published, 1));
    EvaluationSpec {
        dataset: args.dataset.clone(),
        split: args.split.unwrap_or(split),
        split_seed: args.split_seed.unwrap_or(split_seed),
        test_limit: args.test_limit,
        workers: 1,
        ensemble: true,
        shifts: args.shifts,
    }
}

fn print_json(report: &EvaluationReport) -> Result<()> {
    let EvaluationReport { result, models, dataset, .. } = report;
    let models: Vec<_> = models.iter().map(|model| model.id()).collect();
    let mut line = json!({"event": "evaluated", "model": models.join("+"), "dataset": dataset.to_string(),
        "test_images": result.n_images, "test_errors": result.n_errors, "test_accuracy": result.accuracy,
        "test_loss": result.loss});
    line["judgement"] = serde_json::to_value(result)?;
    print_line!("{line}");
    Ok(())
}

/// `inkling predict`: prints the predicted digit of each picture and its probability.
///
/// # Errors
/// When the weights or a picture cannot be used, or the engine fails.
pub async fn predict(args: PredictArgs) -> Result<()> {
    let files = [WeightsInput::read(&args.weights)?];
    let mut session = open(args.engine.request(files[0].model), &files).await?;
    for path in &args.images {
        let predictions = session.predict(image_file::read(path)?, false).await?;
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
    let files = WeightsInput::read_all(&args.weights)?;
    let named = || format!("cannot use {}", args.test.display());
    let file = fs::File::open(&args.test).with_context(|| format!("{}: give Kaggle's test.csv", named()))?;
    let pixels = csv::images(io::BufReader::new(file)).with_context(named)?;
    let mut session = open(args.engine.request(files[0].model), &files).await?;
    let mut digits = vec![];
    for pixels in pixels.chunks(BATCH * IMAGE_PIXELS) {
        let predictions = session.predict(pixels.to_vec(), args.shifts).await?;
        digits.extend(predictions.iter().map(|prediction| prediction.digit() as u8));
    }
    fs::write(&args.out, csv::submission(&digits))
        .with_context(|| format!("cannot write {}; choose another --out", args.out.display()))?;
    eprintln!("{} images classified; the submission is in {}", digits.len(), args.out.display());
    Ok(())
}

/// `inkling pack`: writes weights in a quarter of their size, together with the accuracy that was measured in that
/// form.
///
/// # Errors
/// When the weights, the receipt or the data set cannot be read, the weights are not those of the receipt, or the file
/// cannot be written.
pub async fn pack(args: PackArgs) -> Result<()> {
    let recorded = receipts::read(&args.receipt)?;
    let WeightsInput { bytes, model, sha256, .. } = WeightsInput::read(&args.weights)?;
    if sha256 != recorded.weights.sha256 {
        bail!("{} holds other weights than {} recorded", args.weights.display(), args.receipt.display());
    }
    let WeightsFile { arrays, .. } = weights_file::load(&bytes)?;
    let provenance = Provenance::of(&recorded.spec, &recorded.spec.dataset, &recorded.build);
    let packed = |pretrained: Option<&Pretrained>| weights_file::pack(model, &arrays, pretrained, Some(&provenance));
    // The accuracy is that of the packed weights, so they are packed once without it to be evaluated.
    let mut session = TerminalSession::new(Reporter::quiet());
    session.request(Command::Open(EngineRequest::new(EngineChoice::Cpu, model))).await?;
    session.request(Command::LoadWeights(vec![packed(None)])).await?;
    let spec = EvaluationSpec { test_limit: None, ..EvaluationSpec::of(&recorded.spec) };
    let result = evaluation(&mut session, spec).await?.result;
    let (test_accuracy, test_images) = (result.accuracy, result.n_images);
    let packed = packed(Some(&Pretrained { test_accuracy, test_images, epochs: recorded.epochs }));
    fs::write(&args.out, &packed).with_context(|| format!("cannot write {}", args.out.display()))?;
    print_line!("{}: {} bytes, {}", args.out.display(), packed.len(), result.headline());
    Ok(())
}

/// Opens an engine and loads weights, all of which predict together.
async fn open(request: EngineRequest, files: &[WeightsInput]) -> Result<TerminalSession> {
    let mut session = TerminalSession::new(Reporter::quiet());
    session.request(Command::Open(request)).await?;
    let weights = files.iter().map(|file| file.bytes.clone()).collect();
    session.request(Command::LoadWeights(weights)).await?;
    Ok(session)
}

/// Evaluates the loaded networks.
async fn evaluation(session: &mut TerminalSession, spec: EvaluationSpec) -> Result<EvaluationReport> {
    session.run(Command::Evaluate(spec)).await?;
    let run = session.host().run.borrow();
    run.evaluation.clone().context("nothing was evaluated")
}
