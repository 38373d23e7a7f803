//! The trainer: one optimizer step, an evaluation, a prediction. Metrics stay on the device until somebody reads them.

pub mod checkpoint;
mod loss;
mod metrics;
mod optimizer;

pub use checkpoint::Checkpoint;
pub use metrics::{Mean, Tally, read_metrics};

use burn::tensor::ExecutionError;
use burn::tensor::{Device, Tensor};

use crate::data::batch::{self, Batch};
use crate::network::{Array, Dropouts, Network, WeightsError};
use crate::spec::{IMAGE_PIXELS, ModelId, N_CLASSES, Prediction, Recipe};
use loss::{Loss, softmax};
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
        let optimizer = Optimizer::new(recipe.optimizer, recipe.weight_decay, network.parameters());
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
        let Loss { tally, gradient } = Loss::of(pass.logits.clone(), batch);
        let statistics = pass.statistics.clone();
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
        Loss::of(self.network.forward(batch.images.clone()), batch).tally
    }

    /// Reads images: 784 bytes each, 0 is paper and 255 is ink.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict(&self, pixels: &[u8]) -> Result<Vec<Prediction>, ExecutionError> {
        debug_assert_eq!(pixels.len() % IMAGE_PIXELS, 0);
        let logits = self.network.forward(batch::images(pixels, &self.device));
        let numbers: Vec<f32> = logits.into_data_async().await?.iter().collect();
        let prediction = |row: &[f32]| {
            let probabilities = softmax(row);
            Prediction { probabilities: std::array::from_fn(|digit| probabilities[digit]) }
        };
        Ok(numbers.chunks_exact(N_CLASSES).map(prediction).collect())
    }
}
