//! The built-in data set: digits drawn by a seeded generator, for use where MNIST is not available. It never opens a
//! file.
//!
//! A digit starts as a few knots ([`glyphs`]), which are warped, slanted, rotated and scaled as handwriting is. A
//! smooth line through them ([`pen`]) is then rendered by [`preprocess`] as a drawing on the pad is.

mod glyphs;
mod hand;
mod pen;

use self::hand::Hand;
use self::pen::Knot;
use super::{Dataset, Split};
use crate::preprocess::{self, Stroke};
use crate::spec::{DatasetId, IMAGE_PIXELS, N_CLASSES};

/// The seed of the built-in data set.
pub const SEED: u64 = 1;
/// Number of training images.
pub const N_TRAIN: usize = 20_000;
/// Number of test images. Their indices follow those of the training images.
pub const N_TEST: usize = 2_000;

/// The data set of a seed: 20,000 training and 2,000 test images with different indices.
pub fn dataset(seed: u64) -> Dataset {
    let (train, test) = (split(seed, 0, N_TRAIN), split(seed, N_TRAIN, N_TEST));
    Dataset { id: DatasetId::Synthetic, train, validation: None, test }
}

/// `n_images` images of a seed, starting at index `first_index`.
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

/// The image and the label at one index: 784 pixels, row by row, 0 is paper and 255 is ink. They depend only on seed
/// and index and are the same on every platform.
pub fn image(seed: u64, index: usize) -> ([u8; IMAGE_PIXELS], u8) {
    let mut hand = Hand::new(seed, index as u64);
    let digit = hand.below(N_CLASSES);
    let strokes = write(digit, &mut hand);
    let pen_width = pen_width(digit, &mut hand);
    let pixels = preprocess::render(&strokes, pen_width as f32).unwrap_or([0; IMAGE_PIXELS]);
    (pixels, digit as u8)
}

/// A random pen width in pixels, distributed as in MNIST: a standard deviation of 0.56, and some very wide pens.
fn pen_width(digit: usize, hand: &mut Hand) -> f64 {
    /// Mean widths of MNIST's first 100 training images of each digit.
    const MEANS: [f64; N_CLASSES] = [2.72, 2.55, 2.55, 2.45, 2.3, 2.25, 2.5, 2.4, 2.25, 2.2];
    let heavy = if digit == 1 && hand.chance(0.2) { hand.between(0.0, 2.0) } else { 0.0 };
    (hand.around(MEANS[digit], 0.55) + heavy).clamp(1.4, 5.0)
}

/// Random strokes of a digit.
fn write(digit: usize, hand: &mut Hand) -> Vec<Stroke> {
    let mut glyph = glyphs::glyph(digit, hand);
    let wobble = hand.between(0.005, 0.05);
    let distortion = Distortion::new(digit, hand);
    for knot in glyph.iter_mut().flatten() {
        knot.x += hand.around(0.0, wobble);
        knot.y += hand.around(0.0, wobble);
        *knot = distortion.apply(*knot);
    }
    let tremor = hand.between(0.0, 0.012) as f32;
    let mut strokes: Vec<Stroke> = glyph.iter().map(|knots| pen::through(knots)).collect();
    for point in strokes.iter_mut().flat_map(|stroke| &mut stroke.points) {
        point.x += tremor * hand.between(-1.0, 1.0) as f32;
        point.y += tremor * hand.between(-1.0, 1.0) as f32;
    }
    strokes
}

/// The distortion of all strokes of one digit, which imitates the differences between handwritings.
struct Distortion {
    /// Width over height.
    aspect: f64,
    /// Shift of the top to the right, as a fraction of the height.
    slant: f64,
    /// Tangent of the rotation.
    turn: f64,
    /// Coefficients of `x²`, `xy` and `y²` that are added to x, then those added to y.
    warp: [f64; 6],
}

impl Distortion {
    fn new(digit: usize, hand: &mut Hand) -> Self {
        /// Mean aspect of each digit.
        const ASPECTS: [f64; N_CLASSES] = [0.9, 0.6, 0.9, 0.82, 0.8, 0.8, 0.72, 0.77, 0.78, 0.72];
        /// Mean slant of each digit.
        const SLANTS: [f64; N_CLASSES] = [0.28, 0.28, 0.3, 0.08, 0.32, 0.2, 0.22, 0.02, 0.27, 0.2];
        let slant = hand.around(SLANTS[digit], 0.27);
        Self {
            aspect: ASPECTS[digit] * hand.around(1.0, 0.2),
            slant,
            turn: hand.around(0.0, 0.1),
            warp: std::array::from_fn(|_| hand.around(0.0, 0.12)),
        }
    }

    fn apply(&self, knot: Knot) -> Knot {
        let (x, y) = (knot.x - 0.5, knot.y - 0.5);
        let [a, b, c, d, e, f] = self.warp;
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
        // FNV-1a over the first thousand images and their labels; a WebAssembly build computes the same hash.
        // When the generator changes, so does the hash; the accuracy of networks trained on it must then be measured
        // again.
        let split = split(SEED, 0, 1_000);
        let bytes = split.images.iter().chain(&split.labels);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(hash, 14_638_854_387_683_596_283);
    }

    #[test]
    fn training_and_test_images_differ() {
        let dataset = dataset(SEED);
        assert_eq!((dataset.train.len(), dataset.test.len()), (N_TRAIN, N_TEST));
        let images = |split: &Split| -> HashSet<Vec<u8>> {
            split.images.chunks_exact(IMAGE_PIXELS).map(<[u8]>::to_vec).collect()
        };
        let (train, test) = (images(&dataset.train), images(&dataset.test));
        // A few simple digits may be equal to the pixel. If indices overlapped, thousands would be.
        assert!(train.len() > N_TRAIN - 20 && train.intersection(&test).count() < 5);
    }

    #[test]
    fn digits_are_equally_frequent() {
        let labels = split(SEED, 0, 5_000).labels;
        for digit in 0..N_CLASSES {
            let count = labels.iter().filter(|&&label| usize::from(label) == digit).count();
            assert!((420..580).contains(&count), "{digit}: {count}");
        }
    }

    #[test]
    fn digits_have_as_much_ink_as_mnist() {
        // The mean pixel of MNIST's training images is 33.3.
        let images = split(SEED, 0, 5_000).images;
        let mean = images.iter().map(|&pixel| f64::from(pixel)).sum::<f64>() / images.len() as f64;
        assert!((mean - 33.3).abs() < 3.0, "{mean}");
    }
}
