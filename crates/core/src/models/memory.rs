//! What a training run holds in memory, estimated from the layers alone. Pure; it asks no device.

use super::Layer;
use super::layers::with_inputs;
use crate::spec::{IMAGE_PIXELS, OptimizerId};

/// Bytes of one number.
const NUMBER: u64 = 4;
/// What a layer's output costs in all: itself, kept for the way back, its gradient, and a working copy.
const COPIES: u64 = 3;

/// Bytes that a training run needs, by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The network itself, running statistics included.
    pub weights: u64,
    pub gradients: u64,
    /// What the optimizer remembers of earlier gradients.
    pub optimizer: u64,
    /// What flows between the layers, for one batch, forward and back.
    pub activations: u64,
    /// The largest single array, be it a weight or an activation: adapters limit it apart from the total.
    pub largest_tensor: u64,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.gradients + self.optimizer + self.activations
    }
}

/// The memory of a training run with these layers and so many images a step.
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
        optimizer: NUMBER * trained * arrays_kept(optimizer),
        activations: NUMBER * COPIES * activations,
        largest_tensor: NUMBER * largest,
    }
}

/// Numbers in an array of this shape.
fn size((_, shape): &(&str, Vec<usize>)) -> u64 {
    shape.iter().map(|side| *side as u64).product()
}

/// Arrays that an optimizer keeps for each one it trains.
fn arrays_kept(optimizer: OptimizerId) -> u64 {
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
        // 2·27² + 2 of the convolution, 4 trained and 4 counted by the normalisation, 8·10 + 10 of the dense layer.
        let (trained, statistics) = (1460 + 4 + 90, 4);
        let flowing = 784 + 8 + 8 + 8 + 10;
        let expected = Memory {
            weights: 4 * (trained + statistics),
            gradients: 4 * trained,
            optimizer: 4 * trained,
            activations: 4 * 3 * flowing * 5,
            largest_tensor: 4 * 784 * 5,
        };
        assert_eq!(memory(&layers, 5, OptimizerId::Sgd), expected);
        let adam = memory(&layers, 5, OptimizerId::AdamW);
        assert_eq!((adam.optimizer, adam.total()), (2 * expected.optimizer, expected.total() + expected.optimizer));
    }

    #[test]
    fn wide_takes_as_much_as_its_arrays_do() {
        let wide = of(ModelId::Wide, 32, OptimizerId::Adam);
        assert_eq!(wide.weights + wide.gradients + wide.optimizer, 42_579_946 * 4 * 4);
        assert_eq!(wide.largest_tensor, 3136 * 8192 * 4, "the kernel of the first dense layer");
    }

    #[test]
    fn batches_count_beyond_what_32_bits_hold() {
        let wide = of(ModelId::Wide, 4096, OptimizerId::Adam);
        assert!(wide.activations > u64::from(u32::MAX), "{}", wide.activations);
        assert_eq!(wide.largest_tensor, 28 * 28 * 32 * 4096 * 4, "an output of the first convolution");
    }
}
