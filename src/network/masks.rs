//! What dropout drops, drawn on the host: engines then agree to the bit on it, and so do a batch and its parts.

use rand::Rng;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// What dropout draws from: the same seed drops the same units on every engine.
pub type Dropouts = Pcg64Mcg;

/// Units that come out of one random number: 16 bits each.
const UNITS: usize = 4;

/// Which images of a batch pass through the network: they drop what they would drop in the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Images of the batch before these, a multiple of four.
    pub first: usize,
    /// These images.
    pub n: usize,
    /// All images of the batch.
    pub of: usize,
}

impl Part {
    /// A whole batch.
    pub fn whole(n: usize) -> Self {
        Self { first: 0, n, of: n }
    }
}

/// Draws what is dropped in a pass.
pub struct Masks<'a> {
    /// Multiplies the layers' own rates.
    pub factor: f64,
    pub random: &'a mut Dropouts,
    pub part: Part,
}

impl Masks<'_> {
    /// For each of `n` units what to multiply it with: 0, or what keeps the mean. `None` when nothing is dropped.
    pub fn draw(&mut self, rate: f64, n: usize) -> Option<Vec<f32>> {
        // Rates in 65,536ths are fine enough.
        const SCALE: f64 = 65_536.0;
        let limit = ((rate * self.factor).min(0.95) * SCALE).round();
        if limit <= 0.0 {
            return None;
        }
        let (limit, scale) = (limit as u16, (SCALE / (SCALE - limit)) as f32);
        let unit = |pair: &[u8]| if u16::from_le_bytes([pair[0], pair[1]]) < limit { 0.0 } else { scale };
        let [before, after] = self.passed_over(n);
        self.random.advance(before);
        let mut mask = Vec::with_capacity(n + UNITS);
        while mask.len() < n {
            mask.extend(self.random.next_u64().to_le_bytes().chunks_exact(2).map(unit));
        }
        mask.truncate(n);
        self.random.advance(after);
        Some(mask)
    }

    /// Random numbers for the rest of the batch, before and after those for the `n` units of this part.
    fn passed_over(&self, n: usize) -> [u128; 2] {
        let Part { first, n: n_images, of } = self.part;
        debug_assert_eq!(first % UNITS, 0, "a part begins where a random number does");
        let per_image = n / n_images.max(1);
        let [before, own, all] = [first * per_image, n, of * per_image].map(|units| units.div_ceil(UNITS) as u128);
        [before, all - before - own]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn draw_twice(part: Part, units: [usize; 2]) -> [Vec<f32>; 2] {
        let mut random = Dropouts::seed_from_u64(5);
        let mut masks = Masks { factor: 1.0, random: &mut random, part };
        units.map(|per_image| masks.draw(0.4, per_image * part.n).unwrap())
    }

    /// The second draw shows that every part leaves the generator where the whole batch does.
    #[test]
    fn parts_drop_what_the_whole_drops() {
        // 11 images of 3 units are 33, the last of which takes a random number for itself.
        let units = [3, 5];
        let whole = draw_twice(Part::whole(11), units);
        let parts = [Part { first: 0, n: 4, of: 11 }, Part { first: 4, n: 7, of: 11 }];
        let [one, other] = parts.map(|part| draw_twice(part, units));
        for (layer, whole) in whole.iter().enumerate() {
            assert_eq!([&one[layer][..], &other[layer][..]].concat(), *whole);
        }
        assert!(whole[0].contains(&0.0) && whole[0].iter().any(|kept| *kept > 1.6));
    }
}
