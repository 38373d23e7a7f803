//! Products of the output's gradient and the input, summed over all pixels: the weights' gradient.

use std::ops::Range;

use super::Window;
use crate::isa::{Kernel, Simd};
use crate::threads::Shared;

/// Filters whose weights' gradients are summed at once, by the number of lanes: with 6 taps 24 sums in the 32 registers
/// of AVX-512, with 3 taps 9 in 16.
pub const fn product_filters(lanes: usize) -> usize {
    if lanes == 16 { 4 } else { 3 }
}

/// Pixels that a tile of sums meets before it goes back to memory: enough that this costs little.
const PIXELS: usize = 256;

/// The weights' gradients of a few filters: products of the output's gradient and the input, summed over all pixels.
pub struct Products<'a> {
    pub window: &'a Window,
    pub input: &'a [f32],
    pub output_gradient: &'a [f32],
    pub taps: &'a [usize],
    pub first: usize,
    pub filters: usize,
    pub to: Shared<'a>,
}

impl Kernel for Products<'_> {
    /// A few blocks of images at a time meet all taps while they are in the cache; the sums of each lane wait in memory.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [rows, columns] = self.window.output;
        let (n_blocks, at_once) = (self.window.output_grid().n_blocks(), PIXELS.div_ceil((rows * columns).max(1)));
        let mut sums = vec![0.0; self.filters * self.taps.len() * S::LANES];
        for start in (0..n_blocks).step_by(at_once) {
            let blocks = start..n_blocks.min(start + at_once);
            // SAFETY: `weights_gradient` checked the lengths of both slices against the window.
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
        // SAFETY: the gradients of these filters are this task's.
        let to = unsafe { self.to.part(self.first * self.taps.len(), len) };
        for (to, lanes) in to.iter_mut().zip(sums.chunks_exact(S::LANES)) {
            *to = lanes.iter().sum();
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    unsafe fn filters<S: Simd, const F: usize>(&self, blocks: Range<usize>, sums: &mut [f32]) {
        let n = self.taps.len();
        let mut tap = 0;
        // SAFETY: as in `run`.
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

    /// `F` filters and `T` taps; `sums` holds `[filter][tap][lane]`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const T: usize>(
        &self,
        first_tap: usize,
        blocks: Range<usize>,
        sums: &mut [f32],
    ) {
        let window = self.window;
        let (from, to) = (window.padded_grid(), window.output_grid());
        let [rows, columns] = window.output;
        let row_step = window.stride * window.padded()[1] * S::LANES;
        let taps: [usize; T] = std::array::from_fn(|t| self.taps[first_tap + t]);
        assert!(sums.len() >= F * self.taps.len() * S::LANES);
        // SAFETY: as in `run`; the sums of these taps are within, as was just checked.
        unsafe {
            let sums: [*mut f32; F] =
                std::array::from_fn(|f| sums.as_mut_ptr().add((f * self.taps.len() + first_tap) * S::LANES));
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
                        (x, dy) = (x.add(window.stride * S::LANES), dy.add(S::LANES));
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
