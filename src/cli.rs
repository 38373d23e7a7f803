//! The command line: `inkling train | summary | evaluate | predict`, over the same session as the worker.

mod picture;
mod report;
mod train;
mod weights;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::spec::{DatasetId, EngineChoice, ModelId, TrainSpec};
use crate::zoo;

/// Trains convolutional networks on MNIST and reads digits.
#[derive(Debug, Parser)]
#[command(name = "inkling", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network, one line an epoch.
    Train(TrainArgs),
    /// Print the layer table of a network.
    Summary(SummaryArgs),
    /// Judge saved weights on a test set.
    Evaluate(EvaluateArgs),
    /// Read the digit in each picture.
    Predict(PredictArgs),
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Which network: compact
    #[arg(long, value_name = "ID", default_value_t = ModelId::Compact)]
    model: ModelId,
    /// mnist, synthetic, or a folder of IDX files such as ./fashion
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist)]
    dataset: DatasetId,
    /// Passes over the training images
    #[arg(long, value_name = "N", default_value_t = TrainSpec::default().epochs)]
    epochs: usize,
    /// Images in one step
    #[arg(long, value_name = "N", default_value_t = TrainSpec::default().batch)]
    batch: usize,
    /// Learning rate of the first epoch
    #[arg(long, value_name = "X", default_value_t = TrainSpec::default().learning_rate)]
    lr: f64,
    /// The same seed gives the same loss curve
    #[arg(long, value_name = "N", default_value_t = TrainSpec::default().seed)]
    seed: u64,
    /// Train on the first N images only
    #[arg(long, value_name = "N")]
    train_limit: Option<usize>,
    /// Validate on the first N images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Where to save the weights
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// JSON lines on standard output, nothing else
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EngineArgs {
    /// auto, cpu or gpu
    #[arg(long, value_name = "E", default_value_t = EngineChoice::Auto, value_parser = native_engine)]
    engine: EngineChoice,
}

#[derive(Debug, Args)]
struct SummaryArgs {
    /// Which network: compact
    #[arg(long, value_name = "ID", default_value_t = ModelId::Compact)]
    model: ModelId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EvaluateArgs {
    /// A safetensors file that `train` saved
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// mnist, synthetic, or a folder of IDX files
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist)]
    dataset: DatasetId,
    /// Judge on the first N test images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct PredictArgs {
    /// A safetensors file that `train` saved
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// PNG pictures of one digit each, dark on light or light on dark
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
    /// Print JSON, one line a picture
    #[arg(long)]
    json: bool,
}

/// Does what was asked for.
///
/// # Errors
/// What happened, and what to do about it.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Train(args) => pollster::block_on(train::run(args)),
        Command::Summary(args) => summary(&args),
        Command::Evaluate(args) => pollster::block_on(weights::evaluate(args)),
        Command::Predict(args) => pollster::block_on(weights::predict(args)),
    }
}

fn summary(args: &SummaryArgs) -> Result<()> {
    let summary = zoo::summary(args.model);
    if args.json {
        println!("{}", serde_json::to_string(&summary)?);
    } else {
        println!("{summary}");
    }
    Ok(())
}

/// `webgpu` is the browser's word.
fn native_engine(given: &str) -> Result<EngineChoice, String> {
    match given.parse() {
        Ok(EngineChoice::WebGpu) | Err(_) => Err("choose one of: auto, cpu, gpu".into()),
        Ok(choice) => Ok(choice),
    }
}

/// Where downloaded data is kept: `data/` in the folder in which the command runs.
fn data_cache() -> PathBuf {
    PathBuf::from("data/mnist")
}
