//! A network that computes: its layers, its arrays, and the way from images to logits and back to gradients.
//!
//! Arrays are flat tensors without gradients, in one plain list, so the optimizer, snapshots and running statistics all
//! work on the same. Kernels of our own lead through the layers: [`cpu`] on the CPU and [`gpu`] on a graphics card, over the
//! same [`plan`]. A third way, [`walk`], takes burn's operations and its automatic differentiation; tests hold all to it.

mod arrays;
mod cpu;
mod dropout;
pub mod flex;
#[cfg(feature = "gpu")]
mod gpu;
mod plan;
pub mod single;
#[cfg(feature = "walk")]
mod walk;

pub use arrays::{Array, Slot, WeightsError, download, upload};
pub use dropout::{DropoutKey, Dropouts};
#[cfg(feature = "gpu")]
pub use gpu::{Card, arrays as card_arrays};

use std::rc::Rc;

use arrays::slots;
use burn::tensor::{Device, ExecutionError, Tensor};
use inkling_core::models;
use inkling_core::spec::ModelId;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;

/// Keras's BatchNormalization: added to the variance.
const BATCH_NORM_EPSILON: f64 = 1e-3;
/// Keras's BatchNormalization: how much of the running statistics a step keeps.
const BATCH_NORM_KEPT: f64 = 0.99;
/// A share of the initial statistics below this is not worth removing: less than a float's own rounding in effect.
const NEGLIGIBLE: f64 = 1e-6;

/// A pass in training mode, on its way back.
pub struct Pass {
    /// `[batch, 10]`, without gradients.
    pub logits: Tensor<2>,
    /// Mean and variance of this very batch in each normalisation, in the order of the network's running statistics.
    pub statistics: Vec<Tensor<1>>,
    tape: Tape,
}

/// What the way back needs.
enum Tape {
    Cpu(Box<cpu::Tape>),
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::Tape>),
    #[cfg(feature = "walk")]
    Walk(Box<walk::Tape>),
}

impl Pass {
    /// The gradient of every trained array, in the network's order, from that of the logits.
    pub fn backward(self, logits_gradient: Tensor<2>) -> Vec<Tensor<1>> {
        match self.tape {
            Tape::Cpu(tape) => tape.backward(logits_gradient),
            #[cfg(feature = "gpu")]
            Tape::Gpu(tape) => tape.backward(logits_gradient),
            #[cfg(feature = "walk")]
            Tape::Walk(tape) => tape.backward(logits_gradient),
        }
    }
}

/// Which way leads through the layers.
#[derive(Clone)]
enum Machine {
    /// Our kernels on the CPU.
    Cpu(Rc<cpu::Machine>),
    /// Our kernels on a graphics card.
    #[cfg(feature = "gpu")]
    Gpu(Rc<gpu::Machine>),
    /// burn's operations.
    #[cfg(feature = "walk")]
    Walk,
}

impl Machine {
    fn new(layers: &[models::Layer], device: &Device) -> Self {
        #[cfg(feature = "gpu")]
        if *device != Device::flex() {
            return Self::Gpu(Rc::new(gpu::Machine::new(layers)));
        }
        debug_assert_eq!(*device, Device::flex(), "this program was built for the CPU alone");
        Self::Cpu(Rc::new(cpu::Machine::new(layers)))
    }
}

