//! Batch normalisation by channel, forward and backward, with a rectifier before or after it in the same pass. Keeps no
//! running statistics.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, PART_ALIGNMENT, PER_INVOCATION, element_index, launch};
use crate::partial_sums::{self, CHUNK};
use crate::tiles::{self, reduce};

/// A batch normalisation of the channels of arrays `[channels, pixels, n]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Number of images in the batch.
    pub n: usize,
    /// Number of channels.
    pub channels: usize,
    /// Pixels in a channel: rows × columns.
    pub pixels: usize,
    /// Added to the variance before the square root is taken.
    pub epsilon: f32,
    /// Slope for negative inputs of the preceding rectifier (1 if there is none). Its backward pass is fused here.
    pub slope_before: f32,
    /// Slope for negative outputs of the following rectifier (1 if there is none). Both its passes are fused here.
    pub slope_after: f32,
}

impl BatchNorm {
    /// Length of the input, in numbers.
    fn len(&self) -> usize {
        self.n * self.channels * self.pixels
    }

    /// The statistics of a batch: mean and (biased) variance of each channel of `x`, both `[channels]`.
    pub fn moments(&self, gpu: &Gpu, x: &Array) -> [Array; 2] {
        if tiles::fit(gpu, self.n) {
            return reduce::moments(gpu, x, self.channels);
        }
        let rows = self.channels * self.n;
        let [means, squares] = [0; 2].map(|_| gpu.empty(rows));
        launch!(moments, gpu, rows, x.arg(), means.arg(), squares.arg(), self.n, self.pixels);
        combine_moments(gpu, [&means, &squares], self.channels, self.pixels)
    }

    /// `x`, normalised with the given statistics, scaled by `gamma`, shifted by `beta`, and rectified. All but `x` are
    /// `[channels]`.
    pub fn apply(&self, gpu: &Gpu, x: &Array, [gamma, beta]: [&Array; 2], [mean, variance]: [&Array; 2]) -> Array {
        let y = gpu.empty(self.len());
        launch!(
            apply,
            gpu,
            self.len().div_ceil(PER_INVOCATION),
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

    /// Backward pass: the gradients of gamma, beta and the input, from the input `x`, the output `y` and the output's
    /// gradient. `mean` and `variance` must be the batch's own statistics, from [`BatchNorm::moments`].
    pub fn backward(
        &self,
        gpu: &Gpu,
        [x, y, gradient]: [&Array; 3],
        gamma: &Array,
        [mean, variance]: [&Array; 2],
    ) -> [Array; 3] {
        let [beta_gradient, gamma_gradient] = self.parameter_gradients(gpu, [x, y, gradient], [mean, variance]);
        let x_gradient = gpu.empty(self.len());
        launch!(
            backward,
            gpu,
            self.len().div_ceil(PER_INVOCATION),
            x.arg(),
            y.arg(),
            gradient.arg(),
            gamma.arg(),
            mean.arg(),
            variance.arg(),
            gamma_gradient.arg(),
            beta_gradient.arg(),
            x_gradient.arg(),
            self.len(),
            self.n * self.pixels,
            self.epsilon,
            self.slope_before,
            self.slope_after
        );
        [gamma_gradient, beta_gradient, x_gradient]
    }

    /// The gradients of beta and gamma, both `[channels]`.
    fn parameter_gradients(
        &self,
        gpu: &Gpu,
        [x, y, gradient]: [&Array; 3],
        [mean, variance]: [&Array; 2],
    ) -> [Array; 2] {
        if tiles::fit(gpu, self.n) {
            return reduce::gradient_sums(gpu, [x, y, gradient], [mean, variance], self.epsilon, self.slope_after);
        }
        let rows = self.channels * self.n;
        // Both sums are in one array, so that one launch adds both up. The second begins where a part of an array may.
        let second = self.channels.next_multiple_of(PART_ALIGNMENT);
        let partial_sums = gpu.empty((second + self.channels) * self.n);
        launch!(
            gradient_sums,
            gpu,
            rows,
            x.arg(),
            y.arg(),
            gradient.arg(),
            mean.arg(),
            variance.arg(),
            partial_sums.arg(),
            self.n,
            self.channels,
            self.pixels,
            second * self.n,
            self.epsilon,
            self.slope_after
        );
        let sums = partial_sums::rows(gpu, &partial_sums, self.n);
        [0, second].map(|start| sums.part(start, self.channels))
    }
}

/// Mean and variance of whole channels, both `[channels]`, from those of their parts, `[channels, parts]`: the means,
/// and the sums of squared deviations from these. Each part has `each` numbers.
pub(crate) fn combine_moments(gpu: &Gpu, [means, squares]: [&Array; 2], channels: usize, each: usize) -> [Array; 2] {
    let [mean, variance] = [0; 2].map(|_| gpu.empty(channels));
    let parts = means.len() / channels;
    launch!(combine, gpu, channels, means.arg(), squares.arg(), mean.arg(), variance.arg(), parts, channels, each);
    [mean, variance]
}

/// For each channel of each image, `[channels, n]`: the mean, and the sum of squared deviations from it.
#[cube(launch_unchecked)]
fn moments(x: &[f32], means: &mut [f32], squares: &mut [f32], n: usize, pixels: usize) {
    let row = ABSOLUTE_POS;
    if row < means.len() {
        let first = row / n * pixels * n + row % n;
        let mut sum = f32::new(0.0);
        for chunk in 0..pixels.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for pixel in chunk * CHUNK..min((chunk + 1) * CHUNK, pixels) {
                chunk_sum += x[first + pixel * n];
            }
            sum += chunk_sum;
        }
        let mean = sum / f32::cast_from(pixels);
        let mut square = f32::new(0.0);
        for chunk in 0..pixels.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for pixel in chunk * CHUNK..min((chunk + 1) * CHUNK, pixels) {
                let deviation = x[first + pixel * n] - mean;
                chunk_sum += deviation * deviation;
            }
            square += chunk_sum;
        }
        means[row] = mean;
        squares[row] = square;
    }
}

