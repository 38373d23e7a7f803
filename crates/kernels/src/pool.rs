//! The greatest of each 2×2 pixels.

use crate::grid::Grid;
use crate::isa::{Kernel, Simd};
use crate::threads::{self, Shared};

/// Halves rows and columns; an odd last row or column is left out. `from` has `side` rows and columns.
pub fn pool(grid: &Grid, side: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!((x.len(), grid.pixels), (grid.len(), side * side));
    let y = Shared::new(y);
    each_block(grid, |block| Pool { grid, side, x, y, block });
}

fn each_block<K: Kernel>(grid: &Grid, kernel: impl Fn(usize) -> K + Sync + Send) {
    threads::each(grid.n_blocks(), |block| grid.isa.run(kernel(block)));
}

struct Pool<'a> {
    grid: &'a Grid,
    side: usize,
    x: &'a [f32],
    y: Shared<'a>,
    block: usize,
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (side, half) = (self.side, self.side / 2);
        let planes = self.block * self.grid.channels..(self.block + 1) * self.grid.channels;
        for plane in planes {
            // SAFETY: the planes of this block are this task's; four pixels of each window lie within.
            unsafe {
                let x = self.x[plane * side * side * S::LANES..].as_ptr();
                let y = self.y.at(plane * half * half * S::LANES, half * half * S::LANES);
                for row in 0..half {
                    for column in 0..half {
                        let four = corners::<S>(x, side, row, column);
                        let greatest = S::max(S::max(four[0], four[1]), S::max(four[2], four[3]));
                        S::store(y.add((row * half + column) * S::LANES), greatest);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn corners<S: Simd>(x: *const f32, side: usize, row: usize, column: usize) -> [S::V; 4] {
    let at = |i: usize| ((2 * row + i / 2) * side + 2 * column + i % 2) * S::LANES;
    // SAFETY: as the caller promises.
    std::array::from_fn(|i| unsafe { S::load(x.add(at(i))) })
}

/// The gradient of the input: that of a window goes to its greatest pixel, the first of equals.
pub fn pool_backward(grid: &Grid, side: usize, x: &[f32], y_gradient: &[f32], gradient: &mut [f32]) {
    assert_eq!((x.len(), gradient.len()), (grid.len(), grid.len()));
    let gradient = Shared::new(gradient);
    each_block(grid, |block| Unpool { grid, side, x, y_gradient, gradient, block });
}

struct Unpool<'a> {
    grid: &'a Grid,
    side: usize,
    x: &'a [f32],
    y_gradient: &'a [f32],
    gradient: Shared<'a>,
    block: usize,
}

impl Kernel for Unpool<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (side, half) = (self.side, self.side / 2);
        let planes = self.block * self.grid.channels..(self.block + 1) * self.grid.channels;
        for plane in planes {
            let (len, half_len) = (side * side * S::LANES, half * half * S::LANES);
            let dy = &self.y_gradient[plane * half_len..][..half_len];
            // SAFETY: the planes of this block are this task's; four pixels of each window lie within.
            unsafe {
                let x = self.x[plane * len..][..len].as_ptr();
                let gradient = self.gradient.part(plane * len, len);
                if side % 2 == 1 {
                    gradient.fill(0.0);
                }
                for row in 0..half {
                    for column in 0..half {
                        let dy = S::load(dy.as_ptr().add((row * half + column) * S::LANES));
                        let shares = shares::<S>(corners::<S>(x, side, row, column), dy);
                        for (i, share) in shares.into_iter().enumerate() {
                            let at = ((2 * row + i / 2) * side + 2 * column + i % 2) * S::LANES;
                            S::store(gradient.as_mut_ptr().add(at), share);
                        }
                    }
                }
            }
        }
    }
}

/// The gradient for each of four pixels: all for the first greatest, lane by lane.
#[inline(always)]
unsafe fn shares<S: Simd>(x: [S::V; 4], dy: S::V) -> [S::V; 4] {
    // SAFETY: plain arithmetic. `a > b` is `a − b > 0`, also for the differences of subnormals.
    unsafe {
        let zero = S::zero();
        let greater = |a: S::V, b: S::V, yes: S::V, no: S::V| S::if_positive(S::sub(a, b), yes, no);
        // Later pixels must be greater, not only as great.
        let upper = S::max(x[0], x[1]);
        let lower = S::max(x[2], x[3]);
        let to_lower = greater(lower, upper, dy, zero);
        let to_upper = S::sub(dy, to_lower);
        let (second, fourth) = (greater(x[1], x[0], to_upper, zero), greater(x[3], x[2], to_lower, zero));
        [S::sub(to_upper, second), second, S::sub(to_lower, fourth), fourth]
    }
}
