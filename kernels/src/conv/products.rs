//! Products of the output's gradient and the input, summed over all pixels: the weights' gradient.

use super::Window;
use crate::isa::{Kernel, Simd};
use crate::threads::Shared;

/// Filters whose weights' gradients are summed at once, by the number of lanes: with 6 taps 24 sums in the 32 registers
/// of AVX-512, with 3 taps 9 in 16.
pub const fn product_filters(lanes: usize) -> usize {
    if lanes == 16 { 4 } else { 3 }
}

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
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `weights_gradient` checked the lengths of both slices against the window.
        unsafe {
            match self.filters {
                4 if S::LANES == 16 => self.filters::<S, 4>(),
                3 => self.filters::<S, 3>(),
                2 => self.filters::<S, 2>(),
                _ => self.filters::<S, 1>(),
            }
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    unsafe fn filters<S: Simd, const F: usize>(&self) {
        let n = self.taps.len();
        let mut tap = 0;
        // SAFETY: as in `run`.
        unsafe {
            while S::LANES == 16 && n - tap >= 6 {
                self.tile::<S, F, 6>(tap);
                tap += 6;
            }
            while n - tap >= 3 {
                self.tile::<S, F, 3>(tap);
                tap += 3;
            }
            while n - tap >= 1 {
                self.tile::<S, F, 1>(tap);
                tap += 1;
            }
        }
    }

    /// `F` filters and `T` taps.
    #[inline(always)]
    unsafe fn tile<S: Simd, const F: usize, const T: usize>(&self, first_tap: usize) {
        let window = self.window;
        let (from, to) = (window.padded_grid(), window.output_grid());
        let [rows, columns] = window.output;
        let row_step = window.stride * window.padded()[1] * S::LANES;
        let taps: [usize; T] = std::array::from_fn(|t| self.taps[first_tap + t]);
        // SAFETY: as in `run`.
        unsafe {
            let mut sum = [[S::zero(); T]; F];
            for block in 0..to.n_blocks() {
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
                let to = self.to.at((self.first + f) * self.taps.len() + first_tap, T);
                for t in 0..T {
                    *to.add(t) = S::sum(sum[f][t]);
                }
            }
        }
    }
}
