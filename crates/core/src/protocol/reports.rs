//! What events report.

use serde::{Deserialize, Serialize};

use crate::spec::{DatasetId, EngineChoice, Metrics, ModelId, Pretrained, TrainSpec};

/// An engine that computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EngineKind {
    WebGpu,
    Gpu,
    Cpu,
}

impl EngineKind {
    /// The id that [`EngineChoice`] uses for it.
    pub fn id(self) -> &'static str {
        match self {
            Self::WebGpu => EngineChoice::WebGpu.id(),
            Self::Gpu => EngineChoice::Gpu.id(),
            Self::Cpu => EngineChoice::Cpu.id(),
        }
    }
}

/// Which engine computes, and why not another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineReport {
    pub kind: EngineKind,
    /// The adapter's own name, or the kind of SIMD.
    pub adapter: String,
    /// The adapter is a program, not hardware: slower than the CPU engine.
    pub software: bool,
    /// Why a faster engine was not taken, if one was tried.
    pub passed_over: Option<String>,
    /// Multiply-adds a second while training, as a few steps showed; `None` where they were not tried.
    pub work_per_sec: Option<f64>,
    /// Which kernels are faster on this card, where that was measured.
    pub kernels: Option<Kernels>,
}

/// Which kernels are faster on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernels {
    /// A hash of the adapter's name: on another card something else is faster.
    pub adapter: u64,
    /// Those that compute in tiles of a workgroup's memory.
    pub tiles: bool,
}

impl Kernels {
    /// As text, for this build alone: other kernels may be faster in the next.
    pub fn to_keep(self, build: &str) -> String {
        format!("{build} {:x} {}", self.adapter, self.tiles)
    }

    /// From such a text; nothing where it is another build's, or none.
    pub fn kept(text: &str, build: &str) -> Option<Self> {
        let [of, adapter, tiles] = text.split(' ').collect::<Vec<_>>()[..] else { return None };
        if of != build {
            return None;
        }
        Some(Self { adapter: u64::from_str_radix(adapter, 16).ok()?, tiles: tiles.parse().ok()? })
    }
}

/// A network that is ready to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkReport {
    pub model: ModelId,
    /// Numbers the network holds, running statistics included.
    pub parameters: usize,
    /// Where its weights come from; `None` when it knows nothing yet.
    pub pretrained: Option<Pretrained>,
}

/// What takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Looking for an adapter and opening it.
    Engine,
    /// One training step on both engines, compared.
    SelfTest,
    /// Fetching packed images from beside the page. Counted in bytes.
    Fetch,
    /// Unpacking and checking them. Counted in bytes.
    Unpack,
    /// Drawing digits, or reading them from disk. Counted in images.
    Data,
    /// Shaders that a graphics card needs. Counted.
    Compile,
    /// The first step of a run, which finds its buffers.
    FirstStep,
    /// Optimizer steps of the current epoch.
    Train,
    /// Images read so far, of those that are read after every epoch.
    Validate,
    /// Test images read so far, where they are others than those.
    Test,
    /// How fast the engine is. Counted in thousandths.
    Measure,
}

/// How far something has come. `total` is 0 when it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub phase: Phase,
    pub done: u64,
    pub total: u64,
}

/// The images in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetReport {
    pub id: DatasetId,
    /// Training images, after limits.
    pub n_train: usize,
    /// Images to validate on, after limits; `None` when these are the test images.
    pub n_validation: Option<usize>,
    /// Test images, after limits.
    pub n_test: usize,
    /// Set when these are not the images that were asked for: why, and what to do.
    pub fallback: Option<String>,
}

/// What a run is going to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPlan {
    pub spec: TrainSpec,
    /// Numbers the network holds, running statistics included.
    pub parameters: usize,
    pub steps_per_epoch: usize,
}

/// A run that goes on from where a snapshot was taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Restored {
    pub plan: RunPlan,
    /// The epoch that goes on, from 1.
    pub epoch: usize,
    /// Steps that are not lost.
    pub n_steps: usize,
    /// The run goes on; otherwise its network only reads.
    pub goes_on: bool,
}

/// Who computes. It changes how fast a run goes, not what comes out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrewReport {
    /// Workers that share each step at the moment, the session's own among them.
    pub workers: usize,
    /// Workers that left a shard without an answer; the others took it over.
    pub lost: usize,
}

impl Default for CrewReport {
    /// One worker, and none lost.
    fn default() -> Self {
        Self { workers: 1, lost: 0 }
    }
}

/// One optimizer step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// From 1.
    pub epoch: usize,
    /// Counted over the whole run, from 1.
    pub step: usize,
    /// Of this step's batch alone, in training mode.
    pub batch: Metrics,
    /// Mean over the epoch so far, in training mode.
    pub running: Metrics,
    /// Training images a second, over the last few seconds, the waiting for commands excluded.
    pub images_per_second: f64,
}

/// One epoch, trained and validated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochReport {
    /// From 1.
    pub epoch: usize,
    pub epochs: usize,
    /// The last step of this epoch, counted over the whole run.
    pub step: usize,
    /// Mean over the epoch, in training mode.
    pub training: Metrics,
    /// Over the images to validate on, in evaluation mode.
    pub validation: Metrics,
    /// Of the epoch's last step.
    pub learning_rate: f64,
    pub images_per_second: f64,
    /// Training and validation together.
    pub elapsed_secs: f64,
}

/// An image to be shown. A judgement, which is recorded, only names its images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Which image, counted from 0 in the order of its split.
    pub index: usize,
    /// 784 bytes, row by row, 0 is paper and 255 is ink.
    pub pixels: Vec<u8>,
}

/// How fast an engine trains.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpeedReport {
    /// One for each network that was measured, the one that takes least first.
    pub paces: Vec<Pace>,
    /// How many workers shared a step.
    pub workers: usize,
    /// Nothing more comes.
    pub over: bool,
}

/// How fast an engine trains one network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    pub model: ModelId,
    /// Images in one step.
    pub batch: usize,
    /// Until the first step was done, which is not part of the pace; on a graphics card with compiling its shaders.
    pub first_step_secs: f64,
    /// Steps that the pace was taken from.
    pub n_steps: usize,
    /// Median over groups of steps.
    pub images_per_second: f64,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    pub test_images: usize,
    pub test_errors: usize,
    /// Of the weights after the last epoch.
    pub test: Metrics,
    pub best: BestEpoch,
    pub elapsed_secs: f64,
}

/// The epoch that did best on the images for validation. Its weights are not kept: the last ones count.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// From 1.
    pub epoch: usize,
    pub validation: Metrics,
}

/// As Keras prints it.
impl std::fmt::Display for EpochReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Epoch {}/{} - {:.0}s", self.epoch, self.epochs, self.elapsed_secs)?;
        write!(f, " - loss: {:.4} - accuracy: {:.4}", self.training.loss, self.training.accuracy)?;
        write!(f, " - val_loss: {:.4} - val_accuracy: {:.4}", self.validation.loss, self.validation.accuracy)
    }
}
