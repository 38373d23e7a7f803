//! The command line: `inkling train | summary | evaluate | predict | submit | verify | scoreboard | speed | pack`.
//!
//! Every command that computes drives the same session as the page's worker. This file parses and dispatches; it never
//! computes a network.

/// Prints a line to standard output and ignores write errors: a closed pipe, as after `| head`, must not end a training
/// run before its weights are saved.
macro_rules! print_line {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stdout(), $($line)*));
    }};
}

mod image_file;
mod receipt_commands;
mod receipts;
mod report;
mod session;
mod speed;
mod train;
mod weights;
mod weights_input;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use inkling_core::models;
use inkling_core::protocol::EngineRequest;
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, OptimizerId, Schedule, SplitId};
use inkling_mnist_files::FilesError;

/// Trains convolutional networks on MNIST and classifies digits.
#[derive(Debug, Parser)]
#[command(name = "inkling", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; prints one line per epoch.
    Train(TrainArgs),
    /// Print the layer table of a network.
    Summary(SummaryArgs),
    /// Evaluate saved weights on a test set.
    Evaluate(EvaluateArgs),
    /// Predict the digit in each picture.
    Predict(PredictArgs),
    /// Classify the images of Kaggle's test.csv and write a submission: ImageId,Label.
    Submit(SubmitArgs),
    /// Repeat a recorded run and compare the result with its receipt.
    Verify(VerifyArgs),
    /// Print the scoreboard of recorded runs as Markdown.
    Scoreboard(ScoreboardArgs),
    /// Measure how many images per second this machine trains on.
    Speed(SpeedArgs),
    /// Write the small weights file that the page ships: 8-bit kernels, evaluated on the test images in that form.
    Pack(PackArgs),
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Which network: compact, strided, leaky, classic, wide or sprint
    #[arg(long, value_name = "ID", default_value_t = ModelId::Compact)]
    model: ModelId,
    /// The quickest recipe for 99 % test accuracy that we found: the same as --model sprint
    #[arg(long, conflicts_with_all = ["model", "published"])]
    sprint: bool,
    /// mnist, synthetic, or a folder of IDX files such as ./fashion
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist, value_parser = native_dataset)]
    dataset: DatasetId,
    /// Start from the published recipe, as far as it is known, instead of our own (compact and classic)
    #[arg(long)]
    published: bool,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// published (MNIST: 60,000 and 10,000) or kaggle (37,800, 4,200 and 28,000, shuffled)
    #[arg(long, value_name = "S")]
    split: Option<SplitId>,
    /// Seed of the shuffle of the kaggle split; runs with the same one share their test images
    #[arg(long, value_name = "N", default_value_t = 1)]
    split_seed: u64,
    /// Runs with the same seed have the same loss curve
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Train on the first N images only
    #[arg(long, value_name = "N")]
    train_limit: Option<usize>,
    /// Validate on the first N images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Compute each batch in N shards, as N workers of the page do: reproduces their run, and is no faster here
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    #[command(flatten)]
    engine: EngineArgs,
    /// Where to save the weights
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// Print only JSON lines to standard output
    #[arg(long)]
    json: bool,
}

/// Overrides of the model's recipe.
#[derive(Debug, Args)]
struct RecipeArgs {
    /// Passes over the training images [default: from the model's recipe, as for the eight options below]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Learning rate, before the schedule's factor
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// constant, inverse:DECAY, step:EPOCHS:FACTOR, cosine or one-cycle:WARMUP
    #[arg(long, value_name = "S")]
    schedule: Option<Schedule>,
    /// adam, adamw, sgd, rmsprop or adadelta
    #[arg(long, value_name = "O")]
    optimizer: Option<OptimizerId>,
    /// Weight decay of the kernels
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// Factor on the network's own dropout rates
    #[arg(long, value_name = "X")]
    dropout: Option<f64>,
    /// Fraction of each target that is spread over all classes
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f64>,
    /// none, or strengths such as shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1
    #[arg(long, value_name = "A")]
    augment: Option<Augment>,
}

#[derive(Debug, Args)]
struct EngineArgs {
    /// auto, cpu or gpu
    #[arg(long, value_name = "E", default_value_t = EngineChoice::Auto, value_parser = native_engine)]
    engine: EngineChoice,
    /// Use a graphics card without the self-test of its results
    #[arg(long)]
    untested: bool,
}

