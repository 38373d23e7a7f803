//! The trainer: a network with its optimizer. It takes optimizer steps, evaluates and predicts. Metrics stay on the
//! device until they are read. Knows nothing of epochs and schedules.

mod batch_source;
pub mod checkpoint;
#[cfg_attr(not(feature = "gpu"), path = "train/no_gpu_steps.rs")]
mod gpu_steps;
mod metrics;
mod optimizer;
mod shard;
pub mod weights_file;

pub use batch_source::{BatchSource, ImageCache};
pub use checkpoint::State;
pub use metrics::{BatchMetrics, Mean, PendingMetrics, read_metrics};
pub use shard::{Replica, ShardGradients, Task, TaskHeader};
pub use weights_file::WeightsFile;

use std::rc::Rc;

use burn::tensor::{Device, ExecutionError, Tensor};
use inkling_core::spec::{IMAGE_PIXELS, ModelId, N_CLASSES, Prediction, Recipe};
use optimizer::Optimizer;

use crate::batch::{self, Batch, BatchPlan};
use crate::network::backend::CrossEntropy;
use crate::network::{Array, Backend, DropoutKey, Network, Pass, WeightsError, softmax};

/// A network with the optimizer that trains it.
pub struct Trainer {
    network: Network,
    optimizer: Optimizer,
    /// Multiplies the network's own dropout rates.
    dropout: f64,
    device: Device,
    /// Recorded steps; on a graphics card only.
    recorder: gpu_steps::Recorder,
}

/// The result of a forward and a backward pass over a batch.
pub struct Backward {
    /// Loss and accuracy of the batch, on the device.
    pub batch_metrics: BatchMetrics,
    /// One flat tensor per parameter, in the network's order.
    pub gradients: Vec<Tensor<1>>,
    /// Mean and variance of the batch in each normalisation, in the order of the network's running statistics.
    pub statistics: Vec<Tensor<1>>,
}

impl Backward {
    /// A forward and a backward pass in training mode over a part of a batch, of which `first_image` is the first
    /// image. The network does not change.
    fn compute(network: &Network, batch: &Batch, dropout: f64, key: DropoutKey, first_image: usize) -> Self {
        Self::from_pass(network, network.forward_part(batch.images.clone(), dropout, key, first_image), batch)
    }

    /// The loss and the backward pass that follow a forward pass in training mode.
    fn from_pass(network: &Network, pass: Pass, batch: &Batch) -> Self {
        let CrossEntropy { sums, gradient } =
            network.backend().cross_entropy(pass.logits.clone(), batch.targets.clone());
        let statistics = pass.statistics.clone();
        Self { batch_metrics: BatchMetrics::new(sums, batch.len()), gradients: pass.backward(gradient), statistics }
    }
}

impl Trainer {
    /// An untrained network, with a new optimizer of the model's default recipe. `device` must not track gradients.
    pub fn new(model: ModelId, seed: u64, device: &Device) -> Self {
        Self::from_network(Network::new(model, seed, device), &Recipe::of(model), device)
    }

    /// A network with given weights, with a new optimizer of the model's default recipe.
    ///
    /// # Errors
    /// When the arrays do not fit the model.
    pub fn from_arrays(model: ModelId, arrays: &[Array], device: &Device) -> Result<Self, WeightsError> {
        Ok(Self::from_network(Network::from_arrays(model, arrays, device)?, &Recipe::of(model), device))
    }

    fn from_network(network: Network, recipe: &Recipe, device: &Device) -> Self {
        let optimizer = Optimizer::new(recipe.optimizer, recipe.weight_decay, network.parameters());
        Self {
            network,
            optimizer,
            dropout: recipe.dropout,
            device: device.clone(),
            recorder: gpu_steps::Recorder::default(),
        }
    }

    /// The same network with a new optimizer of another recipe.
    pub fn with_recipe(self, recipe: &Recipe) -> Self {
        Self::from_network(self.network, recipe, &self.device)
    }

