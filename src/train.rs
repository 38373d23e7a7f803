//! The trainer: one optimizer step, an evaluation, a prediction. Metrics stay on the device until somebody reads them.

pub mod checkpoint;
mod metrics;
mod optimizer;

pub use checkpoint::Checkpoint;
pub use metrics::{Mean, Tally, read_metrics};

use burn::tensor::ExecutionError;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor, TensorData};

use crate::data::batch::{self, Batch};
use crate::network::{Array, Dropouts, Network, WeightsError};
use crate::spec::{IMAGE_PIXELS, ModelId, N_CLASSES, Prediction, Recipe};
use optimizer::Optimizer;

/// A network with the optimizer that trains it.
pub struct Trainer {
    network: Network,
    optimizer: Optimizer,
    /// Multiplies the network's own dropout rates.
    dropout: f64,
    device: Device,
}

/// What a batch says about the network.
pub struct Backward {
    pub tally: Tally,
    /// One flat tensor a parameter, in the network's order.
    pub gradients: Vec<Tensor<1>>,
    /// The running statistics after this batch, in the network's order.
    pub statistics: Vec<Tensor<1>>,
}

impl Trainer {
    /// A fresh network on `device` (one without gradients), with the optimizer of the model's own recipe.
    pub fn new(model: ModelId, seed: u64, device: &Device) -> Self {
        Self::of(Network::new(model, seed, device), &Recipe::of(model), device)
    }

    /// A trainer that goes on from given weights.
    ///
    /// # Errors
    /// When the arrays are not those of the model.
    pub fn from_arrays(model: ModelId, arrays: &[Array], device: &Device) -> Result<Self, WeightsError> {
        Ok(Self::of(Network::from_arrays(model, arrays, device)?, &Recipe::of(model), device))
    }

    fn of(network: Network, recipe: &Recipe, device: &Device) -> Self {
        let on_cpu = *device == Device::flex();
        let optimizer = Optimizer::new(recipe.optimizer, recipe.weight_decay, network.parameters(), on_cpu);
        Self { network, optimizer, dropout: recipe.dropout, device: device.clone() }
    }

    /// The same network, to be trained by another recipe: with a fresh optimizer.
    pub fn by(self, recipe: &Recipe) -> Self {
        Self::of(self.network, recipe, &self.device)
    }

    /// The same by burn's own operations, on the CPU too: the reference for our kernels.
    #[cfg(feature = "walk")]
    pub fn by_burn(self) -> Self {
        Self { network: self.network.by_burn(), ..self }
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Forth and back through the network in training mode; nothing changes yet.
    pub fn backward(&self, batch: &Batch, dropouts: &mut Dropouts) -> Backward {
        let pass = self.network.forward_train(batch.images.clone(), self.dropout, dropouts);
        let tally = Tally::of(pass.logits.clone(), batch);
        let statistics = pass.statistics.clone();
        // The gradient of the mean cross-entropy.
        let n = batch.len() as f64;
        let gradient = softmax(pass.logits.clone(), 1).sub(batch.targets.clone()).div_scalar(n);
        Backward { tally, gradients: pass.backward(gradient), statistics }
    }

    /// One step of the optimizer. The batch's loss and hits stay on the device.
    pub fn step(&mut self, batch: &Batch, learning_rate: f64, dropouts: &mut Dropouts) -> Tally {
        let Backward { tally, gradients, statistics } = self.backward(batch, dropouts);
        // Taken out, so that nobody else holds them and they change in place.
        let parameters = self.network.take_parameters();
        let slots = self.network.parameter_slots();
        let parameters = self.optimizer.step(parameters, gradients, slots, learning_rate);
        self.network.replace(parameters, statistics);
        tally
    }

    /// Loss and hits on a batch in evaluation mode; they stay on the device.
    pub fn evaluate(&self, batch: &Batch) -> Tally {
        Tally::of(self.network.forward(batch.images.clone()), batch)
    }

    /// Reads images: 784 bytes each, 0 is paper and 255 is ink.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict(&self, pixels: &[u8]) -> Result<Vec<Prediction>, ExecutionError> {
        debug_assert_eq!(pixels.len() % IMAGE_PIXELS, 0);
        let logits = self.network.forward(batch::images(pixels, &self.device));
        let data: TensorData = softmax(logits, 1).into_data_async().await?;
        let numbers: Vec<f32> = data.iter().collect();
        let prediction = |row: &[f32]| Prediction { probabilities: std::array::from_fn(|digit| row[digit]) };
        Ok(numbers.chunks_exact(N_CLASSES).map(prediction).collect())
    }
}

/// Mean cross-entropy in nats.
///
/// # Shapes
/// - `logits`, `targets`: `[batch, 10]`; each row of targets sums to 1
/// - output: `[1]`
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let n = logits.dims()[0] as f64;
    log_softmax(logits, 1).mul(targets).sum().div_scalar(-n)
}
