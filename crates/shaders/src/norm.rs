//! Batch normalisation by channel, with a rectifier before or after it in the same pass.

use cubecl::prelude::*;

use crate::fold::{self, PIECE};
use crate::gpu::{Array, EACH, Gpu, PART, launch, place};
use crate::tiles::{self, reduce};

/// A normalisation of the channels of arrays `[channels, pixels, n]`.
#[derive(Clone, Copy, Debug)]
pub struct Norm {
    /// Images.
    pub n: usize,
    pub channels: usize,
    /// Rows times columns.
    pub pixels: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// What becomes of negative inputs in the rectifier before: this part of them; 1 where there is none. Its way back is done along.
    pub slope_before: f32,
    /// The same of the rectifier after it.
    pub slope_after: f32,
}

impl Norm {
    fn len(&self) -> usize {
        self.n * self.channels * self.pixels
    }

    /// Mean and (biased) variance of each channel of the batch.
    pub fn moments(&self, gpu: &Gpu, x: &Array) -> [Array; 2] {
        if tiles::fit(gpu, self.n) {
            return reduce::moments(gpu, x, self.channels);
        }
        let rows = self.channels * self.n;
        let [means, squares] = [0; 2].map(|_| gpu.empty(rows));
        launch!(moments, gpu, rows, x.arg(), means.arg(), squares.arg(), self.n, self.pixels);
        combined(gpu, [&means, &squares], self.channels, self.pixels)
    }

    /// Normalised with these statistics, and rectified.
    pub fn apply(&self, gpu: &Gpu, x: &Array, [gamma, beta]: [&Array; 2], [mean, variance]: [&Array; 2]) -> Array {
        let y = gpu.empty(self.len());
        launch!(
            apply,
            gpu,
            self.len().div_ceil(EACH),
            x.arg(),
            gamma.arg(),
            beta.arg(),
            mean.arg(),
            variance.arg(),
            y.arg(),
            self.len(),
            self.n * self.pixels,
            self.epsilon,
            self.slope_after
        );
        y
    }

    /// The gradients of gamma, beta and the input, from input, output and the output's gradient, where the statistics
    /// were the batch's own.
    pub fn backward(
        &self,
        gpu: &Gpu,
        [x, y, gradient]: [&Array; 3],
        gamma: &Array,
        [mean, variance]: [&Array; 2],
    ) -> [Array; 3] {
        let [of_beta, of_gamma] = self.slopes(gpu, [x, y, gradient], [mean, variance]);
        let before = gpu.empty(self.len());
        launch!(
            back,
            gpu,
            self.len().div_ceil(EACH),
            x.arg(),
            y.arg(),
            gradient.arg(),
            gamma.arg(),
            mean.arg(),
            variance.arg(),
            of_gamma.arg(),
            of_beta.arg(),
            before.arg(),
            self.len(),
            self.n * self.pixels,
            self.epsilon,
            self.slope_before,
            self.slope_after
        );
        [of_gamma, of_beta, before]
    }

    /// The gradients of beta and gamma.
    fn slopes(&self, gpu: &Gpu, [x, y, gradient]: [&Array; 3], [mean, variance]: [&Array; 2]) -> [Array; 2] {
        if tiles::fit(gpu, self.n) {
            return reduce::slopes(gpu, [x, y, gradient], [mean, variance], self.epsilon, self.slope_after);
        }
        let rows = self.channels * self.n;
        // One below the other, from where a part of an array may begin: one launch adds both up.
        let second = self.channels.next_multiple_of(PART);
        let sums = gpu.empty((second + self.channels) * self.n);
        launch!(
            slopes,
            gpu,
            rows,
            x.arg(),
            y.arg(),
            gradient.arg(),
            mean.arg(),
            variance.arg(),
            sums.arg(),
            self.n,
            self.channels,
            self.pixels,
            second * self.n,
            self.epsilon,
            self.slope_after
        );
        let both = fold::rows(gpu, &sums, self.n);
        [0, second].map(|start| both.part(start, self.channels))
    }
}

/// Mean and variance of whole channels from the means of parts of so many numbers, and the sums of the squares of the distances
/// from these.
pub(crate) fn combined(gpu: &Gpu, [means, squares]: [&Array; 2], channels: usize, each: usize) -> [Array; 2] {
    let [mean, variance] = [0; 2].map(|_| gpu.empty(channels));
    let parts = means.len() / channels;
    launch!(combine, gpu, channels, means.arg(), squares.arg(), mean.arg(), variance.arg(), parts, channels, each);
    [mean, variance]
}

