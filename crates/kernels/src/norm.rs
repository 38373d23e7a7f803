//! Batch normalisation by channel, with a rectifier before or after it in the same pass.

use crate::grid::Grid;
use crate::isa::{Kernel, Simd};
use crate::threads::Shared;

/// A rectifier beside a normalisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rectified {
    /// The input came out of a rectifier with this slope: its backward pass is done along.
    Before(f32),
    /// The output goes through a rectifier with this slope.
    After(f32),
    Neither,
}

impl Rectified {
    /// What the rectifier after it leaves of negative outputs; 1 where there is none.
    pub fn slope_after(self) -> f32 {
        if let Self::After(slope) = self { slope } else { 1.0 }
    }

    /// What the rectifier before it left of negative inputs; 1 where there is none.
    pub fn slope_before(self) -> f32 {
        if let Self::Before(slope) = self { slope } else { 1.0 }
    }
}

/// A normalisation of the channels of a grid.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    pub grid: Grid,
    /// Added to the variance.
    pub epsilon: f32,
    pub rectified: Rectified,
}

impl Norm {
    fn count(&self) -> f32 {
        (self.grid.n * self.grid.pixels) as f32
    }

    /// Normalises with the batch's own statistics, and tells them (the variance is the biased one).
    pub fn forward(&self, x: &[f32], [gamma, beta]: [&[f32]; 2], y: &mut [f32], [mean, variance]: [&mut [f32]; 2]) {
        assert_eq!((x.len(), y.len()), (self.grid.len(), self.grid.len()));
        let (y, mean, variance) = (Shared::new(y), Shared::new(mean), Shared::new(variance));
        self.grid.each_channel(|channel| Forward { norm: self, x, gamma, beta, y, mean, variance, channel });
    }

    /// Normalises with given statistics, in place.
    pub fn evaluate(&self, x: &mut [f32], [gamma, beta]: [&[f32]; 2], [mean, variance]: [&[f32]; 2]) {
        assert_eq!(x.len(), self.grid.len());
        let x = Shared::new(x);
        self.grid.each_channel(|channel| {
            let factor = gamma[channel] / (variance[channel] + self.epsilon).sqrt();
            let offset = beta[channel] - mean[channel] * factor;
            Scale {
                grid: &self.grid,
                from: x.at(0, self.grid.len()),
                to: x,
                channel,
                factor,
                offset,
                slope: self.rectified.slope_after(),
            }
        });
    }

    /// From the gradient of the output to those of gamma, beta and, in place, of the input.
    ///
    /// `x` is the input and `y` the output of the forward pass, `mean` and `variance` its statistics.
    pub fn backward(
        &self,
        [x, y]: [&[f32]; 2],
        gamma: &[f32],
        [mean, variance]: [&[f32]; 2],
        gradient: &mut [f32],
        [of_gamma, of_beta]: [&mut [f32]; 2],
    ) {
        assert_eq!((x.len(), y.len(), gradient.len()), (self.grid.len(), self.grid.len(), self.grid.len()));
        let (gradient, of_gamma, of_beta) = (Shared::new(gradient), Shared::new(of_gamma), Shared::new(of_beta));
        self.grid.each_channel(|channel| Backward {
            norm: self,
            x,
            y,
            gamma: gamma[channel],
            mean: mean[channel],
            scale: 1.0 / (variance[channel] + self.epsilon).sqrt(),
            gradient,
            of_gamma,
            of_beta,
            channel,
        });
    }
}

