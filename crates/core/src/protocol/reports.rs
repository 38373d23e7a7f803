//! The payloads of events: plain values that a page can show.

use serde::{Deserialize, Serialize};

use crate::evaluation::Evaluation;
use crate::spec::{DatasetId, EngineChoice, Metrics, ModelId, Pretrained, Provenance, TrainSpec};

/// The kind of an open engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    /// WebGPU in a browser.
    WebGpu,
    /// A native graphics card.
    Gpu,
    /// The CPU with SIMD.
    Cpu,
}

impl EngineKind {
    /// The id of the matching [`EngineChoice`].
    pub fn id(self) -> &'static str {
        match self {
            Self::WebGpu => EngineChoice::WebGpu.id(),
            Self::Gpu => EngineChoice::Gpu.id(),
            Self::Cpu => EngineChoice::Cpu.id(),
        }
    }
}

/// The open engine, and why a faster one was not used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    /// The kind of engine.
    pub kind: EngineKind,
    /// Name of the graphics adapter, or the SIMD instruction set of the CPU.
    pub adapter: String,
    /// Whether the adapter is software, not hardware. Such an adapter is slower than the CPU engine.
    pub software: bool,
    /// Why a faster engine was tried and not used; `None` if none was tried.
    pub fallback_reason: Option<String>,
    /// Multiply-adds per second while training, measured over a few steps; `None` where it was not measured (graphics
    /// cards).
    pub work_per_sec: Option<f64>,
    /// The kernel choice for this graphics card, where it was measured.
    pub kernels: Option<Kernels>,
}

/// The measured choice between two sets of kernels on a graphics card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernels {
    /// Hash of the adapter's name; the choice is valid for this adapter only.
    pub adapter: u64,
    /// Whether kernels that compute in tiles of workgroup memory are faster.
    pub tiles: bool,
}

impl Kernels {
    /// Formats the choice for storage, tagged with the build: in another build other kernels may be faster.
    pub fn to_stored(self, build: &str) -> String {
        format!("{build} {:x} {}", self.adapter, self.tiles)
    }

    /// Parses the text of [`Kernels::to_stored`]; `None` where it does not parse or is of another build.
    pub fn from_stored(text: &str, build: &str) -> Option<Self> {
        let [stored_build, adapter, tiles] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
        if stored_build != build {
            return None;
        }
        Some(Self { adapter: u64::from_str_radix(adapter, 16).ok()?, tiles: tiles.parse().ok()? })
    }
}

/// A model that was loaded and can predict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// The model.
    pub model: ModelId,
    /// Number of parameters, running statistics included.
    pub parameters: usize,
    /// Measured accuracy of its pretrained weights; `None` when its weights are untrained or were given in a file.
    pub pretrained: Option<Pretrained>,
    /// The images that it has learned; `None` for an untrained network, and when a file does not say.
    pub provenance: Option<Provenance>,
}

/// A long operation, with the unit in which [`Progress`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Looking for a graphics adapter and opening it.
    Engine,
    /// The self-test of a graphics card: its operations and one training step compared with the CPU engine.
    SelfTest,
    /// Fetching compressed images from the page's server. Counted in bytes.
    Fetch,
    /// Decompressing and checking images. Counted in bytes.
    Unpack,
    /// Generating digits, or reading images from disk. Counted in images.
    Data,
    /// Compiling shaders for a graphics card. Counted in shaders.
    Compile,
    /// The first step of a run, which allocates buffers.
    FirstStep,
    /// Training in the current epoch. Counted in images.
    Train,
    /// Validation after an epoch. Counted in images.
    Validate,
    /// Evaluation on the test images, where they are not the validation images. Counted in images.
    Test,
    /// Measuring the speed of the engine. Counted in thousandths.
    Measure,
}

/// Progress of a long operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The operation, which also defines the unit.
    pub phase: Phase,
    /// Units done so far.
    pub done: u64,
    /// Units in all; 0 when unknown.
    pub total: u64,
}

/// The images in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetReport {
    /// The data set.
    pub id: DatasetId,
    /// Number of training images, after limits.
    pub n_train: usize,
    /// Number of validation images, after limits; `None` when the test images are used for validation.
    pub n_validation: Option<usize>,
    /// Number of test images, after limits.
    pub n_test: usize,
    /// Set when these are not the images asked for: a sentence with the reason and a remedy.
    pub fallback: Option<String>,
}