impl EngineArgs {
    /// The request to open the chosen engine for a network.
    fn request(&self, model: ModelId) -> EngineRequest {
        EngineRequest { untested: self.untested, ..EngineRequest::new(self.engine, model) }
    }
}

#[derive(Debug, Args)]
struct SummaryArgs {
    /// Which network: compact, strided, leaky, classic, wide or sprint
    #[arg(long, value_name = "ID", default_value_t = ModelId::Compact)]
    model: ModelId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct EvaluateArgs {
    /// A safetensors file that `train` saved; several files are evaluated as an ensemble
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    weights: Vec<PathBuf>,
    /// mnist, synthetic, or a folder of IDX files
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist, value_parser = native_dataset)]
    dataset: DatasetId,
    /// published or kaggle [default: the split that the weights were trained with, published if they do not say]
    #[arg(long, value_name = "S")]
    split: Option<SplitId>,
    /// Seed of the shuffle of the kaggle split [default: that of the weights, 1 if they do not say]
    #[arg(long, value_name = "N", alias = "seed")]
    split_seed: Option<u64>,
    /// Evaluate on the first N test images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Predict each image also shifted by one pixel to each side, and average: five times the work
    #[arg(long)]
    shifts: bool,
    /// Write a receipt of the ensemble, for the scoreboard
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
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
    /// Print JSON, one line per picture
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SubmitArgs {
    /// Safetensors files that `train` saved; several files predict as an ensemble
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    weights: Vec<PathBuf>,
    /// Kaggle's test.csv
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// Where to write the submission
    #[arg(long, value_name = "FILE", default_value = "submission.csv")]
    out: PathBuf,
    /// Predict each image also shifted by one pixel to each side, and average: five times the work
    #[arg(long)]
    shifts: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// A receipt that `train` wrote
    #[arg(value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Where to save the weights of the repeated run
    #[arg(long, value_name = "DIR", default_value = "out/verify")]
    out: PathBuf,
    /// Print the epochs as JSON lines
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ScoreboardArgs {
    /// Receipts that `train` or `evaluate` wrote
    #[arg(required = true, value_name = "RECEIPT")]
    receipts: Vec<PathBuf>,
    /// Also write all receipts into one file for the page
    #[arg(long, value_name = "FILE")]
    site: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SpeedArgs {
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Args)]
struct PackArgs {
    /// A safetensors file that `train` saved
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The receipt of the run that saved those weights
    #[arg(long, value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Where to write the small file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs the chosen command.
///
/// # Errors
/// When the command fails; the message says what happened and what to do about it.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Train(args) => pollster::block_on(train::run(args)),
        Command::Summary(args) => summary(&args),
        Command::Evaluate(args) => pollster::block_on(weights::evaluate(args)),
        Command::Predict(args) => pollster::block_on(weights::predict(args)),
        Command::Submit(args) => pollster::block_on(weights::submit(args)),
        Command::Verify(args) => pollster::block_on(receipt_commands::verify(args)),
        Command::Scoreboard(args) => receipt_commands::scoreboard(&args),
        Command::Speed(args) => pollster::block_on(speed::run(args)),
        Command::Pack(args) => pollster::block_on(weights::pack(args)),
    }
}

fn summary(args: &SummaryArgs) -> Result<()> {
    let summary = models::summary(args.model);
    if args.json {
        print_line!("{}", serde_json::to_string(&summary)?);
    } else {
        print_line!("{summary}");
    }
    Ok(())
}

/// Parses `--engine`. Rejects `webgpu`, which exists in browsers only.
fn native_engine(given: &str) -> Result<EngineChoice, String> {
    match given.parse() {
        Ok(EngineChoice::WebGpu) | Err(_) => Err("choose one of: auto, cpu, gpu".into()),
        Ok(choice) => Ok(choice),
    }
}

/// Parses `--dataset`. Rejects the data set of the user's own files, which exists on the page only.
fn native_dataset(given: &str) -> Result<DatasetId, String> {
    match given.parse() {
        Ok(DatasetId::UserFiles) => Err(FilesError::UserFiles.to_string()),
        Ok(dataset) => Ok(dataset),
        Err(error) => Err(error.to_string()),
    }
}

/// Cache of downloaded data: `data/mnist` below the current directory.
fn data_cache() -> PathBuf {
    PathBuf::from("data/mnist")
}