    /// Reads the complete state from the device.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn state(&self) -> Result<State, ExecutionError> {
        let (arrays, untrained_share) = self.network.raw_arrays().await?;
        let (optimizer, n_steps) = self.optimizer.arrays(self.network.parameter_slots()).await?;
        Ok(State { model: self.network.model(), arrays, untrained_share, optimizer, n_steps })
    }

    /// Restores a trainer from [`Trainer::state`] on `device`. The recipe must be the one that trained it.
    ///
    /// # Errors
    /// When the arrays do not fit the model or the recipe's optimizer.
    pub fn restore_from(state: &State, recipe: &Recipe, device: &Device) -> Result<Self, WeightsError> {
        let network = Network::restore_from(state.model, &state.arrays, state.untrained_share, device)?;
        let mut trainer = Self::from_network(network, recipe, device);
        let slots = trainer.network.parameter_slots();
        trainer.optimizer = trainer.optimizer.restore(slots, &state.optimizer, state.n_steps)?;
        Ok(trainer)
    }

    /// The same trainer, computed by another backend on the same device. Tests pass a reference backend.
    pub fn with_backend(self, backend: Rc<dyn Backend>) -> Self {
        Self { network: self.network.with_backend(backend), ..self }
    }

    /// The network with its current weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The device that stores the network.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// A forward and a backward pass in training mode. The network does not change.
    pub fn backward(&self, batch: &Batch, key: DropoutKey) -> Backward {
        Backward::compute(&self.network, batch, self.dropout, key, 0)
    }

    /// Takes one optimizer step. The metrics of the batch stay on the device.
    pub fn step(&mut self, batch: &Batch, learning_rate: f64, key: DropoutKey) -> BatchMetrics {
        let backward = self.backward(batch, key);
        self.apply(backward, learning_rate)
    }

    /// Takes one optimizer step on images of a batch source, like [`Trainer::step`]. If a graphics card stores the
    /// images, the kernel launches of a step are recorded once, and replayed for steps of the same shape.
    ///
    /// # Panics
    /// When an index of the plan is not below the number of images.
    pub fn step_from_source(
        &mut self,
        source: BatchSource<'_>,
        plan: &BatchPlan<'_>,
        learning_rate: f64,
        key: DropoutKey,
    ) -> BatchMetrics {
        if let Some(resident) = source.resident() {
            return gpu_steps::step(self, resident, (source.split, plan), learning_rate, key);
        }
        self.step(&source.batch(plan, &self.device), learning_rate, key)
    }

    /// Takes one optimizer step with given gradients, and updates the running statistics.
    pub fn apply(&mut self, backward: Backward, learning_rate: f64) -> BatchMetrics {
        let step = self.optimizer.begin_step(learning_rate);
        let Backward { batch_metrics, gradients, statistics } = backward;
        // Moved out, not cloned: a tensor without other owners is updated in place.
        let parameters = self.network.take_parameters();
        let (backend, slots) = (self.network.backend(), self.network.parameter_slots());
        let parameters = self.optimizer.step(&**backend, step, parameters, gradients, slots);
        self.network.replace(parameters, statistics);
        batch_metrics
    }

    /// The metrics of a batch in evaluation mode. They stay on the device.
    pub fn evaluate(&self, batch: &Batch) -> BatchMetrics {
        let logits = self.network.forward(batch.images.clone());
        let sums = self.network.backend().cross_entropy(logits, batch.targets.clone()).sums;
        BatchMetrics::new(sums, batch.len())
    }

    /// Classifies images of 784 bytes each; 0 is paper and 255 is ink.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict(&self, pixels: &[u8]) -> Result<Vec<Prediction>, ExecutionError> {
        debug_assert_eq!(pixels.len() % IMAGE_PIXELS, 0);
        self.predict_tensor(batch::images(batch::scale_pixels(pixels), &self.device)).await
    }

    /// Classifies images `[n, 1, 28, 28]`, 0 to 1, on the trainer's own device.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict_tensor(&self, images: Tensor<4>) -> Result<Vec<Prediction>, ExecutionError> {
        let logits = self.network.forward(images);
        Ok(predictions(&logits.into_data_async().await?.iter().collect::<Vec<f32>>()))
    }
}

/// Converts logits, ten per image, to predictions.
fn predictions(logits: &[f32]) -> Vec<Prediction> {
    let prediction = |row: &[f32]| {
        let probabilities = softmax(row);
        Prediction { probabilities: std::array::from_fn(|digit| probabilities[digit]) }
    };
    logits.chunks_exact(N_CLASSES).map(prediction).collect()
}
