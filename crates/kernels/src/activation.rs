//! Element-wise operations (bias, rectifiers) and sums over channels.

use crate::isa::{Isa, Kernel, Simd};
use crate::layout::BlockedLayout;
use crate::threads::{self, Shared};

/// Vectors of which a task turns the gradients back through a rectifier.
const CHUNK: usize = 4096;

/// Backward pass of a leaky rectifier, in place: turns the gradient of its output into the gradient of its input.
/// `values` is the rectifier's output; where it is not positive, the gradient is multiplied by `slope`. A partial
/// vector at the end is left unchanged.
///
/// # Panics
/// If the slices differ in length.
pub fn rectify_backward(isa: Isa, values: &[f32], gradient: &mut [f32], slope: f32) {
    assert_eq!(values.len(), gradient.len());
    let (len, chunk) = (values.len(), CHUNK * isa.lanes());
    let gradient = Shared::new(gradient);
    threads::each(len.div_ceil(chunk), |task| {
        let (from, to) = (task * chunk, len.min((task + 1) * chunk));
        // SAFETY: both slices have `len` numbers, and tasks take ranges that do not overlap.
        unsafe { isa.run(RectifyBackward { values, gradient, from, to, slope }) };
    });
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
        // SAFETY: `rectify_backward` gave this range to this task only; loads and stores are whole vectors of it.
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

/// Adds each channel's bias to `values`, in place, and multiplies negative results by `slope` (0 for ReLU, 1 for no
/// rectifier).
///
/// # Shapes
/// - `values`: as `layout` describes
/// - `bias`: `[channels]`
///
/// # Panics
/// If a slice has the wrong length.
pub fn add_bias(layout: &BlockedLayout, values: &mut [f32], bias: &[f32], slope: f32) {
    assert_eq!((values.len(), bias.len()), (layout.len(), layout.channels()));
    let values = Shared::new(values);
    // SAFETY: `values` is as long as the layout, and a kernel writes only vectors of its channel.
    unsafe { layout.each_channel(|channel| AddBias { layout, values, channel, bias: bias[channel], slope }) };
}

struct AddBias<'a> {
    layout: &'a BlockedLayout,
    values: Shared<'a>,
    channel: usize,
    bias: f32,
    slope: f32,
}

impl Kernel for AddBias<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `add_bias` checked that `values` is as long as the layout, so the offsets that `visit` calls with are
        // in bounds. The channel is this kernel's only.
        unsafe {
            let (bias, slope) = (S::splat(self.bias), S::splat(self.slope));
            let values = self.values.at(0, self.layout.len());
            self.layout.visit::<S>(self.channel, |at, _| {
                let x = S::add(S::load(values.add(at)), bias);
                S::store(values.add(at), S::if_positive(x, x, S::mul(x, slope)));
            });
        }
    }
}

/// The sum of each channel over all images and pixels: the gradient of a bias. Spare lanes must be 0.
///
/// # Shapes
/// - `values`: as `layout` describes
/// - `sums`: `[channels]`
///
/// # Panics
/// If a slice has the wrong length.
pub fn sum_channels(layout: &BlockedLayout, values: &[f32], sums: &mut [f32]) {
    assert_eq!((values.len(), sums.len()), (layout.len(), layout.channels()));
    let sums = Shared::new(sums);
    // SAFETY: `values` is as long as the layout, and a kernel writes only the sum of its channel.
    unsafe { layout.each_channel(|channel| SumChannel { layout, values, channel, sums }) };
}

struct SumChannel<'a> {
    layout: &'a BlockedLayout,
    values: &'a [f32],
    channel: usize,
    sums: Shared<'a>,
}

impl Kernel for SumChannel<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `sum_channels` checked that `values` is as long as the layout, so the offsets that `visit` calls with
        // are in bounds. The channel's sum is this kernel's only.
        unsafe {
            let mut sum = S::zero();
            self.layout.visit::<S>(self.channel, |at, _| sum = S::add(sum, S::load(self.values.as_ptr().add(at))));
            *self.sums.at(self.channel, 1) = S::sum(sum);
        }
    }
}
