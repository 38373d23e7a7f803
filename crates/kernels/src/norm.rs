//! Batch normalisation by channel, forward and backward, with a rectifier before or after it in the same pass. Keeps no
//! running statistics.

use crate::isa::{Kernel, Simd};
use crate::layout::BlockedLayout;
use crate::threads::Shared;

/// A rectifier next to a normalisation. A slope is the factor for negative values: 0 for ReLU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FusedRectifier {
    /// A rectifier with this slope precedes the normalisation. Its backward pass is fused into that of the
    /// normalisation.
    Before(f32),
    /// A rectifier with this slope follows the normalisation. Both its passes are fused into those of the
    /// normalisation.
    After(f32),
    /// There is no rectifier.
    Neither,
}

impl FusedRectifier {
    /// Slope of the rectifier after the normalisation, for negative outputs; 1 if there is none.
    pub fn slope_after(self) -> f32 {
        if let Self::After(slope) = self { slope } else { 1.0 }
    }

    /// Slope of the rectifier before the normalisation, for negative inputs; 1 if there is none.
    pub fn slope_before(self) -> f32 {
        if let Self::Before(slope) = self { slope } else { 1.0 }
    }
}

/// A batch normalisation of the channels of a layout.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// The layout of input, output and their gradients.
    pub layout: BlockedLayout,
    /// Added to the variance before the square root is taken.
    pub epsilon: f32,
    /// The rectifier before or after the normalisation.
    pub rectified: FusedRectifier,
}

impl BatchNorm {
    /// Number of values in a channel, over all images.
    fn count(&self) -> f32 {
        (self.layout.n() * self.layout.pixels()) as f32
    }

    /// Training mode: normalises with the batch's own statistics and writes these to `mean` and `variance` (the biased
    /// variance, divided by the number of values).
    ///
    /// # Shapes
    /// - `x`, `y`: as the layout describes
    /// - `gamma`, `beta`, `mean`, `variance`: `[channels]`
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn forward(&self, x: &[f32], [gamma, beta]: [&[f32]; 2], y: &mut [f32], [mean, variance]: [&mut [f32]; 2]) {
        self.check([x, y], [gamma, beta, mean, variance]);
        let (y, mean, variance) = (Shared::new(y), Shared::new(mean), Shared::new(variance));
        let kernel = |channel| Forward { norm: self, x, gamma, beta, y, mean, variance, channel };
        // SAFETY: the lengths are checked, and a kernel writes only what belongs to its channel.
        unsafe { self.layout.each_channel(kernel) };
    }

    /// Asserts the lengths of slices that hold the whole batch, and of slices that hold one number per channel.
    fn check<const N: usize, const M: usize>(&self, batch: [&[f32]; N], channels: [&[f32]; M]) {
        assert_eq!(batch.map(<[f32]>::len), [self.layout.len(); N]);
        assert_eq!(channels.map(<[f32]>::len), [self.layout.channels(); M]);
    }

    /// Evaluation mode: normalises with the given statistics, in place. `x` is as the layout describes, all others are
    /// `[channels]`.
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn evaluate(&self, x: &mut [f32], [gamma, beta]: [&[f32]; 2], [mean, variance]: [&[f32]; 2]) {
        self.check([x], [gamma, beta, mean, variance]);
        let x = Shared::new(x);
        let kernel = |channel: usize| {
            let factor = gamma[channel] / (variance[channel] + self.epsilon).sqrt();
            let offset = beta[channel] - mean[channel] * factor;
            Scale {
                layout: &self.layout,
                from: x.at(0, self.layout.len()),
                to: x,
                channel,
                factor,
                offset,
                slope: self.rectified.slope_after(),
            }
        };
        // SAFETY: the lengths are checked, and a kernel reads and writes only the vectors of its channel.
        unsafe { self.layout.each_channel(kernel) };
    }

    /// Backward pass. Replaces `gradient`, the gradient of the output, by the gradient of the input, and writes the
    /// gradients of gamma and beta. Spare lanes of the input's gradient are set to 0; those of the output's must be 0.
    ///
    /// # Shapes
    /// - `x`, `y`: input and output of [`BatchNorm::forward`], as the layout describes; `gradient` alike
    /// - `gamma`: `[channels]`
    /// - `mean`, `variance`: the statistics from [`BatchNorm::forward`], `[channels]`
    /// - `gamma_gradient`, `beta_gradient`: `[channels]`
    ///
    /// # Panics
    /// If a slice has the wrong length.
    pub fn backward(
        &self,
        [x, y]: [&[f32]; 2],
        gamma: &[f32],
        [mean, variance]: [&[f32]; 2],
        gradient: &mut [f32],
        [gamma_gradient, beta_gradient]: [&mut [f32]; 2],
    ) {
        self.check([x, y, gradient], [gamma, mean, variance, gamma_gradient, beta_gradient]);
        let (gradient, gamma_gradient, beta_gradient) =
            (Shared::new(gradient), Shared::new(gamma_gradient), Shared::new(beta_gradient));
        let kernel = |channel: usize| Backward {
            norm: self,
            x,
            y,
            gamma: gamma[channel],
            mean: mean[channel],
            inverse_std: 1.0 / (variance[channel] + self.epsilon).sqrt(),
            gradient,
            gamma_gradient,
            beta_gradient,
            channel,
        };
        // SAFETY: the lengths are checked, and a kernel reads and writes only what belongs to its channel.
        unsafe { self.layout.each_channel(kernel) };
    }
}

