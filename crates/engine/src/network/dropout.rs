//! Which units dropout drops in a pass. No random numbers are drawn: [`inkling_kernels::Dropout`] decides about each unit from
//! the step's key, the layer, and the unit's position. So engines agree bit for bit, and so do a batch and its shards.

use inkling_kernels::Dropout;
use serde::{Deserialize, Serialize};

/// The largest rate: some units have to remain.
const MAX_RATE: f64 = 0.95;
/// Rates are multiples of one part in 2¹⁶, because each unit has 16 random bits.
const PARTS: f64 = 65_536.0;

/// The source of a step's dropout masks: the same key drops the same units on every engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropoutKey([u32; 2]);

impl DropoutKey {
    /// The key of a step of a run, counted over all its epochs.
    pub fn of(seed: u64, step: usize) -> Self {
        // SplitMix64's increment, which keeps the steps of neighbouring seeds apart, and its finaliser.
        let mut key = seed.wrapping_mul(0xD120_0000_0000_0001) ^ (step as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        key = (key ^ key >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        key = (key ^ key >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        key ^= key >> 31;
        Self([key as u32, (key >> 32) as u32])
    }

    /// Count of the words in [`DropoutKey::words`].
    pub const WORDS: usize = 3;

    /// The words from which a graphics card computes its masks, for the images of a batch from index `first_image` on.
    pub fn words(self, first_image: usize) -> [u32; Self::WORDS] {
        [self.0[0], self.0[1], first_image as u32]
    }
}

/// The dropout of one pass, layer by layer.
pub struct Dropouts {
    /// Multiplies the layers' own rates.
    pub factor: f64,
    /// The step's key.
    pub key: DropoutKey,
    /// Index of the first image within the whole batch.
    pub first_image: usize,
    /// Dropout layers so far.
    n_passed: u32,
}

impl Dropouts {
    /// No layer so far.
    pub fn new(factor: f64, key: DropoutKey, first_image: usize) -> Self {
        Self { factor, key, first_image, n_passed: 0 }
    }

    /// The mask of the next dropout layer, which has this rate; `None` when it drops nothing.
    pub fn next(&mut self, rate: f64) -> Option<Dropout> {
        let layer = self.n_passed;
        self.n_passed += 1;
        let limit = ((rate * self.factor).min(MAX_RATE) * PARTS).round();
        (limit > 0.0).then(|| Dropout {
            key: self.key.0,
            layer,
            first_image: self.first_image as u32,
            limit: limit as u32,
            scale: (PARTS / (PARTS - limit)) as f32,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_and_every_layer_drops_units_of_its_own() {
        let masks = |seed, step| {
            let mut dropouts = Dropouts::new(1.0, DropoutKey::of(seed, step), 0);
            [0.5, 0.5].map(|rate| dropouts.next(rate).unwrap().mask(4, 100))
        };
        let all: Vec<_> = [(1, 1), (1, 2), (2, 1), (0, 0), (0, 1)].into_iter().flat_map(|(a, b)| masks(a, b)).collect();
        for (at, mask) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|other| other != mask), "mask {at} was there before");
        }
        assert_eq!(masks(1, 2), masks(1, 2));
    }

    #[test]
    fn rates_follow_the_factor_and_leave_some_units() {
        let next = |factor, rate| Dropouts::new(factor, DropoutKey::of(1, 1), 0).next(rate);
        assert_eq!(next(0.0, 0.5), None);
        assert_eq!(next(0.5, 0.5).unwrap().limit, 16_384);
        assert_eq!(next(9.0, 0.5).unwrap().limit, 62_259);
    }
}
