//! A network that computes: its layers, its arrays, and the passes from images to logits and back to gradients.
//!
//! Arrays are flat tensors without gradients, in one plain list, so the optimizer, checkpoints and running statistics all
//! work on the same. `plan` turns layers into ops, `pass` leads through them, and kernels of our own compute each op: `cpu`
//! on the CPU and `gpu` on a graphics card. A [`Backend`] is all that a network knows of a device.

mod arrays;
pub mod backend;
mod cpu;
mod dropout;
pub mod flex;
#[cfg(feature = "gpu")]
mod gpu;
mod pass;
mod plan;
pub mod single_op;

pub use arrays::{Array, Slot, WeightsError, download, upload};
pub use backend::{Backend, backend, is_gpu};
pub use cpu::softmax;
pub use dropout::{DropoutKey, Dropouts};
#[cfg(feature = "gpu")]
pub use gpu::{GpuContext, numbers as optimizer_numbers, optimize as optimize_on_gpu};
pub use pass::{Pass, Tape};
pub use plan::Op;

use std::rc::Rc;

use arrays::slots;
use burn::tensor::{Device, ExecutionError, Tensor};
use inkling_core::models;
use inkling_core::spec::ModelId;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// Keras's BatchNormalization: added to the variance.
pub const BATCH_NORM_EPSILON: f64 = 1e-3;
/// Keras's BatchNormalization: the share of the running statistics that a step keeps.
const BATCH_NORM_KEPT: f64 = 0.99;
/// A share of the initial statistics below this is not worth removing: its effect is less than a float's rounding.
const NEGLIGIBLE: f64 = 1e-6;

/// Layers with their arrays on a device.
#[derive(Clone)]
pub struct Network {
    model: ModelId,
    slots: Vec<Slot>,
    /// One flat tensor a trained array, in the order of the layers.
    parameters: Vec<Tensor<1>>,
    /// One flat tensor a running statistic, in the order of the layers.
    statistics: Vec<Tensor<1>>,
    /// How much of the running statistics is still their initial values (mean 0, variance 1): 1 at first.
    untrained_share: f64,
    ops: Rc<[Op]>,
    backend: Rc<dyn Backend>,
}

impl Network {
    /// A network with Keras's initial values: Glorot-uniform kernels, gamma and variance 1, the rest 0.
    pub fn new(model: ModelId, seed: u64, device: &Device) -> Self {
        let mut random = Pcg64Mcg::seed_from_u64(seed);
        let arrays: Vec<_> =
            slots(&models::layers(model)).iter().map(|slot| arrays::initial(slot, &mut random)).collect();
        let network = Self::from_arrays(model, &arrays, device);
        let network = network.expect("initial arrays have the network's own names and shapes");
        Self { untrained_share: 1.0, ..network }
    }

    /// A network with the given arrays, in any order.
    ///
    /// # Errors
    /// Names the first array that is missing, surplus, of the wrong shape or not finite.
    pub fn from_arrays(model: ModelId, arrays: &[Array], device: &Device) -> Result<Self, WeightsError> {
        let layers = models::layers(model);
        let slots = slots(&layers);
        if let Some(surplus) = arrays.iter().find(|array| slots.iter().all(|slot| slot.name != array.name)) {
            return Err(WeightsError::Surplus { name: surplus.name.clone() });
        }
        let n_parameters = slots.iter().filter(|slot| slot.trained).count();
        let upload = |slot| upload(slot, arrays, device);
        let mut parameters = slots.iter().map(upload).collect::<Result<Vec<_>, _>>()?;
        let statistics = parameters.split_off(n_parameters);
        Ok(Self {
            model,
            ops: plan::ops(&layers).into(),
            backend: backend(device),
            slots,
            parameters,
            statistics,
            untrained_share: 0.0,
        })
    }

    /// The same network, computed by another backend on the same device: tests bring a reference.
    pub fn with_backend(self, backend: Rc<dyn Backend>) -> Self {
        Self { backend, ..self }
    }

    /// What computes it.
    pub fn backend(&self) -> &Rc<dyn Backend> {
        &self.backend
    }

    /// Which model it is.
    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The trained arrays, flat, in the network's order.
    pub fn parameters(&self) -> &[Tensor<1>] {
        &self.parameters
    }

    /// All arrays as they are, flat, in the network's order.
    pub fn all_arrays(&self) -> impl Iterator<Item = &Tensor<1>> {
        self.parameters.iter().chain(&self.statistics)
    }

    /// Names and shapes of the trained arrays, in the network's order.
    pub fn parameter_slots(&self) -> &[Slot] {
        &self.slots[..self.slots.iter().filter(|slot| slot.trained).count()]
    }

    /// Names and shapes of all arrays: the trained ones, then the running statistics.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Takes the trained arrays out, to be put back changed by [`Network::replace`].
    pub fn take_parameters(&mut self) -> Vec<Tensor<1>> {
        std::mem::take(&mut self.parameters)
    }

