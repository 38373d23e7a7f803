//! From a split to tensors: the image order of an epoch, the plan of a batch, and the batch itself. Never trains.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::data::Split;
use inkling_core::data::augment::Augmentation;
use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES, Recipe};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// Images with their targets, on a device.
pub struct Batch {
    /// Pixels `[batch, 1, 28, 28]`, 0 to 1.
    pub images: Tensor<4>,
    /// Target probabilities `[batch, 10]`: one-hot, or smoothed labels whose greatest value is still at the label.
    pub targets: Tensor<2>,
}

/// The images of a step on the host, ready to be uploaded or split into shards.
#[derive(Clone, Debug)]
pub struct HostBatch {
    /// 784 values per image, 0 to 1.
    pub pixels: Vec<f32>,
    /// One label per image, 0 to 9.
    pub labels: Vec<u8>,
    /// Label smoothing: the fraction of each target that is spread evenly over the ten classes.
    pub smoothing: f64,
}

/// Which images of a split form the batch of a step, and how each is augmented. The plan is made on the host; the
/// device that stores the images executes it.
#[derive(Clone, Debug)]
pub struct BatchPlan<'a> {
    /// Indices of the images in their split.
    pub indices: &'a [usize],
    /// One augmentation per image; empty if no image is augmented.
    pub augmentations: Vec<Augmentation>,
    /// Label smoothing: the fraction of each target that is spread evenly over the ten classes.
    pub smoothing: f64,
}

impl<'a> BatchPlan<'a> {
    /// A batch for training: draws the augmentations from `random` and smooths labels, as the recipe says.
    pub fn for_training(indices: &'a [usize], recipe: &Recipe, random: &mut Pcg64Mcg) -> Self {
        let n_augmentations = if recipe.augment.is_none() { 0 } else { indices.len() };
        let augmentations = (0..n_augmentations).map(|_| Augmentation::draw(&recipe.augment, random)).collect();
        Self { indices, augmentations, smoothing: recipe.label_smoothing }
    }

    /// A batch for evaluation: no augmentation and no label smoothing.
    pub fn plain(indices: &'a [usize]) -> Self {
        Self { indices, augmentations: vec![], smoothing: 0.0 }
    }

    /// Targets `[n, 10]` on a device.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn targets(&self, split: &Split, device: &Device) -> Tensor<2> {
        target_tensor(self.target_values(split), device)
    }

    /// The values of [`BatchPlan::targets`] on the host, ten per image.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn target_values(&self, split: &Split) -> Vec<f32> {
        targets(&labels(split, self.indices), self.smoothing)
    }
}

impl HostBatch {
    /// Copies the images of a plan out of their split and augments them.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn of(split: &Split, plan: &BatchPlan) -> Self {
        let pixels = if plan.augmentations.is_empty() {
            plan.indices.iter().flat_map(|&i| scale_pixels(split.image(i))).collect()
        } else {
            let mut pixels = vec![0.0; plan.indices.len() * IMAGE_PIXELS];
            let images = plan.indices.iter().zip(&plan.augmentations);
            for ((&index, augmentation), augmented) in images.zip(pixels.chunks_exact_mut(IMAGE_PIXELS)) {
                augmentation.apply(split.image(index), augmented);
            }
            pixels
        };
        Self { pixels, labels: labels(split, plan.indices), smoothing: plan.smoothing }
    }

    /// Uploads images and targets to a device.
    pub fn upload(self, device: &Device) -> Batch {
        let targets = target_tensor(targets(&self.labels, self.smoothing), device);
        Batch { images: images(self.pixels, device), targets }
    }
}

/// Ten target values per image: one-hot, except that the fraction `smoothing` is spread evenly over the ten classes.
fn targets(labels: &[u8], smoothing: f64) -> Vec<f32> {
    let off_value = smoothing / N_CLASSES as f64;
    let mut targets = vec![off_value as f32; labels.len() * N_CLASSES];
    for (row, &label) in labels.iter().enumerate() {
        targets[row * N_CLASSES + usize::from(label)] = (1.0 - smoothing + off_value) as f32;
    }
    targets
}

fn target_tensor(targets: Vec<f32>, device: &Device) -> Tensor<2> {
    let n = targets.len() / N_CLASSES;
    Tensor::from_data(TensorData::new(targets, [n, N_CLASSES]), device)
}

fn labels(split: &Split, indices: &[usize]) -> Vec<u8> {
    indices.iter().map(|&i| split.labels[i]).collect()
}

