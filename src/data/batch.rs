//! From a split to tensors: the order of an epoch and the images of a step.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::Split;
use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES};

/// Images with their labels on a device.
pub struct Batch {
    /// `[batch, 1, 28, 28]`, 0 to 1.
    pub images: Tensor<4>,
    /// `[batch]`, 0 to 9.
    pub labels: Tensor<1, Int>,
    /// `[batch, 10]`, 1 at the label.
    pub targets: Tensor<2>,
}

impl Batch {
    /// Uploads the images at `indices`.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn gather(split: &Split, indices: &[usize], device: &Device) -> Self {
        let n = indices.len();
        let pixels: Vec<f32> = indices.iter().flat_map(|&i| split.image(i)).map(|&p| f32::from(p) / 255.0).collect();
        let labels: Vec<i32> = indices.iter().map(|&i| i32::from(split.labels[i])).collect();
        let mut targets = vec![0.0f32; n * N_CLASSES];
        for (row, &label) in labels.iter().enumerate() {
            targets[row * N_CLASSES + label as usize] = 1.0;
        }
        Self {
            images: Tensor::from_data(TensorData::new(pixels, [n, 1, IMAGE_SIDE, IMAGE_SIDE]), device),
            labels: Tensor::from_data(TensorData::new(labels, [n]), device),
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

/// One image as a batch of one: `[1, 1, 28, 28]`, 0 to 1. Missing pixels are paper.
pub fn single(pixels: &[u8], device: &Device) -> Tensor<4> {
    let mut values: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
    values.resize(IMAGE_PIXELS, 0.0);
    Tensor::from_data(TensorData::new(values, [1, 1, IMAGE_SIDE, IMAGE_SIDE]), device)
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
