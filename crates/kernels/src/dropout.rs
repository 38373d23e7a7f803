//! Dropout from a counter-based generator: which units drop follows from a key and from where each unit lies, so nothing
//! is drawn ahead, kept or sent, and every engine, worker and thread computes the same mask by itself.
//!
//! The generator is Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2,
//! 3", SC 2011), which needs nothing but 32-bit additions, rotations and exclusive ors.

use crate::grid::Grid;
use crate::isa::{Kernel, Simd};
use crate::threads::{self, Shared};

/// Units that one call of the generator decides: 16 random bits each.
const UNITS: usize = 4;
/// Calls computed side by side, whatever the vectors of the machine: as many as the widest have lanes.
const WIDE: usize = 16;
/// How far each round rotates, eight rounds long (table 2 of the paper).
const ROTATIONS: [u32; 8] = [13, 15, 26, 6, 17, 29, 16, 24];
/// Skein's constant, which keeps a key of zeros from being a fixed point.
const PARITY: u32 = 0x1BD1_1BDA;

/// Which units of a layer one step drops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The key of the step.
    pub key: [u32; 2],
    /// Which layer, below 256. Layers of up to 2²⁶ units an image have masks of their own.
    pub layer: u32,
    /// Where the first image lies in the whole batch.
    pub first_image: u32,
    /// A unit drops when its 16 random bits are below this.
    pub limit: u32,
    /// What the other units are multiplied by, so that the mean stays.
    pub scale: f32,
}

impl Dropout {
    /// Multiplies every unit by 0 or by the scale. A unit's number counts channels, then pixels.
    pub fn apply(&self, grid: &Grid, x: &mut [f32]) {
        assert_eq!(x.len(), grid.len());
        let x = Shared::new(x);
        threads::each(grid.n_blocks(), |block| grid.isa.run(Apply { dropout: *self, grid, x, block }));
    }

    /// What each unit is multiplied by: `[image][unit]`.
    pub fn mask(&self, n_images: usize, units: usize) -> Vec<f32> {
        let factor = |image: usize, unit: usize| {
            let words = threefry(self.key, [[self.first_image + image as u32], [self.block(unit / UNITS)]]);
            self.factor(bits(words.map(|[word]| word), unit % UNITS))
        };
        (0..n_images).flat_map(|image| (0..units).map(move |unit| factor(image, unit))).collect()
    }

    /// The second word of the counter of four units.
    #[inline(always)]
    fn block(&self, four: usize) -> u32 {
        self.layer << 24 | four as u32
    }

    #[inline(always)]
    fn factor(&self, bits: u32) -> f32 {
        if bits < self.limit { 0.0 } else { self.scale }
    }
}

/// The 16 bits of one unit of four.
#[inline(always)]
fn bits(words: [u32; 2], unit: usize) -> u32 {
    words[unit / 2] >> (unit % 2 * 16) & 0xFFFF
}

/// Threefry-2x32-20 of `N` counters at once.
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

/// The vectors of one block of images.
struct Apply<'a> {
    dropout: Dropout,
    grid: &'a Grid,
    x: Shared<'a>,
    block: usize,
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { dropout, grid, x, block } = self;
        let first_image = dropout.first_image + (block * S::LANES) as u32;
        let units = grid.features();
        let side_by_side = WIDE / S::LANES;
        for first in (0..units.div_ceil(UNITS)).step_by(side_by_side) {
            let images = std::array::from_fn(|i| first_image + (i % S::LANES) as u32);
            let blocks = std::array::from_fn(|i| dropout.block(first + i / S::LANES));
            let words = threefry::<WIDE>(dropout.key, [images, blocks]);
            for unit in first * UNITS..units.min((first + side_by_side) * UNITS) {
                let from = (unit / UNITS - first) * S::LANES;
                let factors: [f32; WIDE] = std::array::from_fn(|i| {
                    let lane = from + i % S::LANES;
                    dropout.factor(bits([words[0][lane], words[1][lane]], unit % UNITS))
                });
                let at = block * grid.block_stride
                    + unit / grid.pixels * grid.channel_stride
                    + unit % grid.pixels * S::LANES;
                // SAFETY: the vectors of this block are this task's; the array holds the widest register.
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

    /// The known answers that come with the authors' own implementation, Random123.
    #[test]
    fn threefry_gives_its_known_answers() {
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

    /// On every set of instructions, in both arrangements, with units that are no multiple of four and spare lanes.
    #[test]
    fn every_arrangement_drops_the_same_units() {
        let (n, channels, pixels) = (21, 3, 7);
        let mask = dropout().mask(n, channels * pixels);
        for isa in Isa::all() {
            let grids = [Grid::blocked(isa, n, channels, pixels), Grid::flat(isa, n, channels * pixels)];
            for grid in grids {
                let (mut x, mut rows) = (vec![1.0; grid.len()], vec![0.0; mask.len()]);
                dropout().apply(&grid, &mut x);
                grid.gather(&x, &mut rows);
                assert_eq!(rows, mask, "{}", isa.name());
            }
        }
    }

    #[test]
    fn a_part_of_a_batch_drops_what_the_whole_drops() {
        let (whole, part) = (dropout(), Dropout { first_image: 3 + 5, ..dropout() });
        assert_eq!(whole.mask(9, 10)[5 * 10..], part.mask(4, 10));
    }

    #[test]
    fn as_many_drop_as_should_in_every_layer_and_step() {
        let n = 100 * 1000;
        for other in [dropout(), Dropout { layer: 3, ..dropout() }, Dropout { key: [7, 10], ..dropout() }] {
            let mask = other.mask(100, 1000);
            let dropped = mask.iter().filter(|factor| **factor == 0.0).count() as f64 / n as f64;
            // Five standard deviations of a fair draw.
            assert!((dropped - 0.4).abs() < 5.0 * (0.24 / n as f64).sqrt(), "{dropped}");
            let mean = mask.iter().sum::<f32>() / n as f32;
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
            let same = mask.iter().zip(dropout().mask(100, 1000)).filter(|(a, b)| **a == *b).count() as f64 / n as f64;
            assert!(other == dropout() || (same - 0.52).abs() < 0.01, "{same}");
        }
    }
}
