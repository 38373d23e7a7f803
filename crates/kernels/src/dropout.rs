//! Dropout from a counter-based random number generator. Whether a unit is dropped follows from a key and from the
//! unit's position, so no masks are drawn in advance, stored or sent: every engine, worker and thread computes the same
//! mask.
//!
//! The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1,
//! 2, 3", SC 2011). It needs only 32-bit additions, rotations and exclusive ors.

use crate::isa::{Kernel, Simd};
use crate::layout::BlockedLayout;
use crate::threads::{self, Shared};

/// Units per call of the generator: each takes 16 of its 64 random bits.
const UNITS: usize = 4;
/// Calls of the generator that are computed side by side on every instruction set: the lanes of the widest vectors.
const WIDE: usize = 16;
/// Rotations of eight consecutive rounds, in bits, which then repeat (table 2 of the paper).
const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// Parity constant of the key schedule, from the Skein hash function: with it, a key of zeros is no fixed point.
const PARITY: u32 = 0x1BD1_1BDA;

/// The dropout of one layer in one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Key of the training step.
    pub key: [u32; 2],
    /// Number of the dropout layer, below 256. Masks of different layers are independent for layers of up to 2²⁶ units
    /// per image.
    pub layer: u32,
    /// Index of the first image in the whole batch, for a shard of a batch.
    pub first_image: u32,
    /// Drop rate in units of 2⁻¹⁶: a unit is dropped if its 16 random bits are below this.
    pub limit: u32,
    /// Factor for the units that are not dropped, 1 / (1 − drop rate), which preserves the mean.
    pub scale: f32,
}

impl Dropout {
    /// Multiplies every unit of `x` by 0 or by the scale, in place; in the backward pass, its gradient. Units of an
    /// image are numbered `[channel][pixel]`.
    ///
    /// # Panics
    /// If `x` has another length than the layout.
    pub fn apply(&self, layout: &BlockedLayout, x: &mut [f32]) {
        assert_eq!(x.len(), layout.len());
        let x = Shared::new(x);
        // SAFETY: `x` is as long as the layout, and tasks take blocks that do not overlap.
        threads::each(layout.n_blocks(), |block| unsafe {
            layout.isa.run(Apply { dropout: *self, layout, x, block });
        });
    }

    /// The factor of each unit, 0 or the scale: `[image][unit]`.
    pub fn mask(&self, n_images: usize, units: usize) -> Vec<f32> {
        let factor = |image: usize, unit: usize| {
            let words = threefry(self.key, [[self.first_image + image as u32], [self.counter_word(unit / UNITS)]]);
            self.factor(bits(words.map(|[word]| word), unit % UNITS))
        };
        (0..n_images).flat_map(|image| (0..units).map(move |unit| factor(image, unit))).collect()
    }

    /// Second word of the counter for a group of four units.
    #[inline(always)]
    fn counter_word(&self, group: usize) -> u32 {
        self.layer << 24 | group as u32
    }

    /// The factor of a unit with these 16 random bits.
    #[inline(always)]
    fn factor(&self, bits: u32) -> f32 {
        if bits < self.limit { 0.0 } else { self.scale }
    }
}

/// The 16 bits of one of four units.
#[inline(always)]
fn bits(words: [u32; 2], unit: usize) -> u32 {
    words[unit / 2] >> (unit % 2 * 16) & 0xFFFF
}

/// Threefry-2x32-20 of `N` counters at once. Counters and results are `[word][counter]`.
#[inline(always)]
fn threefry<const N: usize>(key: [u32; 2], counter: [[u32; N]; 2]) -> [[u32; N]; 2] {
    let keys = [key[0], key[1], PARITY ^ key[0] ^ key[1]];
    let [mut a, mut b] = counter;
    let inject = |words: &mut [u32; N], key: u32| words.iter_mut().for_each(|word| *word = word.wrapping_add(key));
    inject(&mut a, keys[0]);
    inject(&mut b, keys[1]);
    for group in 0..5 {
        for round in 0..4 {
            let rotation = ROTATIONS[group % 2 * 4 + round];
            for i in 0..N {
                a[i] = a[i].wrapping_add(b[i]);
                b[i] = b[i].rotate_left(rotation) ^ a[i];
            }
        }
        inject(&mut a, keys[(group + 1) % 3]);
        inject(&mut b, keys[(group + 2) % 3].wrapping_add(group as u32 + 1));
    }
    [a, b]
}