    /// Puts new values in the place of all trained arrays, and moves the running statistics towards those of the batch;
    /// all in the network's order.
    pub fn replace(&mut self, parameters: Vec<Tensor<1>>, of_batch: Vec<Tensor<1>>) {
        debug_assert_eq!(parameters.len() + of_batch.len(), self.slots.len());
        self.parameters = parameters;
        self.move_statistics(of_batch);
        self.count_step();
    }

    /// Moves the running statistics towards those of the batch.
    fn move_statistics(&mut self, of_batch: Vec<Tensor<1>>) {
        let running = std::mem::take(&mut self.statistics);
        self.statistics = self.backend.move_statistics(running, of_batch, BATCH_NORM_KEPT);
    }

    /// The running statistics moved once more.
    pub fn count_step(&mut self) {
        self.untrained_share *= BATCH_NORM_KEPT;
    }

    /// All arrays as one row of numbers, in the network's order; the statistics as an evaluation uses them.
    ///
    /// # Panics
    /// When the network lives on another device than the CPU.
    pub fn numbers(&self) -> Vec<f32> {
        let statistics = self.settled_statistics();
        let mut row = Vec::with_capacity(self.n_numbers());
        flex::append(self.parameters.iter().chain(&statistics), &mut row);
        row
    }

    /// Takes every array from such a row.
    ///
    /// # Panics
    /// When the row is of another network.
    pub fn fill(&mut self, numbers: &[f32]) {
        assert_eq!(numbers.len(), self.n_numbers(), "the numbers are of another network");
        let sizes = self.slots.iter().map(Slot::size);
        let mut arrays = flex::split(numbers, sizes);
        self.statistics = arrays.split_off(self.parameters.len());
        (self.parameters, self.untrained_share) = (arrays, 0.0);
    }

    /// The running statistics without what is left of their initial values, which Keras's slow momentum keeps for
    /// hundreds of steps: with them a network that has learned for seconds already reads. Later it is the same.
    fn settled_statistics(&self) -> Vec<Tensor<1>> {
        let share = self.untrained_share;
        // Before the first step there is nothing else.
        if !(NEGLIGIBLE..1.0).contains(&share) {
            return self.statistics.clone();
        }
        let slots = self.slots.iter().filter(|slot| !slot.trained);
        let settled = |(statistic, slot): (&Tensor<1>, &Slot)| {
            let initial = if slot.role == models::Role::MovingVariance { 1.0 } else { 0.0 };
            statistic.clone().sub_scalar(initial * share).div_scalar(1.0 - share)
        };
        self.statistics.iter().zip(slots).map(settled).collect()
    }

    /// Numbers the network holds, running statistics included.
    pub fn n_numbers(&self) -> usize {
        self.slots.iter().map(Slot::size).sum()
    }

    /// Reads every array back, in one transfer; the statistics as an evaluation uses them.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn arrays(&self) -> Result<Vec<Array>, ExecutionError> {
        let statistics = self.settled_statistics();
        download(&self.slots, self.parameters.iter().chain(&statistics)).await
    }

    /// Reads every array back as training goes on with it: the statistics as they are, and how much of them is still their
    /// initial values. [`Network::restore_from`] takes both.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn raw_arrays(&self) -> Result<(Vec<Array>, f64), ExecutionError> {
        let arrays = download(&self.slots, self.parameters.iter().chain(&self.statistics)).await?;
        Ok((arrays, self.untrained_share))
    }

    /// A network from [`Network::raw_arrays`].
    ///
    /// # Errors
    /// As [`Network::from_arrays`].
    pub fn restore_from(
        model: ModelId,
        arrays: &[Array],
        untrained_share: f64,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        Ok(Self { untrained_share, ..Self::from_arrays(model, arrays, device)? })
    }

    /// Logits in evaluation mode: running statistics, no dropout.
    ///
    /// # Shapes
    /// - `images`: `[batch, 1, 28, 28]`, 0 to 1
    /// - output: `[batch, 10]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.backend.evaluate(&self.ops, &self.parameters, &self.settled_statistics(), images)
    }

    /// Logits in training mode: the batch's own statistics, and dropout at `dropout` times the layers' rates.
    ///
    /// # Shapes
    /// - `images`: `[batch, 1, 28, 28]`, 0 to 1, without gradients
    pub fn forward_train(&self, images: Tensor<4>, dropout: f64, key: DropoutKey) -> Pass {
        self.forward_part(images, dropout, key, 0)
    }

    /// The same for the images of a batch from `first_image` on: they are normalised by their own statistics, and drop
    /// what they drop in the whole batch.
    pub fn forward_part(&self, images: Tensor<4>, dropout: f64, key: DropoutKey, first_image: usize) -> Pass {
        let mut dropouts = Dropouts::new(dropout, key, first_image);
        self.backend.train(&self.ops, &self.parameters, images, &mut dropouts)
    }
}