/// Layers with their arrays on a device.
#[derive(Clone)]
pub struct Network {
    model: ModelId,
    #[cfg(feature = "walk")]
    layers: Vec<models::Layer>,
    slots: Vec<Slot>,
    /// One flat tensor a trained array, in the order of the layers.
    parameters: Vec<Tensor<1>>,
    /// One flat tensor a running statistic, in the order of the layers.
    statistics: Vec<Tensor<1>>,
    /// How much of the running statistics is still their initial values (mean 0, variance 1): 1 at first.
    untrained_share: f64,
    machine: Machine,
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
            machine: Machine::new(&layers, device),
            #[cfg(feature = "walk")]
            layers,
            slots,
            parameters,
            statistics,
            untrained_share: 0.0,
        })
    }

    /// The same network by burn's own operations: the reference for our kernels.
    #[cfg(feature = "walk")]
    pub fn by_burn(self) -> Self {
        Self { machine: Machine::Walk, ..self }
    }

    pub fn model(&self) -> ModelId {
        self.model
    }

    /// The trained arrays, flat, in the network's order.
    pub fn parameters(&self) -> &[Tensor<1>] {
        &self.parameters
    }

    /// All arrays as they are, flat, in the network's order.
    #[cfg(feature = "gpu")]
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
        let moved = |(running, batch): (&Tensor<1>, Tensor<1>)| {
            running.clone().mul_scalar(BATCH_NORM_KEPT).add(batch.mul_scalar(1.0 - BATCH_NORM_KEPT))
        };
        self.statistics = self.statistics.iter().zip(of_batch).map(moved).collect();
        self.count_step();
    }

    /// Moves the running statistics on a card towards those of the batch, in place.
    #[cfg(feature = "gpu")]
    pub fn move_statistics(&self, of_batch: &[Tensor<1>]) {
        let pairs = self.statistics.chunks_exact(2).zip(of_batch.chunks_exact(2));
        pairs.for_each(|(running, batch)| gpu::move_statistics(running, batch));
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
            let initial = if slot.role() == "moving_variance" { 1.0 } else { 0.0 };
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
    /// initial values. [`Network::going_on`] takes both.
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
    pub fn going_on(
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
        let statistics = self.settled_statistics();
        match &self.machine {
            Machine::Cpu(machine) => machine.evaluate(&self.parameters, &statistics, images),
            #[cfg(feature = "gpu")]
            Machine::Gpu(machine) => machine.evaluate(&self.parameters, &statistics, images),
            #[cfg(feature = "walk")]
            Machine::Walk => walk::evaluate(&self.layers, &self.parameters, &statistics, images),
        }
    }

    /// Logits in training mode: the batch's own statistics, and dropout at `dropout` times the layers' rates.
    ///
    /// # Shapes
    /// - `images`: `[batch, 1, 28, 28]`, 0 to 1, without gradients
    pub fn forward_train(&self, images: Tensor<4>, dropout: f64, key: DropoutKey) -> Pass {
        self.forward_part(images, dropout, key, 0)
    }

    /// The same on a card that has the words of the key already: [`DropoutKey::words`].
    ///
    /// # Panics
    /// When the network lives elsewhere.
    #[cfg(feature = "gpu")]
    pub fn forward_with(&self, images: Tensor<4>, dropout: f64, key: inkling_shaders::Array) -> Pass {
        let Machine::Gpu(machine) = &self.machine else { panic!("only a card has keys") };
        // The key's own words are not asked for.
        let mut dropouts = Dropouts::new(dropout, DropoutKey::of(0, 0), 0);
        gpu::Machine::train(machine, &self.parameters, images, &mut dropouts, Some(key))
    }

    /// The same for the images of a batch from `first_image` on: they are normalised by their own statistics, and drop
    /// what they drop in the whole batch.
    pub fn forward_part(&self, images: Tensor<4>, dropout: f64, key: DropoutKey, first_image: usize) -> Pass {
        let mut dropouts = Dropouts::new(dropout, key, first_image);
        match &self.machine {
            Machine::Cpu(machine) => cpu::Machine::train(machine, &self.parameters, images, &mut dropouts),
            #[cfg(feature = "gpu")]
            Machine::Gpu(machine) => gpu::Machine::train(machine, &self.parameters, images, &mut dropouts, None),
            #[cfg(feature = "walk")]
            Machine::Walk => walk::train(&self.layers, &self.parameters, &self.statistics, images, &mut dropouts),
        }
    }
}