/// Applies dropout to one block of images.
struct Apply<'a> {
    dropout: Dropout,
    layout: &'a BlockedLayout,
    x: Shared<'a>,
    block: usize,
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { dropout, layout, x, block } = self;
        let first_image = dropout.first_image + (block * S::LANES) as u32;
        let units = layout.features();
        let side_by_side = WIDE / S::LANES;
        for first in (0..units.div_ceil(UNITS)).step_by(side_by_side) {
            let images = std::array::from_fn(|i| first_image + (i % S::LANES) as u32);
            let counter_words = std::array::from_fn(|i| dropout.counter_word(first + i / S::LANES));
            let words = threefry::<WIDE>(dropout.key, [images, counter_words]);
            for unit in first * UNITS..units.min((first + side_by_side) * UNITS) {
                let from = (unit / UNITS - first) * S::LANES;
                let factors: [f32; WIDE] = std::array::from_fn(|i| {
                    let lane = from + i % S::LANES;
                    dropout.factor(bits([words[0][lane], words[1][lane]], unit % UNITS))
                });
                let at = block * layout.block_stride
                    + unit / layout.pixels() * layout.channel_stride
                    + unit % layout.pixels() * S::LANES;
                // SAFETY: `at` checks the bounds, and `Dropout::apply` gave the vectors of this block to this task only.
                // The factors are as many as the widest register has lanes.
                unsafe {
                    let vector = x.at(at, S::LANES);
                    S::store(vector, S::mul(S::load(vector), S::load(factors.as_ptr())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    /// The known answers of Random123, the implementation by the authors of the paper.
    #[test]
    fn threefry_matches_its_known_answers() {
        let answers = [
            ([0; 2], [0; 2], [0x6B20_0159, 0x99BA_4EFE]),
            ([u32::MAX; 2], [u32::MAX; 2], [0x1CB9_96FC, 0xBB00_2BE7]),
            ([0x1319_8A2E, 0x0370_7344], [0x243F_6A88, 0x85A3_08D3], [0xC492_3A9C, 0x483D_F7A0]),
        ];
        for (key, counter, answer) in answers {
            assert_eq!(threefry(key, counter.map(|word| [word])).map(|[word]| word), answer);
        }
    }

    fn dropout() -> Dropout {
        Dropout { key: [7, 9], layer: 2, first_image: 3, limit: 26_214, scale: 65_536.0 / 39_322.0 }
    }

    /// On every instruction set, in both layouts, with spare lanes and a number of units that is no multiple of four.
    #[test]
    fn every_layout_drops_the_same_units() {
        let (n, channels, pixels) = (21, 3, 7);
        let mask = dropout().mask(n, channels * pixels);
        for isa in Isa::all() {
            let layouts =
                [BlockedLayout::blocked(isa, n, channels, pixels), BlockedLayout::flat(isa, n, channels * pixels)];
            for layout in layouts {
                let (mut x, mut rows) = (vec![1.0; layout.len()], vec![0.0; mask.len()]);
                dropout().apply(&layout, &mut x);
                layout.gather(&x, &mut rows);
                assert_eq!(rows, mask, "{}", isa.name());
            }
        }
    }

    #[test]
    fn part_of_a_batch_drops_the_same_units_as_the_whole() {
        let (whole, part) = (dropout(), Dropout { first_image: 3 + 5, ..dropout() });
        assert_eq!(whole.mask(9, 10)[5 * 10..], part.mask(4, 10));
    }

    #[test]
    #[cfg_attr(miri, ignore = "half a million random numbers take minutes, and nothing in it is unsafe")]
    fn drop_rate_is_right_in_every_layer_and_step() {
        let n = 100 * 1000;
        for case in [dropout(), Dropout { layer: 3, ..dropout() }, Dropout { key: [7, 10], ..dropout() }] {
            let mask = case.mask(100, 1000);
            let drop_rate = mask.iter().filter(|factor| **factor == 0.0).count() as f64 / n as f64;
            // Within five standard deviations of the expected rate.
            assert!((drop_rate - 0.4).abs() < 5.0 * (0.24 / n as f64).sqrt(), "{drop_rate}");
            let mean = mask.iter().sum::<f32>() / n as f32;
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
            let same = mask.iter().zip(dropout().mask(100, 1000)).filter(|(a, b)| **a == *b).count() as f64 / n as f64;
            assert!(case == dropout() || (same - 0.52).abs() < 0.01, "{same}");
        }
    }
}