struct Forward<'a> {
    norm: &'a Norm,
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
        let (grid, channel) = (&self.norm.grid, self.channel);
        let x = self.x.as_ptr();
        // SAFETY: the grid's offsets are within both slices; the channel is this task's.
        unsafe {
            let [sum] =
                grid.totals::<S, 1>(channel, |at, mask, [sum]| *sum = S::mul_add(S::load(x.add(at)), mask, *sum));
            let mean = (sum / f64::from(self.norm.count())) as f32;
            let centre = S::splat(mean);
            let [squares] = grid.totals::<S, 1>(channel, |at, mask, [squares]| {
                let distance = S::mul(S::sub(S::load(x.add(at)), centre), mask);
                *squares = S::mul_add(distance, distance, *squares);
            });
            let variance = (squares / f64::from(self.norm.count())) as f32;
            *self.mean.at(channel, 1) = mean;
            *self.variance.at(channel, 1) = variance;
            let factor = self.gamma[channel] / (variance + self.norm.epsilon).sqrt();
            let offset = self.beta[channel] - mean * factor;
            let slope = self.norm.rectified.slope_after();
            Scale { grid, from: x, to: self.y, channel, factor, offset, slope }.run::<S>();
        }
    }
}

/// `factor · x + offset`, rectified, for one channel.
struct Scale<'a> {
    grid: &'a Grid,
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
        // SAFETY: the grid's offsets are within; the channel is this task's.
        unsafe {
            let (factor, offset, slope) = (S::splat(self.factor), S::splat(self.offset), S::splat(self.slope));
            let to = self.to.at(0, self.grid.len());
            self.grid.visit::<S>(self.channel, |at, _| {
                let y = S::mul_add(S::load(self.from.add(at)), factor, offset);
                S::store(to.add(at), S::if_positive(y, y, S::mul(y, slope)));
            });
        }
    }
}

struct Backward<'a> {
    norm: &'a Norm,
    x: &'a [f32],
    y: &'a [f32],
    gamma: f32,
    mean: f32,
    /// One over the standard deviation.
    scale: f32,
    gradient: Shared<'a>,
    of_gamma: Shared<'a>,
    of_beta: Shared<'a>,
    channel: usize,
}

impl Kernel for Backward<'_> {
    /// `dx = gamma · scale · (dy − mean(dy) − x̂ · mean(dy · x̂))`, Ioffe and Szegedy 2015.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Norm { grid, rectified, .. } = self.norm;
        let (x, y) = (self.x.as_ptr(), self.y.as_ptr());
        // SAFETY: the grid's offsets are within all slices; the channel is this task's.
        unsafe {
            let gradient = self.gradient.at(0, grid.len());
            let (mean, scale) = (S::splat(self.mean), S::splat(self.scale));
            let (after, before) = (S::splat(rectified.slope_after()), S::splat(rectified.slope_before()));
            let through = |at: usize| {
                let dy = S::load(gradient.add(at));
                match rectified {
                    Rectified::After(_) => S::if_positive(S::load(y.add(at)), dy, S::mul(dy, after)),
                    _ => dy,
                }
            };
            let [sum, products] = grid.totals::<S, 2>(self.channel, |at, _, [sum, products]| {
                let dy = through(at);
                *sum = S::add(*sum, dy);
                *products = S::mul_add(dy, S::mul(S::sub(S::load(x.add(at)), mean), scale), *products);
            });
            let (sum, products) = (sum as f32, products as f32);
            *self.of_beta.at(self.channel, 1) = sum;
            *self.of_gamma.at(self.channel, 1) = products;
            let (mean_dy, mean_product) = (S::splat(sum / self.norm.count()), S::splat(products / self.norm.count()));
            let factor = S::splat(self.gamma * self.scale);
            grid.visit::<S>(self.channel, |at, mask| {
                let value = S::load(x.add(at));
                let normal = S::mul(S::sub(value, mean), scale);
                let dx = S::sub(S::sub(through(at), mean_dy), S::mul(normal, mean_product));
                let dx = S::mul(S::mul(dx, factor), mask);
                let dx = match rectified {
                    Rectified::Before(_) => S::if_positive(value, dx, S::mul(dx, before)),
                    _ => dx,
                };
                S::store(gradient.add(at), dx);
            });
        }
    }
}