struct Forward<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    gamma: &'a [f32],
    beta: &'a [f32],
    y: Shared<'a>,
    mean: Shared<'a>,
    variance: Shared<'a>,
    channel: usize,
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (layout, channel) = (&self.norm.layout, self.channel);
        let x = self.x.as_ptr();
        // SAFETY: `BatchNorm::forward` checked that `x` and `y` are as long as the layout, so the offsets that `totals`
        // and `Scale` use are in bounds. The channel is this kernel's only.
        unsafe {
            let [sum] =
                layout.totals::<S, 1>(channel, |at, mask, [sum]| *sum = S::mul_add(S::load(x.add(at)), mask, *sum));
            let mean = (sum / f64::from(self.norm.count())) as f32;
            let mean_lanes = S::splat(mean);
            let [squares] = layout.totals::<S, 1>(channel, |at, mask, [squares]| {
                let deviation = S::mul(S::sub(S::load(x.add(at)), mean_lanes), mask);
                *squares = S::mul_add(deviation, deviation, *squares);
            });
            let variance = (squares / f64::from(self.norm.count())) as f32;
            *self.mean.at(channel, 1) = mean;
            *self.variance.at(channel, 1) = variance;
            let factor = self.gamma[channel] / (variance + self.norm.epsilon).sqrt();
            let offset = self.beta[channel] - mean * factor;
            let slope = self.norm.rectified.slope_after();
            Scale { layout, from: x, to: self.y, channel, factor, offset, slope }.run::<S>();
        }
    }
}

/// `factor · x + offset` for one channel, with negative results multiplied by `slope`.
struct Scale<'a> {
    layout: &'a BlockedLayout,
    /// The input, as long as the layout. It may be `to`.
    from: *const f32,
    to: Shared<'a>,
    channel: usize,
    factor: f32,
    offset: f32,
    slope: f32,
}

impl Kernel for Scale<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: `from` and `to` are as long as the layout, as `BatchNorm::forward` and `evaluate` checked, so the
        // offsets that `visit` calls with are in bounds. The channel is this kernel's only.
        unsafe {
            let (factor, offset, slope) = (S::splat(self.factor), S::splat(self.offset), S::splat(self.slope));
            let to = self.to.at(0, self.layout.len());
            self.layout.visit::<S>(self.channel, |at, _| {
                let y = S::mul_add(S::load(self.from.add(at)), factor, offset);
                S::store(to.add(at), S::if_positive(y, y, S::mul(y, slope)));
            });
        }
    }
}

struct Backward<'a> {
    norm: &'a BatchNorm,
    x: &'a [f32],
    y: &'a [f32],
    gamma: f32,
    mean: f32,
    /// 1 / √(variance + epsilon).
    inverse_std: f32,
    gradient: Shared<'a>,
    gamma_gradient: Shared<'a>,
    beta_gradient: Shared<'a>,
    channel: usize,
}

impl Kernel for Backward<'_> {
    /// `dx = gamma · inverse_std · (dy − mean(dy) − x̂ · mean(dy · x̂))`, where x̂ is the normalised input; Ioffe and
    /// Szegedy 2015.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let BatchNorm { layout, rectified, .. } = self.norm;
        let (x, y) = (self.x.as_ptr(), self.y.as_ptr());
        // SAFETY: `BatchNorm::backward` checked that `x`, `y` and `gradient` are as long as the layout, so the offsets
        // that `totals` and `visit` call with are in bounds. The channel is this kernel's only.
        unsafe {
            let gradient = self.gradient.at(0, layout.len());
            let (mean, inverse_std) = (S::splat(self.mean), S::splat(self.inverse_std));
            let (slope_after, slope_before) = (S::splat(rectified.slope_after()), S::splat(rectified.slope_before()));
            let rectified_gradient = |at: usize| {
                let dy = S::load(gradient.add(at));
                match rectified {
                    FusedRectifier::After(_) => S::if_positive(S::load(y.add(at)), dy, S::mul(dy, slope_after)),
                    _ => dy,
                }
            };
            let [sum, products] = layout.totals::<S, 2>(self.channel, |at, _, [sum, products]| {
                let dy = rectified_gradient(at);
                *sum = S::add(*sum, dy);
                *products = S::mul_add(dy, S::mul(S::sub(S::load(x.add(at)), mean), inverse_std), *products);
            });
            let (sum, products) = (sum as f32, products as f32);
            *self.beta_gradient.at(self.channel, 1) = sum;
            *self.gamma_gradient.at(self.channel, 1) = products;
            let (mean_dy, mean_product) = (S::splat(sum / self.norm.count()), S::splat(products / self.norm.count()));
            let factor = S::splat(self.gamma * self.inverse_std);
            layout.visit::<S>(self.channel, |at, mask| {
                let value = S::load(x.add(at));
                let normalised = S::mul(S::sub(value, mean), inverse_std);
                let dx = S::sub(S::sub(rectified_gradient(at), mean_dy), S::mul(normalised, mean_product));
                let dx = S::mul(S::mul(dx, factor), mask);
                let dx = match rectified {
                    FusedRectifier::Before(_) => S::if_positive(value, dx, S::mul(dx, slope_before)),
                    _ => dx,
                };
                S::store(gradient.add(at), dx);
            });
        }
    }
}
