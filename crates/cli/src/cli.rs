//! The command line: `inkling train | summary | evaluate | predict`, over the same session as the worker.

/// Prints a line. A reader that has gone, as `head` does, is no reason to stop: weights are still to be saved.
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write as _;
        drop(writeln!(std::io::stdout(), $($line)*));
    }};
}

mod ledger;
mod picture;
mod report;
mod speed;
mod train;
mod weights;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use inkling_core::models;
use inkling_core::protocol::EngineRequest;
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, OptimizerId, Schedule, SplitId};
use inkling_mnist_files::FilesError;

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
    /// Read Kaggle's test.csv and write what Kaggle wants to see: ImageId,Label.
    Submit(SubmitArgs),
    /// Repeat a recorded run and compare.
    Verify(VerifyArgs),
    /// Print the scoreboard of recorded runs as Markdown.
    Scoreboard(ScoreboardArgs),
    /// Measure how many images a second this machine trains on.
    Speed(SpeedArgs),
    /// Make the small weights that the page ships: 8-bit kernels, measured on the test images as they are.
    Pack(PackArgs),
}

#[derive(Debug, Args)]
struct TrainArgs {
    /// Which network: compact, strided, leaky, classic, wide or sprint
    #[arg(long, value_name = "ID", default_value_t = ModelId::Compact)]
    model: ModelId,
    /// The quickest way to 99 % of the test images that we found: the same as --model sprint
    #[arg(long, conflicts_with_all = ["model", "published"])]
    sprint: bool,
    /// mnist, synthetic, or a folder of IDX files such as ./fashion
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist, value_parser = native_dataset)]
    dataset: DatasetId,
    /// Start from what is known of the published recipe, not from our own (compact and classic)
    #[arg(long)]
    published: bool,
    #[command(flatten)]
    recipe: RecipeArgs,
    /// published (MNIST: 60,000 and 10,000) or kaggle (37,800, 4,200 and 28,000, dealt by the seed)
    #[arg(long, value_name = "S")]
    split: Option<SplitId>,
    /// The same seed gives the same loss curve
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Train on the first N images only
    #[arg(long, value_name = "N")]
    train_limit: Option<usize>,
    /// Validate on the first N images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Compute each batch in so many shards, as that many workers of the page do: repeats their run, and is no faster here
    #[arg(long, value_name = "N", default_value_t = 1)]
    workers: usize,
    #[command(flatten)]
    engine: EngineArgs,
    /// Where to save the weights
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
    /// JSON lines on standard output, nothing else
    #[arg(long)]
    json: bool,
}

/// What to change of the model's recipe.
#[derive(Debug, Args)]
struct RecipeArgs {
    /// Passes over the training images [default: the model's recipe, as for all that follow]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images in one step
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Learning rate, which the schedule multiplies
    #[arg(long, value_name = "X")]
    lr: Option<f64>,
    /// constant, inverse:DECAY, step:EPOCHS:FACTOR, cosine or one-cycle:WARMUP
    #[arg(long, value_name = "S")]
    schedule: Option<Schedule>,
    /// adam, adamw, sgd, rmsprop or adadelta
    #[arg(long, value_name = "O")]
    optimizer: Option<OptimizerId>,
    /// Pulls kernels towards 0
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// A factor on the network's own dropout rates
    #[arg(long, value_name = "X")]
    dropout: Option<f64>,
    /// The share of each target that is spread over all classes
    #[arg(long, value_name = "X")]
    label_smoothing: Option<f64>,
    /// none, or such as shift=2,rotate=10,scale=0.1,shear=0.1,elastic=1
    #[arg(long, value_name = "A")]
    augment: Option<Augment>,
}

#[derive(Debug, Args)]
struct EngineArgs {
    /// auto, cpu or gpu
    #[arg(long, value_name = "E", default_value_t = EngineChoice::Auto, value_parser = native_engine)]
    engine: EngineChoice,
    /// Use a graphics card without testing that it computes rightly
    #[arg(long)]
    untested: bool,
}

impl EngineArgs {
    /// This engine, for a network.
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
    /// A safetensors file that `train` saved; several files read together, as an ensemble
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    weights: Vec<PathBuf>,
    /// mnist, synthetic, or a folder of IDX files
    #[arg(long, value_name = "D", default_value_t = DatasetId::Mnist, value_parser = native_dataset)]
    dataset: DatasetId,
    /// published, or kaggle with the seed of the deal
    #[arg(long, value_name = "S", default_value_t = SplitId::Published)]
    split: SplitId,
    /// Of the deal of the kaggle split
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Judge on the first N test images only
    #[arg(long, value_name = "N")]
    test_limit: Option<usize>,
    /// Read each image also a pixel to each side, and take the mean: five times the work
    #[arg(long)]
    shifts: bool,
    /// Leave the receipt of an ensemble, for the scoreboard
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
    /// Print JSON, one line a picture
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct SubmitArgs {
    /// Safetensors files that `train` saved; several read together, as an ensemble
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    weights: Vec<PathBuf>,
    /// Kaggle's test.csv
    #[arg(long, value_name = "FILE")]
    test: PathBuf,
    /// Where the submission goes
    #[arg(long, value_name = "FILE", default_value = "submission.csv")]
    out: PathBuf,
    /// Read each image also a pixel to each side, and take the mean: five times the work
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
    /// Where the repeated run's weights go
    #[arg(long, value_name = "DIR", default_value = "out/verify")]
    out: PathBuf,
    /// JSON lines of the epochs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ScoreboardArgs {
    /// Receipts that `train` or `evaluate` wrote
    #[arg(required = true, value_name = "RECEIPT")]
    receipts: Vec<PathBuf>,
    /// Also write them into one file for the page
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
    /// The receipt of the run that made it
    #[arg(long, value_name = "RECEIPT")]
    receipt: PathBuf,
    /// Where the small file goes
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
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
        Command::Submit(args) => pollster::block_on(weights::submit(args)),
        Command::Verify(args) => pollster::block_on(ledger::verify(args)),
        Command::Scoreboard(args) => ledger::scoreboard(&args),
        Command::Speed(args) => pollster::block_on(speed::run(args)),
        Command::Pack(args) => pollster::block_on(weights::pack(args)),
    }
}

fn summary(args: &SummaryArgs) -> Result<()> {
    let summary = models::summary(args.model);
    if args.json {
        say!("{}", serde_json::to_string(&summary)?);
    } else {
        say!("{summary}");
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

/// Files are dropped on the page only.
fn native_dataset(given: &str) -> Result<DatasetId, String> {
    match given.parse() {
        Ok(DatasetId::Dropped) => Err(FilesError::Dropped.to_string()),
        Ok(dataset) => Ok(dataset),
        Err(error) => Err(error.to_string()),
    }
}

/// Where downloaded data is kept: `data/` in the folder in which the command runs.
fn data_cache() -> PathBuf {
    PathBuf::from("data/mnist")
}
