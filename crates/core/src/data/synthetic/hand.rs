//! The seeded chance behind a drawn digit. Only additions, multiplications and square roots follow from it, so
//! that every platform draws the same pixels.

use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng;

/// A source of chance for one image.
pub(super) struct Hand(Pcg32);

impl Hand {
    /// Images of neighbouring indices have nothing in common.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        Self(Pcg32::new(scramble(seed ^ scramble(index)), scramble(index)))
    }

    /// Evenly between `low` and `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * f64::from(self.0.next_u32()) / 4_294_967_296.0
    }

    /// Around `mean`, with a standard deviation of `spread`, never further than 3.5 of them.
    pub(super) fn around(&mut self, mean: f64, spread: f64) -> f64 {
        // Four even draws have a variance of a third.
        let sum: f64 = (0..4).map(|_| self.between(-1.0, 1.0)).sum();
        mean + spread * sum * 0.75_f64.sqrt()
    }

    /// True so often out of 1.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// One of `n`, each as likely as the others.
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.between(0.0, n as f64) as usize
    }
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64).
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
    fn draws_keep_their_mean_and_spread() {
        let mut hand = Hand::new(1, 2);
        let draws: Vec<f64> = (0..20_000).map(|_| hand.around(3.0, 0.5)).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 3.0).abs() < 0.02, "{mean}");
        assert!((variance.sqrt() - 0.5).abs() < 0.02, "{variance}");
    }

    #[test]
    fn hands_of_other_images_draw_other_numbers() {
        let first = |seed, index| Hand::new(seed, index).between(0.0, 1.0);
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }
}
