//! The weights' gradient: products of the output's gradient and the input, summed over the pixels of all images.

use std::ops::Range;

use super::Conv2d;
use crate::isa::{Kernel, Simd};
use crate::threads::Shared;

/// Number of filters whose weights' gradients a task sums at once, by the number of lanes. With 16 lanes, 4 filters and
/// 6 taps are 24 sums in the 32 registers of AVX-512; with fewer lanes, 3 filters and 3 taps are 9 sums in 16
/// registers.
pub const fn product_filters(lanes: usize) -> usize {
    if lanes == 16 { 4 } else { 3 }
}

/// Pixels after which a tile of sums is written back to memory: enough that writing costs little.
const PIXELS: usize = 256;

/// The weights' gradients of a few filters, computed by one task.
pub struct Products<'a> {
    /// The convolution.
    pub window: &'a Conv2d,
    /// The padded input.
    pub input: &'a [f32],
    /// The gradient of the output.
    pub output_gradient: &'a [f32],
    /// Offsets of the taps in a block of the padded input, in floats, in the order of a filter's weights.
    pub taps: &'a [usize],
    /// The first filter.
    pub first: usize,
    /// Number of filters, at most [`product_filters`].
    pub filters: usize,
    /// The gradients of all filters' weights, `[filters, channels, kernel, kernel]`.
    pub to: Shared<'a>,
}

impl Kernel for Products<'_> {
    /// Runs all taps over a few blocks of images at a time, so that these blocks stay in the cache. Meanwhile the sums
    /// of each lane are stored in memory.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [rows, columns] = self.window.sizes.output;
        let (n_blocks, at_once) = (self.window.output.n_blocks(), PIXELS.div_ceil(rows * columns));
        let mut sums = vec![0.0; self.filters * self.taps.len() * S::LANES];
        for start in (0..n_blocks).step_by(at_once) {
            let blocks = start..n_blocks.min(start + at_once);
            // SAFETY: the blocks exist, and the sums have room for these filters and all taps.
            unsafe {
                match self.filters {
                    4 if S::LANES == 16 => self.filters::<S, 4>(blocks, &mut sums),
                    3 => self.filters::<S, 3>(blocks, &mut sums),
                    2 => self.filters::<S, 2>(blocks, &mut sums),
                    _ => self.filters::<S, 1>(blocks, &mut sums),
                }
            }
        }
        let len = self.filters * self.taps.len();
        // SAFETY: `weights_gradient` gave these filters to this task only; `part` checks the bounds.
        let to = unsafe { self.to.part(self.first * self.taps.len(), len) };
        for (to, lanes) in to.iter_mut().zip(sums.chunks_exact(S::LANES)) {
            *to = lanes.iter().sum();
        }
    }
}

impl Products<'_> {
    /// Adds the products of some blocks of images to the sums of all taps, for `F` filters.
    ///
    /// # Safety
    /// As for [`Products::tile`].
    #[inline(always)]
    unsafe fn filters<S: Simd, const F: usize>(&self, blocks: Range<usize>, sums: &mut [f32]) {
        let n = self.taps.len();
        let mut tap = 0;
        // SAFETY: `n - tap` taps are left; the caller guarantees the rest.
        unsafe {
            while S::LANES == 16 && n - tap >= 6 {
                self.tile::<S, F, 6>(tap, blocks.clone(), sums);
                tap += 6;
            }
            while n - tap >= 3 {
                self.tile::<S, F, 3>(tap, blocks.clone(), sums);
                tap += 3;
            }
            while n - tap >= 1 {
                self.tile::<S, F, 1>(tap, blocks.clone(), sums);
                tap += 1;
            }
        }
    }

    /// Adds the products of some blocks of images to the sums of `F` filters and `T` taps from `first_tap` on. `sums`
    /// is `[filter][tap][lane]`.
    ///
    /// # Safety
    /// The machine has the instructions of `S`, which are those of the window; the filters from `first` on are at least
    /// `F`, and the blocks are some of the window's.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const T: usize>(
        &self,
        first_tap: usize,
        blocks: Range<usize>,
        sums: &mut [f32],
    ) {
        let window = self.window;
        let (from, to, stride) = (window.padded, window.output, window.sizes.stride);
        let [rows, columns] = window.sizes.output;
        let row_step = stride * window.sizes.padded()[1] * S::LANES;
        let taps: [usize; T] = std::array::from_fn(|t| self.taps[first_tap + t]);
        assert!(sums.len() >= F * self.taps.len() * S::LANES);
        // SAFETY: the array of taps checked that `T` taps are left, and the assertion that their sums are in bounds.
        // `weights_gradient` checked that both slices are as long as their layouts, and `Conv2d::new` that every tap at
        // every pixel of the output is within a block of the padded input. The pointers move without `add` because the
        // last move may leave the slices; nothing is read there.
        unsafe {
            // Taken once: borrowing the slice again would invalidate the pointers of the filters before.
            let sums = sums.as_mut_ptr();
            let sums: [*mut f32; F] = std::array::from_fn(|f| sums.add((f * self.taps.len() + first_tap) * S::LANES));
            let mut sum: [[S::V; T]; F] =
                std::array::from_fn(|f| std::array::from_fn(|t| S::load(sums[f].add(t * S::LANES))));
            for block in blocks {
                let x = self.input.as_ptr().add(block * from.block_stride);
                let dy = self.output_gradient.as_ptr();
                let mut dy = dy.add(block * to.block_stride + self.first * to.channel_stride);
                for row in 0..rows {
                    let mut x = x.add(row * row_step);
                    for _ in 0..columns {
                        let g: [S::V; F] = std::array::from_fn(|f| S::load(dy.add(f * to.channel_stride)));
                        for t in 0..T {
                            let x = S::load(x.add(taps[t]));
                            for f in 0..F {
                                sum[f][t] = S::mul_add(g[f], x, sum[f][t]);
                            }
                        }
                        (x, dy) = (x.wrapping_add(stride * S::LANES), dy.wrapping_add(S::LANES));
                    }
                }
            }
            for f in 0..F {
                for t in 0..T {
                    S::store(sums[f].add(t * S::LANES), sum[f][t]);
                }
            }
        }
    }
}
