//! The trainer: one optimizer step, an evaluation, a prediction. Metrics stay on the device until somebody reads them.

pub mod checkpoint;
mod feed;
mod loss;
mod metrics;
mod optimizer;
#[cfg(feature = "gpu")]
mod recorded;
mod share;
pub mod snapshot;

pub use checkpoint::Checkpoint;
pub use feed::{Feed, Shelf};
pub use metrics::{Mean, Tallies, Tally, read_metrics};
pub use share::{Brief, Replica, Share, Task};
pub use snapshot::State;

use burn::tensor::{Device, ExecutionError, Tensor};
use inkling_core::spec::{IMAGE_PIXELS, ModelId, N_CLASSES, Prediction, Recipe};
use loss::{Loss, softmax};
use optimizer::Optimizer;

use crate::batch::{self, Batch, Picks};
use crate::network::{Array, DropoutKey, Network, Pass, WeightsError};

/// A network with the optimizer that trains it.
pub struct Trainer {
    network: Network,
    optimizer: Optimizer,
    /// Multiplies the network's own dropout rates.
    dropout: f64,
    device: Device,
    /// Its steps on a card.
    #[cfg(feature = "gpu")]
    recorder: recorded::Recorder,
}

/// What a batch says about the network.
pub struct Backward {
    pub tally: Tally,
    /// One flat tensor a parameter, in the network's order.
    pub gradients: Vec<Tensor<1>>,
    /// Mean and variance of the batch in each normalisation, in the order of the network's running statistics.
    pub statistics: Vec<Tensor<1>>,
}

impl Backward {
    /// Forth and back through a network in training mode, for a part of a batch; nothing changes yet.
    fn through(network: &Network, batch: &Batch, dropout: f64, key: DropoutKey, first_image: usize) -> Self {
        Self::of(network.forward_part(batch.images.clone(), dropout, key, first_image), batch)
    }

    /// The way back of a pass in training mode.
    fn of(pass: Pass, batch: &Batch) -> Self {
        let Loss { tally, gradient } = Loss::of(pass.logits.clone(), batch);
        let statistics = pass.statistics.clone();
        Self { tally, gradients: pass.backward(gradient), statistics }
    }
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
        Self {
            network,
            optimizer,
            dropout: recipe.dropout,
            device: device.clone(),
            #[cfg(feature = "gpu")]
            recorder: recorded::Recorder::default(),
        }
    }

    /// The same network, to be trained by another recipe: with a fresh optimizer.
    pub fn by(self, recipe: &Recipe) -> Self {
        Self::of(self.network, recipe, &self.device)
    }

    /// Reads back everything that training goes on from.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn state(&self) -> Result<State, ExecutionError> {
        let (arrays, untrained_share) = self.network.raw_arrays().await?;
        let (optimizer, n_steps) = self.optimizer.arrays(self.network.parameter_slots()).await?;
        Ok(State { model: self.network.model(), arrays, untrained_share, optimizer, n_steps })
    }

    /// A trainer that goes on from a state, on `device`, by the recipe that led there.
    ///
    /// # Errors
    /// When the state is not that of such a trainer.
    pub fn going_on(state: &State, recipe: &Recipe, device: &Device) -> Result<Self, WeightsError> {
        let network = Network::going_on(state.model, &state.arrays, state.untrained_share, device)?;
        let mut trainer = Self::of(network, recipe, device);
        let slots = trainer.network.parameter_slots();
        trainer.optimizer = trainer.optimizer.going_on(slots, &state.optimizer, state.n_steps)?;
        Ok(trainer)
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
    pub fn backward(&self, batch: &Batch, key: DropoutKey) -> Backward {
        Backward::through(&self.network, batch, self.dropout, key, 0)
    }

    /// One step of the optimizer. The batch's loss and hits stay on the device.
    pub fn step(&mut self, batch: &Batch, learning_rate: f64, key: DropoutKey) -> Tally {
        let backward = self.backward(batch, key);
        self.apply(backward, learning_rate)
    }

    /// One step of the optimizer on images of a feed: as [`Trainer::step`], but where a card has the images, steps alike
    /// are recorded once and played again.
    ///
    /// # Panics
    /// When an index is not below the number of images.
    pub fn step_on(&mut self, feed: Feed<'_>, picks: &Picks<'_>, learning_rate: f64, key: DropoutKey) -> Tally {
        #[cfg(feature = "gpu")]
        if let Some(resident) = feed.resident() {
            return recorded::step(self, resident, (feed.split, picks), learning_rate, key);
        }
        self.step(&feed.batch(picks, &self.device), learning_rate, key)
    }

    /// What the optimizer makes of gradients; the running statistics move towards the batch's.
    pub fn apply(&mut self, backward: Backward, learning_rate: f64) -> Tally {
        let step = self.optimizer.begin_step(learning_rate);
        #[cfg(feature = "gpu")]
        if self.device != Device::flex() {
            let numbers = crate::network::Card::on(&self.device).gpu.upload(&step.numbers());
            let tally = self.apply_on_card(backward, &numbers);
            self.network.count_step();
            return tally;
        }
        let Backward { tally, gradients, statistics } = backward;
        // Taken out, so that nobody else holds them and they change in place.
        let parameters = self.network.take_parameters();
        let slots = self.network.parameter_slots();
        let parameters = self.optimizer.step(step, parameters, gradients, slots);
        self.network.replace(parameters, statistics);
        tally
    }

    /// The same by numbers that are on the card, in place; nothing is counted.
    #[cfg(feature = "gpu")]
    fn apply_on_card(&self, backward: Backward, numbers: &inkling_shaders::Array) -> Tally {
        let Backward { tally, gradients, statistics } = backward;
        let (network, slots) = (&self.network, self.network.parameter_slots());
        self.optimizer.step_on_card(numbers, network.parameters(), gradients, slots);
        network.move_statistics(&statistics);
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
        self.read(batch::images(batch::scaled(pixels), &self.device)).await
    }

    /// Reads images `[n, 1, 28, 28]`, 0 to 1, on the trainer's own device.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn read(&self, images: Tensor<4>) -> Result<Vec<Prediction>, ExecutionError> {
        let logits = self.network.forward(images);
        Ok(predictions(&logits.into_data_async().await?.iter().collect::<Vec<f32>>()))
    }
}

/// Ten logits an image as predictions.
fn predictions(logits: &[f32]) -> Vec<Prediction> {
    let prediction = |row: &[f32]| {
        let probabilities = softmax(row);
        Prediction { probabilities: std::array::from_fn(|digit| probabilities[digit]) }
    };
    logits.chunks_exact(N_CLASSES).map(prediction).collect()
}
