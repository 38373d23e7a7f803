//! Bounds for the difference between two correct engines that only rounding causes. It never judges results itself.

use burn::tensor::Device;

use super::Subject;
use crate::network::single_op::{Given, Kind, Outcome, Single};

/// The rounding unit: half a unit in the last place of a 32-bit float of size 1.
const UNIT: f32 = f32::EPSILON / 2.0;
/// Allowed error of a few operations, in rounding units. WebGPU allows an error of 2.5 units in the last place for a
/// division and the same for a square root; fused multiply-adds and other orders of summation add theirs (WGSL,
/// "Floating Point Accuracy").
const FEW: f32 = 64.0;
/// Allowed error of a sum, in rounding units per square root of the number of terms: rounding errors are almost random,
/// so they grow with that root. 8 is more than any order of summation caused, and less than a hundredth of what half
/// precision causes.
const PER_ROOT: f32 = 8.0;

/// The allowed error of a sum of `n_terms` products, relative to the sum of their absolute values.
fn relative_error(n_terms: usize) -> f32 {
    UNIT * (FEW + PER_ROOT * (n_terms as f32).sqrt())
}

/// The allowed difference from the expected outcome, for each of its numbers.
pub(super) async fn allowed(single: &Single, given: &Given, expected: &Outcome) -> Result<Outcome, String> {
    Ok(match single.kind() {
        Kind::Sums { forward, weights, back } => {
            // Rounding errors are relative to the terms, not to the sum: where terms cancel, the sum is small. So the
            // op runs once more on absolute values.
            let Outcome { output, gradients, input_gradient, .. } =
                Device::flex().run(&single.clone().linear(), &absolute(given)).await?;
            Outcome {
                output: times(output, relative_error(forward)),
                statistics: vec![],
                gradients: gradients.into_iter().map(|gradient| times(gradient, relative_error(weights))).collect(),
                input_gradient: input_gradient.map(|gradient| times(gradient, relative_error(back))),
            }
        }
        Kind::BatchNorm { .. } => allowed_of_norm(single, given, expected),
        Kind::Moves => Outcome {
            output: uniform(&expected.output),
            input_gradient: expected.input_gradient.as_deref().map(uniform),
            ..Outcome::default()
        },
    })
}

/// The absolute values of all inputs of an op.
fn absolute(given: &Given) -> Given {
    let absolute = |numbers: &Vec<f32>| numbers.iter().map(|x| x.abs()).collect();
    Given {
        input: absolute(&given.input),
        arrays: given.arrays.iter().map(absolute).collect(),
        gradient: absolute(&given.gradient),
        output: None,
    }
}

fn times(mut numbers: Vec<f32>, factor: f32) -> Vec<f32> {
    numbers.iter_mut().for_each(|x| *x *= factor);
    numbers
}

/// The allowed differences of numbers that were only moved and scaled: relative to the largest of them.
fn uniform(numbers: &[f32]) -> Vec<f32> {
    let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    vec![largest * relative_error(1); numbers.len()]
}

/// One channel of a normalisation, and the means of the absolute terms of its sums.
#[derive(Clone, Copy, Default)]
struct Channel {
    mean: f32,
    /// One over the standard deviation.
    scale: f32,
    /// Mean of |x| over all pixels of the channel.
    of_input: f32,
    /// Mean of (x - mean)².
    of_square: f32,
    /// Mean of |g|, where g is the gradient of the output.
    of_gradient: f32,
    /// Mean of |g| times the size of the normalised x.
    of_product: f32,
}

/// The allowed differences of a normalisation.
fn allowed_of_norm(single: &Single, given: &Given, expected: &Outcome) -> Outcome {
    let shape = single.input();
    let (n_pixels, n_channels) = (shape.height * shape.width, shape.channels);
    let n_terms = n_pixels * single.n;
    let error = relative_error(n_terms);
    let [gamma, beta] = [0, 1].map(|array| &given.arrays[array]);
    let [means, variances] = [0, 1].map(|statistic| &expected.statistics[statistic]);
    let channel_of = |at: usize| at / n_pixels % n_channels;
    let mut channels: Vec<Channel> = means
        .iter()
        .zip(variances)
        .map(|(mean, variance)| Channel { mean: *mean, scale: (variance + 1e-3).sqrt().recip(), ..Channel::default() })
        .collect();
    // The size of a normalised number before its mean is subtracted; rounding errors are relative to it.
    let size = |x: f32, channel: &Channel| (x.abs() + channel.mean.abs()) * channel.scale;
    for (at, (x, g)) in given.input.iter().zip(&given.gradient).enumerate() {
        let channel = &mut channels[channel_of(at)];
        let size = size(*x, channel);
        let weight = 1.0 / n_terms as f32;
        channel.of_input += weight * x.abs();
        channel.of_square += weight * (x - channel.mean) * (x - channel.mean);
        channel.of_gradient += weight * g.abs();
        channel.of_product += weight * g.abs() * size;
    }
    let by_number = |each: &dyn Fn(usize, &Channel) -> f32| -> Vec<f32> {
        (0..given.input.len()).map(|at| error * each(at, &channels[channel_of(at)])).collect()
    };
    let by_channel = |each: &dyn Fn(&Channel) -> f32| channels.iter().map(|channel| error * each(channel)).collect();
    let output = by_number(&|at, channel| {
        let (gamma, beta) = (gamma[channel_of(at)], beta[channel_of(at)]);
        gamma.abs() * size(given.input[at], channel) + beta.abs()
    });
    let input_gradient = by_number(&|at, channel| {
        let means = channel.of_gradient + size(given.input[at], channel) * channel.of_product;
        gamma[channel_of(at)].abs() * channel.scale * (given.gradient[at].abs() + means)
    });
    let n = n_terms as f32;
    Outcome {
        output,
        statistics: vec![
            by_channel(&|channel| channel.of_input),
            by_channel(&|channel| channel.of_square + channel.mean * channel.mean),
        ],
        gradients: vec![by_channel(&|channel| n * channel.of_product), by_channel(&|channel| n * channel.of_gradient)],
        input_gradient: expected.input_gradient.as_ref().map(|_| input_gradient),
    }
}
