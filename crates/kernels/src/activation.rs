//! What happens to every number by itself, and sums by channel.

use crate::grid::Grid;
use crate::isa::{Isa, Kernel, Simd};
use crate::threads::{self, Shared};

/// Vectors in the piece of a task.
const PIECE: usize = 4096;

/// Calls `each` with the offset of every vector of `len` floats; a rest shorter than a vector is left out.
fn each_piece<K: Kernel>(isa: Isa, len: usize, kernel: impl Fn(usize, usize) -> K + Sync + Send) {
    let piece = PIECE * isa.lanes();
    threads::each(len.div_ceil(piece), |task| isa.run(kernel(task * piece, len.min((task + 1) * piece))));
}

/// Turns the gradient after a rectifier into the one before it. `values` came out of the rectifier.
pub fn rectify_backward(isa: Isa, values: &[f32], gradient: &mut [f32], slope: f32) {
    assert_eq!(values.len(), gradient.len());
    let len = values.len();
    let gradient = Shared::new(gradient);
    each_piece(isa, len, |from, to| RectifyBackward { values, gradient, from, to, slope });
}

struct RectifyBackward<'a> {
    values: &'a [f32],
    gradient: Shared<'a>,
    from: usize,
    to: usize,
    slope: f32,
}

impl Kernel for RectifyBackward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: this task's piece; whole vectors.
        unsafe {
            let slope = S::splat(self.slope);
            let gradient = self.gradient.part(self.from, self.to - self.from).chunks_exact_mut(S::LANES);
            for (y, g) in self.values[self.from..self.to].chunks_exact(S::LANES).zip(gradient) {
                let dy = S::load(g.as_ptr());
                S::store(g.as_mut_ptr(), S::if_positive(S::load(y.as_ptr()), dy, S::mul(dy, slope)));
            }
        }
    }
}

/// Adds each channel's bias, and rectifies with this slope (1 to leave the sums).
pub fn add_bias(grid: &Grid, values: &mut [f32], bias: &[f32], slope: f32) {
    assert_eq!((values.len(), bias.len()), (grid.len(), grid.channels));
    let values = Shared::new(values);
    grid.each_channel(|channel| AddBias { grid, values, channel, bias: bias[channel], slope });
}

struct AddBias<'a> {
    grid: &'a Grid,
    values: Shared<'a>,
    channel: usize,
    bias: f32,
    slope: f32,
}

impl Kernel for AddBias<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: this task's channel; the grid's offsets are within, since the lengths agree.
        unsafe {
            let (bias, slope) = (S::splat(self.bias), S::splat(self.slope));
            let values = self.values.at(0, self.grid.len());
            self.grid.visit::<S>(self.channel, |at, _| {
                let x = S::add(S::load(values.add(at)), bias);
                S::store(values.add(at), S::if_positive(x, x, S::mul(x, slope)));
            });
        }
    }
}

/// The sum of each channel: the gradient of a bias. Spare lanes must be 0.
pub fn sum_channels(grid: &Grid, values: &[f32], sums: &mut [f32]) {
    assert_eq!((values.len(), sums.len()), (grid.len(), grid.channels));
    let sums = Shared::new(sums);
    grid.each_channel(|channel| SumChannel { grid, values, channel, sums });
}

struct SumChannel<'a> {
    grid: &'a Grid,
    values: &'a [f32],
    channel: usize,
    sums: Shared<'a>,
}

impl Kernel for SumChannel<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the grid's offsets are within; the sum of this channel is this task's.
        unsafe {
            let mut sum = S::zero();
            self.grid.visit::<S>(self.channel, |at, _| sum = S::add(sum, S::load(self.values.as_ptr().add(at))));
            *self.sums.at(self.channel, 1) = S::sum(sum);
        }
    }
}
