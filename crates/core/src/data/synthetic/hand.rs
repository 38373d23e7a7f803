//! The seeded random numbers of a drawn digit. It uses only additions, multiplications and square roots, so that every
//! platform draws the same pixels.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// The random number generator of one image.
pub(super) struct Hand(Pcg32);

impl Hand {
    /// The generator of an image. Those of neighbouring indices are unrelated.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        Self(Pcg32::new(scramble(seed ^ scramble(index)), scramble(index)))
    }

    /// A uniform random number from `low` up to, but not including, `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// A nearly normal random number with this mean and standard deviation, at most 3.5 standard deviations from the
    /// mean.
    pub(super) fn around(&mut self, mean: f64, deviation: f64) -> f64 {
        // A uniform number from -1 to 1 has a variance of a third, so the sum of four has 4/3.
        let sum: f64 = (0..4).map(|_| self.between(-1.0, 1.0)).sum();
        mean + deviation * sum * 0.75_f64.sqrt()
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// A uniform random integer from 0 to `n - 1`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.between(0.0, n as f64) as usize
    }
}

/// Hashes a number to 64 bits (the finaliser of SplitMix64).
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_given_mean_and_deviation() {
        let mut hand = Hand::new(1, 2);
        let draws: Vec<f64> = (0..20_000).map(|_| hand.around(3.0, 0.5)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() - 0.5).abs() < 0.02, "{variance}");
    }

    #[test]
    fn other_images_draw_other_numbers() {
        let first = |seed, index| Hand::new(seed, index).between(0.0, 1.0);
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }
}
