//! Estimate of the memory of a training run, from the layers alone. It never asks a device.

use super::layers::with_inputs;
use super::{Layer, Role};
use crate::spec::{IMAGE_PIXELS, OptimizerId};

/// Bytes of one number (`f32`).
const NUMBER: u64 = 4;
/// Arrays of the size of a layer's output: the output saved for backward, its gradient, and a working copy.
const COPIES: u64 = 3;

/// Memory of a training run, in bytes, by purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters and running statistics of the network.
    pub weights: u64,
    /// Gradients of the parameters.
    pub gradients: u64,
    /// State of the optimizer, such as moments.
    pub optimizer: u64,
    /// Activations of one batch and their gradients.
    pub activations: u64,
    /// The largest single array, weight or activation. Graphics adapters limit it separately from the total; it is not
    /// part of [`Memory::total`].
    pub largest_tensor: u64,
}

impl Memory {
    /// Sum of weights, gradients, optimizer state and activations.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations
    }
}

/// The memory of a training run with these layers and `batch` images per step.
pub fn memory(layers: &[Layer], batch: usize, optimizer: OptimizerId) -> Memory {
    let batch = batch as u64;
    let image = IMAGE_PIXELS as u64 * batch;
    let (mut trained, mut statistics, mut activations, mut largest) = (0, 0, image, image);
    for (layer, input) in with_inputs(layers) {
        let arrays: Vec<u64> = layer.parameters(input).iter().map(size).collect();
        let output = layer.output(input).size() as u64 * batch;
        trained += arrays.iter().sum::<u64>();
        statistics += layer.statistics(input).iter().map(size).sum::<u64>();
        activations += output;
        largest = arrays.into_iter().chain([output, largest]).max().unwrap_or(largest);
    }
    Memory {
        weights: NUMBER * (trained + statistics),
        gradients: NUMBER * trained,
        optimizer: NUMBER * trained * state_arrays(optimizer),
        activations: NUMBER * COPIES * activations,
        largest_tensor: NUMBER * largest,
    }
}

/// Number of elements of an array with this shape.
fn size((_, shape): &(Role, Vec<usize>)) -> u64 {
    shape.iter().map(|side| *side as u64).product()
}

/// Number of state arrays that an optimizer holds per trained array.
fn state_arrays(optimizer: OptimizerId) -> u64 {
    match optimizer {
        OptimizerId::Adam | OptimizerId::AdamW | OptimizerId::Adadelta => 2,
        OptimizerId::Sgd | OptimizerId::RmsProp => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{self, Conv};
    use crate::spec::ModelId;

    fn of(model: ModelId, batch: usize, optimizer: OptimizerId) -> Memory {
        memory(&models::layers(model), batch, optimizer)
    }

    #[test]
    fn a_small_network_is_counted_by_hand() {
        let layers = [Layer::Conv(Conv::valid(2, 27)), Layer::BatchNorm, Layer::Flatten, Layer::Dense(10)];
        // Convolution: 2·27² + 2. BatchNorm: 4 trained parameters and 4 statistics. Dense layer: 8·10 + 10.
        let (trained, statistics) = (1460 + 4 + 90, 4);
        let activations = 784 + 8 + 8 + 8 + 10;
        let expected = Memory {
            weights: 4 * (trained + statistics),
            gradients: 4 * trained,
            optimizer: 4 * trained,
            activations: 4 * 3 * activations * 5,
            largest_tensor: 4 * 784 * 5,
        };
        assert_eq!(memory(&layers, 5, OptimizerId::Sgd), expected);
        let adam = memory(&layers, 5, OptimizerId::AdamW);
        assert_eq!((adam.optimizer, adam.total()), (2 * expected.optimizer, expected.total() + expected.optimizer));
    }

    #[test]
    fn wide_needs_the_memory_of_its_arrays() {
        let wide = of(ModelId::Wide, 32, OptimizerId::Adam);
        assert_eq!(wide.weights + wide.gradients + wide.optimizer, 42_579_946 * 4 * 4);
        assert_eq!(wide.largest_tensor, 3136 * 8192 * 4, "the kernel of the first dense layer");
    }

    #[test]
    fn large_batches_do_not_overflow_32_bits() {
        let wide = of(ModelId::Wide, 4096, OptimizerId::Adam);
        assert!(wide.activations > u64::from(u32::MAX), "{}", wide.activations);
        assert_eq!(wide.largest_tensor, 28 * 28 * 32 * 4096 * 4, "an output of the first convolution");
    }
}