impl Batch {
    /// Uploads the images at `indices`, with neither augmentation nor label smoothing.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn gather(split: &Split, indices: &[usize], device: &Device) -> Self {
        HostBatch::of(split, &BatchPlan::plain(indices)).upload(device)
    }

    /// Number of images in the batch.
    pub fn len(&self) -> usize {
        self.images.dims()[0]
    }

    /// Whether the batch has no images.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Scales pixel bytes from 0..=255 to 0..=1.
pub fn scale_pixels(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&p| f32::from(p) / 255.0).collect()
}

/// Uploads pixels, 784 values per image, as a tensor `[n, 1, 28, 28]`.
pub fn images(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let n = pixels.len() / IMAGE_PIXELS;
    Tensor::from_data(TensorData::new(pixels, [n, 1, IMAGE_SIDE, IMAGE_SIDE]), device)
}

/// Divides a batch of `n` images into at most `max_shards` ranges, one per worker. Every range starts at a multiple of
/// four images, the block size of the kernels with WASM SIMD; within that the ranges are as even as possible. No range
/// has fewer than eight images, because batch statistics of fewer are too noisy; a smaller batch is one range.
pub fn shards(n: usize, max_shards: usize) -> Vec<Range<usize>> {
    const BLOCK: usize = 4;
    const MIN_IMAGES: usize = 8;
    let n_shards = max_shards.min(n / MIN_IMAGES).max(1);
    let begin = |shard: usize| if shard == n_shards { n } else { n / BLOCK * shard / n_shards * BLOCK };
    (0..n_shards).map(|shard| begin(shard)..begin(shard + 1)).collect()
}

/// The order in which an epoch visits `n` images: a permutation of `0..n`. Epochs count from 1.
pub fn epoch_order(seed: u64, epoch: usize, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut step_generator(seed, epoch, 0));
    order
}

/// The random generator of one training step. It depends on these three numbers alone, so a checkpoint saves no generator
/// and a restored run draws the same augmentations.
///
/// `epoch` counts from 1. `step` counts from 1 over the whole training run, not within the epoch; step 0 is the
/// generator of the epoch's image order ([`epoch_order`]).
pub fn step_generator(seed: u64, epoch: usize, step: usize) -> Pcg64Mcg {
    // Odd constants spread the three numbers over all 64 bits: the golden ratio's, and two of SplitMix64.
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (epoch as u64).wrapping_mul(0xBF58_476D_1CE4_E5B9)
        ^ (step as u64).wrapping_mul(0x94D0_49BB_1331_11EB);
    Pcg64Mcg::seed_from_u64(mixed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::spec::ModelId;

    #[test]
    fn each_epoch_visits_every_image_once_in_its_own_order() {
        let first = epoch_order(7, 1, 1000);
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(first, epoch_order(7, 1, 1000));
        assert_ne!(first, epoch_order(7, 2, 1000));
        assert_ne!(first, epoch_order(8, 1, 1000));
    }

    #[test]
    fn without_augmentation_pixels_stay_exact_and_nothing_is_drawn() {
        let split = Split { images: (0..2 * IMAGE_PIXELS).map(|at| (at % 256) as u8).collect(), labels: vec![3, 9] };
        let recipe = Recipe { augment: "none".parse().unwrap(), ..Recipe::of(ModelId::Compact) };
        let (mut generator, unused_generator) = (step_generator(1, 1, 1), step_generator(1, 1, 1));
        let host_batch = HostBatch::of(&split, &BatchPlan::for_training(&[1, 0], &recipe, &mut generator));
        assert_eq!(host_batch.pixels[..IMAGE_PIXELS], scale_pixels(split.image(1)));
        assert_eq!((host_batch.labels, generator), (vec![9, 3], unused_generator));
    }

    #[test]
    fn shards_hold_every_image_once_in_even_blocks() {
        let whole = |n: usize| std::iter::once(0..n).collect::<Vec<_>>();
        assert_eq!(shards(128, 1), whole(128));
        assert_eq!(shards(128, 3), [0..40, 40..84, 84..128]);
        assert_eq!(shards(17, 2), [0..8, 8..17]);
        assert_eq!(shards(15, 8), whole(15));
        assert_eq!(shards(0, 2), whole(0));
        for (n, max_shards) in [(96, 8), (100, 5), (1000, 7), (4096, 8), (23, 4)] {
            let shards = shards(n, max_shards);
            assert!(shards.windows(2).all(|pair| pair[0].end == pair[1].start) && shards[0].start == 0);
            assert_eq!(shards.last().map(|shard| shard.end), Some(n));
            assert!(shards.iter().all(|shard| shard.len() >= 8 && shard.start % 4 == 0), "{shards:?}");
        }
    }
}
