//! The trainer: one optimizer step, an evaluation, a prediction. Metrics stay on the device until somebody reads them.

pub mod checkpoint;
mod metrics;
mod optimizer;
pub mod recipe;

pub use metrics::{Mean, Tally, read_metrics};

use burn::tensor::ExecutionError;
use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{Device, Tensor};

use crate::data::batch::{self, Batch};
use crate::spec::{ModelId, N_CLASSES, Prediction};
use crate::zoo::{Array, Dropouts, Network, WeightsError};
use optimizer::Adam;

/// A network with the optimizer that trains it.
pub struct Trainer {
    network: Network,
    optimizer: Adam,
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
    /// A fresh network on `device` (one without gradients).
    pub fn new(model: ModelId, seed: u64, device: &Device) -> Self {
        Self::of(Network::new(model, seed, device), device)
    }

    /// A trainer that goes on from given weights.
    ///
    /// # Errors
    /// When the arrays are not those of the model.
    pub fn from_arrays(model: ModelId, arrays: &[Array], device: &Device) -> Result<Self, WeightsError> {
        Ok(Self::of(Network::from_arrays(model, arrays, device)?, device))
    }

    fn of(network: Network, device: &Device) -> Self {
        Self { optimizer: Adam::new(network.parameters()), network, device: device.clone() }
    }

    pub fn network(&self) -> &Network {
        &self.network
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Forth and back through the network in training mode; nothing changes yet.
    pub fn backward(&self, batch: &Batch, dropouts: &mut Dropouts) -> Backward {
        let pass = self.network.forward_train(batch.images.clone(), dropouts);
        let tally = Tally::of(pass.logits.clone().inner(), batch);
        let gradients = cross_entropy(pass.logits, batch.targets.clone().autodiff()).backward();
        let gradient = |parameter: Tensor<1>| {
            parameter.grad(&gradients).expect("every parameter of a sequence of layers has a gradient")
        };
        Backward { tally, gradients: pass.parameters.into_iter().map(gradient).collect(), statistics: pass.statistics }
    }

    /// One step of the optimizer. The batch's loss and hits stay on the device.
    pub fn step(&mut self, batch: &Batch, learning_rate: f64, dropouts: &mut Dropouts) -> Tally {
        let Backward { tally, gradients, statistics } = self.backward(batch, dropouts);
        let parameters = self.network.parameters().to_vec();
        self.network.replace(self.optimizer.step(parameters, gradients, learning_rate), statistics);
        tally
    }

    /// Loss and hits on a batch in evaluation mode; they stay on the device.
    pub fn evaluate(&self, batch: &Batch) -> Tally {
        Tally::of(self.network.forward(batch.images.clone()), batch)
    }

    /// Reads one image: 784 bytes, 0 is paper and 255 is ink.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn predict(&self, pixels: &[u8]) -> Result<Prediction, ExecutionError> {
        let logits = self.network.forward(batch::single(pixels, &self.device));
        let data = softmax(logits, 1).into_data_async().await?;
        let mut probabilities = [0.0; N_CLASSES];
        probabilities.iter_mut().zip(data.iter::<f32>()).for_each(|(to, from)| *to = from);
        Ok(Prediction { probabilities })
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
