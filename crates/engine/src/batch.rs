//! From a split to tensors: the order of an epoch and the images of a step.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::data::Split;
use inkling_core::data::augment::Bend;
use inkling_core::spec::{IMAGE_PIXELS, IMAGE_SIDE, N_CLASSES, Recipe};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

/// Images with their labels on a device.
pub struct Batch {
    /// `[batch, 1, 28, 28]`, 0 to 1.
    pub images: Tensor<4>,
    /// `[batch, 10]`, 1 at the label, or as far as label smoothing leaves it: greatest there in any case.
    pub targets: Tensor<2>,
}

/// The images of a step on the host, ready to be uploaded or to be shared out.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// 784 an image, 0 to 1.
    pub pixels: Vec<f32>,
    /// One an image, 0 to 9.
    pub labels: Vec<u8>,
    /// This share of each target is spread evenly over the ten classes.
    pub smoothing: f64,
}

/// Which images of a split a step takes, and how it bends each: decided here, done wherever the images lie.
#[derive(Clone, Debug)]
pub struct Picks<'a> {
    pub indices: &'a [usize],
    /// One an image; none where images stay as they are.
    pub bends: Vec<Bend>,
    /// This share of each target is spread evenly over the ten classes.
    pub smoothing: f64,
}

impl<'a> Picks<'a> {
    /// Images for training: bent and with softened targets, as the recipe says.
    pub fn drawn(indices: &'a [usize], recipe: &Recipe, random: &mut Pcg64Mcg) -> Self {
        let n_bends = if recipe.augment.is_none() { 0 } else { indices.len() };
        let bends = (0..n_bends).map(|_| Bend::draw(&recipe.augment, random)).collect();
        Self { indices, bends, smoothing: recipe.label_smoothing }
    }

    /// Images as they are.
    pub fn plain(indices: &'a [usize]) -> Self {
        Self { indices, bends: vec![], smoothing: 0.0 }
    }

    /// What their labels ask for: `[n, 10]`.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn targets(&self, split: &Split, device: &Device) -> Tensor<2> {
        as_tensor(self.target_values(split), device)
    }

    /// The same on the host, row by row.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn target_values(&self, split: &Split) -> Vec<f32> {
        targets(&labels(split, self.indices), self.smoothing)
    }
}

impl Gathered {
    /// Takes images out of their split.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn of(split: &Split, picks: &Picks) -> Self {
        let pixels = if picks.bends.is_empty() {
            picks.indices.iter().flat_map(|&i| scaled(split.image(i))).collect()
        } else {
            let mut pixels = vec![0.0; picks.indices.len() * IMAGE_PIXELS];
            let images = picks.indices.iter().zip(&picks.bends);
            for ((&index, bend), to) in images.zip(pixels.chunks_exact_mut(IMAGE_PIXELS)) {
                bend.apply(split.image(index), to);
            }
            pixels
        };
        Self { pixels, labels: labels(split, picks.indices), smoothing: picks.smoothing }
    }

    /// Puts them on a device.
    pub fn upload(self, device: &Device) -> Batch {
        let targets = as_tensor(targets(&self.labels, self.smoothing), device);
        Batch { images: images(self.pixels, device), targets }
    }
}

/// Targets `[n, 10]`: 1 at the label, but for a share that is spread evenly over the ten classes.
fn targets(labels: &[u8], smoothing: f64) -> Vec<f32> {
    let spread = smoothing / N_CLASSES as f64;
    let mut targets = vec![spread as f32; labels.len() * N_CLASSES];
    for (row, &label) in labels.iter().enumerate() {
        targets[row * N_CLASSES + usize::from(label)] = (1.0 - smoothing + spread) as f32;
    }
    targets
}

fn as_tensor(targets: Vec<f32>, device: &Device) -> Tensor<2> {
    let n = targets.len() / N_CLASSES;
    Tensor::from_data(TensorData::new(targets, [n, N_CLASSES]), device)
}

fn labels(split: &Split, indices: &[usize]) -> Vec<u8> {
    indices.iter().map(|&i| split.labels[i]).collect()
}

impl Batch {
    /// Uploads the images at `indices`.
    ///
    /// # Panics
    /// When an index is not below `split.len()`.
    pub fn gather(split: &Split, indices: &[usize], device: &Device) -> Self {
        Gathered::of(split, &Picks::plain(indices)).upload(device)
    }

    /// Images in the batch.
    pub fn len(&self) -> usize {
        self.images.dims()[0]
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Images of 784 bytes each as numbers from 0 to 1.
pub fn scaled(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&p| f32::from(p) / 255.0).collect()
}

/// Images of 784 numbers each as `[n, 1, 28, 28]`.
pub fn images(pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let n = pixels.len() / IMAGE_PIXELS;
    Tensor::from_data(TensorData::new(pixels, [n, 1, IMAGE_SIDE, IMAGE_SIDE]), device)
}

/// A batch of `n` images in at most so many shards, which a worker each can compute. They are as even as it goes in steps
/// of four images, the block of the kernels with WASM SIMD, and none has fewer than eight: statistics of fewer say little.
pub fn shards(n: usize, at_most: usize) -> Vec<Range<usize>> {
    const BLOCK: usize = 4;
    const FEWEST: usize = 8;
    let n_shards = at_most.min(n / FEWEST).max(1);
    let begin = |shard: usize| if shard == n_shards { n } else { n / BLOCK * shard / n_shards * BLOCK };
    (0..n_shards).map(|shard| begin(shard)..begin(shard + 1)).collect()
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
    use inkling_core::spec::ModelId;

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

    #[test]
    fn images_that_no_recipe_bends_stay_exact_and_draw_nothing() {
        let split = Split { images: (0..2 * IMAGE_PIXELS).map(|at| (at % 256) as u8).collect(), labels: vec![3, 9] };
        let recipe = Recipe { augment: "none".parse().unwrap(), ..Recipe::of(ModelId::Compact) };
        let (mut drawn, untouched) = (random(1, 1, 1), random(1, 1, 1));
        let gathered = Gathered::of(&split, &Picks::drawn(&[1, 0], &recipe, &mut drawn));
        assert_eq!(gathered.pixels[..IMAGE_PIXELS], scaled(split.image(1)));
        assert_eq!((gathered.labels, drawn), (vec![9, 3], untouched));
    }

    #[test]
    fn shards_hold_every_image_once_in_even_blocks() {
        let whole = |n: usize| std::iter::once(0..n).collect::<Vec<_>>();
        assert_eq!(shards(128, 1), whole(128));
        assert_eq!(shards(128, 3), [0..40, 40..84, 84..128]);
        assert_eq!(shards(17, 2), [0..8, 8..17]);
        assert_eq!(shards(15, 8), whole(15));
        assert_eq!(shards(0, 2), whole(0));
        for (n, at_most) in [(96, 8), (100, 5), (1000, 7), (4096, 8), (23, 4)] {
            let shards = shards(n, at_most);
            assert!(shards.windows(2).all(|pair| pair[0].end == pair[1].start) && shards[0].start == 0);
            assert_eq!(shards.last().map(|shard| shard.end), Some(n));
            assert!(shards.iter().all(|shard| shard.len() >= 8 && shard.start % 4 == 0), "{shards:?}");
        }
    }
}
