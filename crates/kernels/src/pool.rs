//! Max pooling over windows of 2×2 pixels, forward and backward. Keeps no indices: the backward pass compares again.

use crate::isa::{Kernel, Simd};
use crate::layout::BlockedLayout;
use crate::threads::{self, Shared};

/// Max pooling: halves rows and columns. An odd last row or column is dropped.
///
/// # Shapes
/// - `layout`: the blocked layout of `x`, with `side` · `side` pixels
/// - `x`: `[block][channel][side][side][lane]`
/// - `y`: `[block][channel][side / 2][side / 2][lane]`
///
/// # Panics
/// If a slice has the wrong length, or the layout is flat or has another number of pixels.
pub fn max_pool(layout: &BlockedLayout, side: usize, x: &[f32], y: &mut [f32]) {
    assert_eq!((x.len(), y.len()), (layout.len(), pooled_len(layout, side)));
    let y = Shared::new(y);
    // SAFETY: both slices have the lengths of their layouts, and tasks take blocks that do not overlap.
    threads::each(layout.n_blocks(), |block| unsafe { layout.isa.run(Pool { layout, side, x, y, block }) });
}

/// Length of the pooled values of a layout, in floats.
///
/// # Panics
/// If the layout is flat, or has another number of pixels than `side` · `side`.
fn pooled_len(layout: &BlockedLayout, side: usize) -> usize {
    assert!(layout.is_blocked(), "pooling needs rows and columns: {layout:?}");
    assert_eq!(side.checked_mul(side), Some(layout.pixels()));
    let half = side / 2;
    layout.len() / layout.pixels() * half * half
}

struct Pool<'a> {
    layout: &'a BlockedLayout,
    side: usize,
    x: &'a [f32],
    y: Shared<'a>,
    block: usize,
}

impl Kernel for Pool<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (side, half) = (self.side, self.side / 2);
        let planes = self.block * self.layout.channels()..(self.block + 1) * self.layout.channels();
        for plane in planes {
            // SAFETY: `max_pool` gave the planes of this block to this task only. The slices and `at` check that each
            // plane is in bounds, and as rows and columns are halved downwards, all windows are within their plane.
            unsafe {
                let x = self.x[plane * side * side * S::LANES..][..side * side * S::LANES].as_ptr();
                let y = self.y.at(plane * half * half * S::LANES, half * half * S::LANES);
                for row in 0..half {
                    for column in 0..half {
                        let window = corners::<S>(x, side, row, column);
                        let maximum = S::max(S::max(window[0], window[1]), S::max(window[2], window[3]));
                        S::store(y.add((row * half + column) * S::LANES), maximum);
                    }
                }
            }
        }
    }
}

/// The four pixels of the window at this row and column of the output: upper left and right, lower left and right.
///
/// # Safety
/// The machine has the instructions of `S`, and the window is within the plane of `side` · `side` vectors at `x`.
#[inline(always)]
unsafe fn corners<S: Simd>(x: *const f32, side: usize, row: usize, column: usize) -> [S::V; 4] {
    let at = |i: usize| ((2 * row + i / 2) * side + 2 * column + i % 2) * S::LANES;
    // SAFETY: the caller guarantees that the window is within the plane at `x`.
    std::array::from_fn(|i| unsafe { S::load(x.add(at(i))) })
}

/// The gradient of the input of max pooling. A window's gradient goes to its maximum, and to the first one of several
/// equal maxima; all other pixels get 0.
///
/// # Shapes
/// - `layout`: the blocked layout of `x`, with `side` · `side` pixels
/// - `x`, `gradient`: `[block][channel][side][side][lane]`
/// - `y_gradient`: `[block][channel][side / 2][side / 2][lane]`
///
/// # Panics
/// If a slice has the wrong length, or the layout is flat or has another number of pixels.
pub fn max_pool_backward(layout: &BlockedLayout, side: usize, x: &[f32], y_gradient: &[f32], gradient: &mut [f32]) {
    assert_eq!((x.len(), gradient.len()), (layout.len(), layout.len()));
    assert_eq!(y_gradient.len(), pooled_len(layout, side));
    let gradient = Shared::new(gradient);
    threads::each(layout.n_blocks(), |block| {
        let unpool = Unpool { layout, side, x, y_gradient, gradient, block };
        // SAFETY: all slices have the lengths of their layouts, and tasks take blocks that do not overlap.
        unsafe { layout.isa.run(unpool) };
    });
}

struct Unpool<'a> {
    layout: &'a BlockedLayout,
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
        let planes = self.block * self.layout.channels()..(self.block + 1) * self.layout.channels();
        for plane in planes {
            let (len, half_len) = (side * side * S::LANES, half * half * S::LANES);
            let dy = &self.y_gradient[plane * half_len..][..half_len];
            // SAFETY: as in `Pool::run`, for `max_pool_backward`.
            unsafe {
                let x = self.x[plane * len..][..len].as_ptr();
                let gradient = self.gradient.part(plane * len, len);
                if side % 2 == 1 {
                    gradient.fill(0.0);
                }
                for row in 0..half {
                    for column in 0..half {
                        let dy = S::load(dy.as_ptr().add((row * half + column) * S::LANES));
                        let window_gradients = window_gradients::<S>(corners::<S>(x, side, row, column), dy);
                        for (i, pixel_gradient) in window_gradients.into_iter().enumerate() {
                            let at = ((2 * row + i / 2) * side + 2 * column + i % 2) * S::LANES;
                            S::store(gradient.as_mut_ptr().add(at), pixel_gradient);
                        }
                    }
                }
            }
        }
    }
}

/// The gradients of the four pixels of a window: `dy` for the first maximum and 0 for the others, lane by lane.
///
/// # Safety
/// The machine has the instructions of `S`.
#[inline(always)]
unsafe fn window_gradients<S: Simd>(x: [S::V; 4], dy: S::V) -> [S::V; 4] {
    // `a > b` is computed as `a − b > 0`, which holds also for differences of subnormals.
    // SAFETY: arithmetic only; the caller guarantees the instructions.
    unsafe {
        let zero = S::zero();
        let greater = |a: S::V, b: S::V, yes: S::V, no: S::V| S::if_positive(S::sub(a, b), yes, no);
        // A later pixel wins only if it is greater, not if it is equal.
        let upper = S::max(x[0], x[1]);
        let lower = S::max(x[2], x[3]);
        let to_lower = greater(lower, upper, dy, zero);
        let to_upper = S::sub(dy, to_lower);
        let (second, fourth) = (greater(x[1], x[0], to_upper, zero), greater(x[3], x[2], to_lower, zero));
        [S::sub(to_upper, second), second, S::sub(to_lower, fourth), fourth]
    }
}
