//! The built-in data set: digits drawn by a seeded generator, for where MNIST cannot be had. Never reads a file.
//!
//! A digit is a few knots ([`glyphs`]) that a pen passes smoothly ([`pen`]), bent, slanted, turned and stretched
//! as handwriting is, then prepared by [`ink`](crate::preprocess) as a drawing on the pad is.

mod glyphs;
mod hand;
mod pen;

use self::hand::Hand;
use self::pen::Knot;
use super::{Dataset, Split};
use crate::preprocess::{self, Stroke};
use crate::spec::{DatasetId, IMAGE_PIXELS, N_CLASSES};

/// The seed of the embedded data set.
pub const SEED: u64 = 1;
/// Training images of the embedded data set.
pub const N_TRAIN: usize = 20_000;
/// Test images of the embedded data set; their indices follow those of the training images.
pub const N_TEST: usize = 2_000;

/// The data set of a seed: 20,000 training and 2,000 test images, none in both.
pub fn dataset(seed: u64) -> Dataset {
    let (train, test) = (split(seed, 0, N_TRAIN), split(seed, N_TRAIN, N_TEST));
    Dataset { id: DatasetId::Synthetic, train, validation: None, test }
}

/// So many images, from an index on.
pub fn split(seed: u64, first_index: usize, n_images: usize) -> Split {
    let mut split = Split::default();
    split.images.reserve(n_images * IMAGE_PIXELS);
    for index in first_index..first_index + n_images {
        let (pixels, label) = image(seed, index);
        split.images.extend_from_slice(&pixels);
        split.labels.push(label);
    }
    split
}

/// The image and the label of one index: the same on every platform, whatever else was drawn before.
pub fn image(seed: u64, index: usize) -> ([u8; IMAGE_PIXELS], u8) {
    let mut hand = Hand::new(seed, index as u64);
    let digit = hand.below(N_CLASSES);
    let strokes = write(digit, &mut hand);
    let pen_width = pen_width(digit, &mut hand);
    let pixels = preprocess::render(&strokes, pen_width as f32).unwrap_or([0; IMAGE_PIXELS]);
    (pixels, digit as u8)
}

/// The width of a pen in pixels, spread as in MNIST: a standard deviation of 0.56, and some very heavy ones.
fn pen_width(digit: usize, hand: &mut Hand) -> f64 {
    /// Mean widths of MNIST's first hundred images of each digit.
    const MEANS: [f64; N_CLASSES] = [2.72, 2.55, 2.55, 2.45, 2.3, 2.25, 2.5, 2.4, 2.25, 2.2];
    let heavy = if digit == 1 && hand.chance(0.2) { hand.between(0.0, 2.0) } else { 0.0 };
    (hand.around(MEANS[digit], 0.55) + heavy).clamp(1.4, 5.0)
}

/// The strokes of a digit.
fn write(digit: usize, hand: &mut Hand) -> Vec<Stroke> {
    let mut glyph = glyphs::glyph(digit, hand);
    let wobble = hand.between(0.005, 0.05);
    let manner = Manner::new(digit, hand);
    for knot in glyph.iter_mut().flatten() {
        knot.x += hand.around(0.0, wobble);
        knot.y += hand.around(0.0, wobble);
        *knot = manner.apply(*knot);
    }
    let tremor = hand.between(0.0, 0.012) as f32;
    let mut strokes: Vec<Stroke> = glyph.iter().map(|knots| pen::through(knots)).collect();
    for point in strokes.iter_mut().flat_map(|stroke| &mut stroke.points) {
        point.x += tremor * hand.between(-1.0, 1.0) as f32;
        point.y += tremor * hand.between(-1.0, 1.0) as f32;
    }
    strokes
}

/// What one hand does to all its strokes.
struct Manner {
    /// Width over height.
    aspect: f64,
    /// How far the top leans to the right, in heights.
    slant: f64,
    /// Tangent of the turn.
    turn: f64,
    /// Bends in each direction: see [`Manner::apply`].
    bends: [f64; 6],
}

impl Manner {
    fn new(digit: usize, hand: &mut Hand) -> Self {
        const ASPECTS: [f64; N_CLASSES] = [0.9, 0.6, 0.9, 0.82, 0.8, 0.8, 0.72, 0.77, 0.78, 0.72];
        const SLANTS: [f64; N_CLASSES] = [0.28, 0.28, 0.3, 0.08, 0.32, 0.2, 0.22, 0.02, 0.27, 0.2];
        let slant = hand.around(SLANTS[digit], 0.27);
        Self {
            aspect: ASPECTS[digit] * hand.around(1.0, 0.2),
            slant,
            turn: hand.around(0.0, 0.1),
            bends: std::array::from_fn(|_| hand.around(0.0, 0.12)),
        }
    }

    fn apply(&self, knot: Knot) -> Knot {
        let (x, y) = (knot.x - 0.5, knot.y - 0.5);
        let [a, b, c, d, e, f] = self.bends;
        let (x, y) = (x + a * x * x + b * x * y + c * y * y, y + d * x * x + e * x * y + f * y * y);
        let x = x * self.aspect - self.slant * y;
        Knot { x: x - self.turn * y, y: y + self.turn * x, round: knot.round }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn an_image_depends_on_seed_and_index_alone() {
        let three = split(5, 40, 3);
        assert_eq!((three.image(2), three.labels[2]), (&image(5, 42).0[..], image(5, 42).1));
        assert_ne!(image(5, 42).0, image(6, 42).0);
        assert_ne!(image(5, 42).0, image(5, 43).0);
    }

    #[test]
    fn every_platform_draws_the_same_pixels() {
        // FNV-1a over the first thousand images and their labels; a WebAssembly build gives the same number.
        // It changes with the generator, and then the accuracy it teaches has to be measured again.
        let split = split(SEED, 0, 1_000);
        let bytes = split.images.iter().chain(&split.labels);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(hash, 14_638_854_387_683_596_283);
    }

    #[test]
    fn training_and_test_images_are_apart() {
        let dataset = dataset(SEED);
        assert_eq!((dataset.train.len(), dataset.test.len()), (N_TRAIN, N_TEST));
        let images = |split: &Split| -> HashSet<Vec<u8>> {
            split.images.chunks_exact(IMAGE_PIXELS).map(<[u8]>::to_vec).collect()
        };
        let (train, test) = (images(&dataset.train), images(&dataset.test));
        // Two plain ones may be alike to the pixel; images drawn twice would all be.
        assert!(train.len() > N_TRAIN - 20 && train.intersection(&test).count() < 5);
    }

    #[test]
    fn every_digit_is_drawn_as_often() {
        let labels = split(SEED, 0, 5_000).labels;
        for digit in 0..N_CLASSES {
            let count = labels.iter().filter(|&&label| usize::from(label) == digit).count();
            assert!((420..580).contains(&count), "{digit}: {count}");
        }
    }

    #[test]
    fn digits_have_the_ink_of_mnist() {
        // The mean pixel of MNIST's training images is 33.3.
        let images = split(SEED, 0, 5_000).images;
        let mean = images.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / images.len() as f64;
        assert!((mean - 33.3).abs() < 3.0, "{mean}");
    }
}
