//! From a split to tensors: the order of an epoch and the images of a step.

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::Split;
use super::augment::Bender;
use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES, Recipe};

/// Images with their labels on a device.
pub struct Batch {
    /// `[batch, 1, 28, 28]`, 0 to 1.
    pub images: Tensor<4>,
    /// `[batch, 10]`, 1 at the label, or as far as label smoothing leaves it: greatest there in any case.
    pub targets: Tensor<2>,
}

impl Batch {
    /// Uploads the images at `indices`.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn gather(split: &Split, indices: &[usize], device: &Device) -> Self {
        let pixels = indices.iter().flat_map(|&i| split.image(i)).map(|&p| f32::from(p) / 255.0).collect();
        Self::upload(pixels, split, indices, 0.0, device)
    }

    /// The same for training: bent and with softened targets, as the recipe says.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn bent(split: &Split, indices: &[usize], recipe: &Recipe, random: &mut Pcg64Mcg, device: &Device) -> Self {
        if recipe.augment.is_none() && recipe.label_smoothing == 0.0 {
            return Self::gather(split, indices, device);
        }
        let bender = Bender::new(&recipe.augment);
        let mut pixels = vec![0.0; indices.len() * IMAGE_PIXELS];
        for (&index, to) in indices.iter().zip(pixels.chunks_exact_mut(IMAGE_PIXELS)) {
            bender.bend(split.image(index), random, to);
        }
        Self::upload(pixels, split, indices, recipe.label_smoothing, device)
    }

    fn upload(pixels: Vec<f32>, split: &Split, indices: &[usize], smoothing: f64, device: &Device) -> Self {
        let n = indices.len();
        let spread = smoothing / N_CLASSES as f64;
        let mut targets = vec![spread as f32; n * N_CLASSES];
        for (row, &index) in indices.iter().enumerate() {
            targets[row * N_CLASSES + usize::from(split.labels[index])] = (1.0 - smoothing + spread) as f32;
        }
        Self {
            images: Tensor::from_data(TensorData::new(pixels, [n, 1, IMAGE_SIDE, IMAGE_SIDE]), device),
            targets: Tensor::from_data(TensorData::new(targets, [n, N_CLASSES]), device),
        }
    }

    /// Images in the batch.
    pub fn len(&self) -> usize {
        self.images.dims()[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Images of 784 bytes each as `[n, 1, 28, 28]`, 0 to 1.
pub fn images(pixels: &[u8], device: &Device) -> Tensor<4> {
    let values: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    Tensor::from_data(TensorData::new(values, [pixels.len() / IMAGE_PIXELS, 1, IMAGE_SIDE, IMAGE_SIDE]), device)
}

/// The order in which an epoch (from 1) visits `n` images.
pub fn order(seed: u64, epoch: usize, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut random(seed, epoch, 0));
    order
}

/// Randomness of its own for a step (from 1) of an epoch: nothing needs to be kept for an exact resume.
pub fn random(seed: u64, epoch: usize, step: usize) -> Pcg64Mcg {
    // Odd constants spread the three numbers over all 64 bits (the golden ratio and two of SplitMix64's).
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (epoch as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9)
        ^ (step as u64).wrapping_mul(0x94D0_49BB_1331_11EB);
    Pcg64Mcg::seed_from_u64(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_visits_every_image_once_in_an_order_of_its_own() {
        let first = order(7, 1, 1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(first, order(7, 1, 1000));
        assert_ne!(first, order(7, 2, 1000));
        assert_ne!(first, order(8, 1, 1000));
    }
}