/// Settings and size of a run that starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The settings, as the engine will apply them.
    pub spec: TrainSpec,
    /// Number of parameters, running statistics included.
    pub parameters: usize,
    /// Optimizer steps in one epoch.
    pub steps_per_epoch: usize,
}

/// A run or a model that was restored from a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    /// Settings and size of the run.
    pub plan: RunPlan,
    /// The epoch of the checkpoint, from 1.
    pub epoch: usize,
    /// Number of steps done up to the checkpoint.
    pub n_steps: usize,
    /// Whether the run continues; otherwise only its model was loaded.
    pub goes_on: bool,
}

/// The workers that compute. Their number changes the speed of a run, not its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolReport {
    /// Number of workers that currently share each step, including the session's own.
    pub workers: usize,
    /// Number of workers that did not answer a task; the session's worker computed it instead.
    pub lost: usize,
}

impl Default for PoolReport {
    /// One worker, none lost.
    fn default() -> Self {
        Self { workers: 1, lost: 0 }
    }
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The step, counted over the whole run from 1.
    pub step: usize,
    /// Metrics of this step's batch, in training mode.
    pub batch: Metrics,
    /// Mean metrics over the epoch so far, in training mode.
    pub running: Metrics,
    /// Training images per second over the last few seconds; time spent waiting for commands is excluded. 0 before it
    /// is known.
    pub images_per_second: f64,
}

/// One epoch, trained and validated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Number of epochs of the run.
    pub epochs: usize,
    /// The last step of this epoch, counted over the whole run.
    pub step: usize,
    /// Mean metrics over the epoch, in training mode.
    pub training: Metrics,
    /// Metrics on the validation images, in evaluation mode.
    pub validation: Metrics,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training images per second over the epoch, validation excluded.
    pub images_per_second: f64,
    /// Seconds of training and validation.
    pub elapsed_secs: f64,
}

/// A test image with its pixels. An [`Evaluation`](crate::evaluation::Evaluation) holds only the indices of its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestImage {
    /// Index of the image in its split, from 0.
    pub index: usize,
    /// 784 bytes, row by row; 0 is paper, 255 is ink.
    pub pixels: Vec<u8>,
}

/// An evaluation, with what was evaluated on which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// The metrics.
    pub result: Evaluation,
    /// The networks whose predictions were averaged; one for a single network.
    pub models: Vec<ModelId>,
    /// The data set of the test images.
    pub dataset: DatasetId,
    /// Set when these are not the images asked for: a sentence with the reason and a remedy.
    pub fallback: Option<String>,
}

/// Training speed of an engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpeedMeasurement {
    /// One entry for each network measured so far, in order of increasing work.
    pub speeds: Vec<ModelSpeed>,
    /// Number of workers that shared a step.
    pub workers: usize,
    /// Whether the measurement has ended.
    pub over: bool,
}

/// Training speed of an engine with one network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelSpeed {
    /// The network.
    pub model: ModelId,
    /// Batch size, in images.
    pub batch: usize,
    /// Seconds of preparation and first step, excluded from `images_per_second`. On a graphics card this includes
    /// compiling shaders.
    pub first_step_secs: f64,
    /// Number of steps measured, without the first.
    pub n_steps: usize,
    /// Training images per second: the median over groups of steps.
    pub images_per_second: f64,
}

/// The result of a completed run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Number of test images.
    pub test_images: usize,
    /// Number of test images misclassified.
    pub test_errors: usize,
    /// Metrics of the final weights on the test images.
    pub test: Metrics,
    /// The epoch with the highest validation accuracy.
    pub best: BestEpoch,
    /// Seconds from the start of the run to the last test image.
    pub elapsed_secs: f64,
}

/// The epoch with the highest validation accuracy. Its weights are not saved; the final weights are the result.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Its metrics on the validation images.
    pub validation: Metrics,
}

/// Prints the epoch as Keras does.
impl std::fmt::Display for EpochReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Epoch {}/{} - {:.0}s", self.epoch, self.epochs, self.elapsed_secs)?;
        write!(f, " - loss: {:.4} - accuracy: {:.4}", self.training.loss, self.training.accuracy)?;
        write!(f, " - val_loss: {:.4} - val_accuracy: {:.4}", self.validation.loss, self.validation.accuracy)
    }
}