/// Of each channel of each image: the mean, and the sum of the squares of the distances from it.
#[cube(launch_unchecked)]
fn moments(x: &[f32], means: &mut [f32], squares: &mut [f32], n: usize, pixels: usize) {
    let row = ABSOLUTE_POS;
    if row < means.len() {
        let first = row / n * pixels * n + row % n;
        let mut sum = f32::new(0.0);
        for piece in 0..pixels.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for pixel in piece * PIECE..min((piece + 1) * PIECE, pixels) {
                part += x[first + pixel * n];
            }
            sum += part;
        }
        let mean = sum / f32::cast_from(pixels);
        let mut square = f32::new(0.0);
        for piece in 0..pixels.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for pixel in piece * PIECE..min((piece + 1) * PIECE, pixels) {
                let distance = x[first + pixel * n] - mean;
                part += distance * distance;
            }
            square += part;
        }
        means[row] = mean;
        squares[row] = square;
    }
}

/// The moments of whole channels from those of their parts, each of so many pixels (Chan, Golub and LeVeque's update).
#[cube(launch_unchecked)]
fn combine(
    means: &[f32],
    squares: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
    n: usize,
    channels: usize,
    pixels: usize,
) {
    let channel = ABSOLUTE_POS;
    if channel < channels {
        let mut sum = f32::new(0.0);
        for piece in 0..n.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for image in piece * PIECE..min((piece + 1) * PIECE, n) {
                part += means[channel * n + image];
            }
            sum += part;
        }
        let of_all = sum / f32::cast_from(n);
        let mut square = f32::new(0.0);
        for piece in 0..n.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            for image in piece * PIECE..min((piece + 1) * PIECE, n) {
                let distance = means[channel * n + image] - of_all;
                part += squares[channel * n + image] + f32::cast_from(pixels) * distance * distance;
            }
            square += part;
        }
        mean[channel] = of_all;
        variance[channel] = square / f32::cast_from(n * pixels);
    }
}

#[cube(launch_unchecked)]
fn apply(
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &[f32],
    variance: &[f32],
    y: &mut [f32],
    len: usize,
    per_channel: usize,
    epsilon: f32,
    slope: f32,
) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let channel = at / per_channel;
            let factor = gamma[channel] / (variance[channel] + epsilon).sqrt();
            let value = (x[at] - mean[channel]) * factor + beta[channel];
            y[at] = select(value > 0.0, value, value * slope);
        }
    }
}

/// Of each channel of each image: the sum of the gradient, and that of the gradient times the normalised input.
#[cube(launch_unchecked)]
fn slopes(
    x: &[f32],
    y: &[f32],
    gradient: &[f32],
    mean: &[f32],
    variance: &[f32],
    sums: &mut [f32],
    n: usize,
    channels: usize,
    pixels: usize,
    second: usize,
    epsilon: f32,
    slope: f32,
) {
    let row = ABSOLUTE_POS;
    if row < channels * n {
        let channel = row / n;
        let first = channel * pixels * n + row % n;
        let middle = mean[channel];
        let factor = 1.0 / (variance[channel] + epsilon).sqrt();
        let mut sum = f32::new(0.0);
        let mut products = f32::new(0.0);
        for piece in 0..pixels.div_ceil(PIECE) {
            let mut part = f32::new(0.0);
            let mut part_of_products = f32::new(0.0);
            for pixel in piece * PIECE..min((piece + 1) * PIECE, pixels) {
                let at = first + pixel * n;
                let g = gradient[at] * select(y[at] > 0.0, 1.0, slope);
                part += g;
                part_of_products += g * (x[at] - middle) * factor;
            }
            sum += part;
            products += part_of_products;
        }
        sums[row] = sum;
        sums[second + row] = products;
    }
}

#[cube(launch_unchecked)]
fn back(
    x: &[f32],
    y: &[f32],
    gradient: &[f32],
    gamma: &[f32],
    mean: &[f32],
    variance: &[f32],
    of_gamma: &[f32],
    of_beta: &[f32],
    before: &mut [f32],
    len: usize,
    per_channel: usize,
    epsilon: f32,
    slope_before: f32,
    slope_after: f32,
) {
    #[unroll]
    for i in 0..EACH {
        let at = place(i);
        if at < len {
            let channel = at / per_channel;
            let factor = 1.0 / (variance[channel] + epsilon).sqrt();
            let g = gradient[at] * select(y[at] > 0.0, 1.0, slope_after);
            let value = x[at];
            let normal = (value - mean[channel]) * factor;
            let mean_slope = (of_beta[channel] + normal * of_gamma[channel]) / f32::cast_from(per_channel);
            let slope = gamma[channel] * factor * (g - mean_slope);
            before[at] = slope * select(value > 0.0, 1.0, slope_before);
        }
    }
}