/// Mean and variance of whole channels from those of their `n` parts of `pixels` numbers each (Chan, Golub and
/// LeVeque's update).
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
        for chunk in 0..n.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for image in chunk * CHUNK..min((chunk + 1) * CHUNK, n) {
                chunk_sum += means[channel * n + image];
            }
            sum += chunk_sum;
        }
        let total_mean = sum / f32::cast_from(n);
        let mut square = f32::new(0.0);
        for chunk in 0..n.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            for image in chunk * CHUNK..min((chunk + 1) * CHUNK, n) {
                let deviation = means[channel * n + image] - total_mean;
                chunk_sum += squares[channel * n + image] + f32::cast_from(pixels) * deviation * deviation;
            }
            square += chunk_sum;
        }
        mean[channel] = total_mean;
        variance[channel] = square / f32::cast_from(n * pixels);
    }
}

/// Normalises, scales, shifts and rectifies. `per_channel` is the number of values in a channel.
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
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let channel = at / per_channel;
            let factor = gamma[channel] / (variance[channel] + epsilon).sqrt();
            let value = (x[at] - mean[channel]) * factor + beta[channel];
            y[at] = select(value > 0.0, value, value * slope);
        }
    }
}

/// For each channel of each image, `[channels, n]`: the sum of the gradient, and from `second` on the sum of the
/// gradient times the normalised input.
#[cube(launch_unchecked)]
fn gradient_sums(
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
        let channel_mean = mean[channel];
        let factor = 1.0 / (variance[channel] + epsilon).sqrt();
        let mut sum = f32::new(0.0);
        let mut products = f32::new(0.0);
        for chunk in 0..pixels.div_ceil(CHUNK) {
            let mut chunk_sum = f32::new(0.0);
            let mut chunk_products = f32::new(0.0);
            for pixel in chunk * CHUNK..min((chunk + 1) * CHUNK, pixels) {
                let at = first + pixel * n;
                let g = gradient[at] * select(y[at] > 0.0, 1.0, slope);
                chunk_sum += g;
                chunk_products += g * (x[at] - channel_mean) * factor;
            }
            sum += chunk_sum;
            products += chunk_products;
        }
        sums[row] = sum;
        sums[second + row] = products;
    }
}

/// The gradient of the input. `per_channel` is the number of values in a channel.
#[cube(launch_unchecked)]
fn backward(
    x: &[f32],
    y: &[f32],
    gradient: &[f32],
    gamma: &[f32],
    mean: &[f32],
    variance: &[f32],
    gamma_gradient: &[f32],
    beta_gradient: &[f32],
    x_gradient: &mut [f32],
    len: usize,
    per_channel: usize,
    epsilon: f32,
    slope_before: f32,
    slope_after: f32,
) {
    #[unroll]
    for i in 0..PER_INVOCATION {
        let at = element_index(i);
        if at < len {
            let channel = at / per_channel;
            let factor = 1.0 / (variance[channel] + epsilon).sqrt();
            let g = gradient[at] * select(y[at] > 0.0, 1.0, slope_after);
            let value = x[at];
            let normalised = (value - mean[channel]) * factor;
            let mean_terms =
                (beta_gradient[channel] + normalised * gamma_gradient[channel]) / f32::cast_from(per_channel);
            let dx = gamma[channel] * factor * (g - mean_terms);
            x_gradient[at] = dx * select(value > 0.0, 1.0, slope_before);
        }
    }
}
