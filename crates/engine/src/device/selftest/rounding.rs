//! How far rounding alone can take two right engines apart.

use burn::tensor::Device;

use super::Subject;
use crate::network::single::{Given, Kind, Outcome, Single};

/// Half a unit in the last place of a 32-bit float of size 1.
const UNIT: f32 = f32::EPSILON / 2.0;
/// Units that a few operations may be off: WebGPU allows a division 2.5 units in the last place and a square root as
/// many, and fused multiply-adds and other orders of sums add theirs (WGSL, "Floating Point Accuracy").
const FEW: f32 = 64.0;
/// Rounding errors of a sum are as good as random: they grow with the root of the number of terms. This many times that is
/// more than any order of summation was seen to make, and less than a hundredth of what half precision makes.
const PER_ROOT: f32 = 8.0;

/// The units that a sum of so many products may be off, in parts of the sum of their absolute values.
fn units(n_terms: usize) -> f32 {
    UNIT * (FEW + PER_ROOT * (n_terms as f32).sqrt())
}

/// For each number of an outcome, how far from the truth it may be.
pub(super) async fn allowed(single: &Single, given: &Given, truth: &Outcome) -> Result<Outcome, String> {
    Ok(match single.kind() {
        Kind::Sums { forward, weights, back } => {
            // Rounding is a part of what is added up, not of what comes out: where terms cancel, little comes out.
            let Outcome { output, gradients, input_gradient, .. } =
                Device::flex().run(&single.clone().linear(), &absolute(given)).await?;
            Outcome {
                output: times(output, units(forward)),
                statistics: vec![],
                gradients: gradients.into_iter().map(|gradient| times(gradient, units(weights))).collect(),
                input_gradient: input_gradient.map(|gradient| times(gradient, units(back))),
            }
        }
        Kind::Norm { .. } => of_norm(single, given, truth),
        Kind::Moves => Outcome {
            output: uniform(&truth.output),
            input_gradient: truth.input_gradient.as_deref().map(uniform),
            ..Outcome::default()
        },
    })
}

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

/// Numbers that were moved and scaled: as exact as their largest.
fn uniform(numbers: &[f32]) -> Vec<f32> {
    let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    vec![largest * units(1); numbers.len()]
}

/// One channel of a normalisation, with what its sums add up.
#[derive(Clone, Copy, Default)]
struct Channel {
    mean: f32,
    /// One over the deviation.
    scale: f32,
    /// Means over all its pixels: of |x|, of (x - mean)², of |g|, and of |g| times the size of the normalised x.
    of_input: f32,
    of_square: f32,
    of_gradient: f32,
    of_product: f32,
}

fn of_norm(single: &Single, given: &Given, truth: &Outcome) -> Outcome {
    let shape = single.input();
    let (n_pixels, n_channels) = (shape.height * shape.width, shape.channels);
    let n_terms = n_pixels * single.n;
    let units = units(n_terms);
    let [gamma, beta] = [0, 1].map(|array| &given.arrays[array]);
    let [means, variances] = [0, 1].map(|statistic| &truth.statistics[statistic]);
    let channel_of = |at: usize| at / n_pixels % n_channels;
    let mut channels: Vec<Channel> = means
        .iter()
        .zip(variances)
        .map(|(mean, variance)| Channel { mean: *mean, scale: (variance + 1e-3).sqrt().recip(), ..Channel::default() })
        .collect();
    // The size of a normalised number before its mean is taken out, which is what rounding goes by.
    let size = |x: f32, channel: &Channel| (x.abs() + channel.mean.abs()) * channel.scale;
    for (at, (x, g)) in given.input.iter().zip(&given.gradient).enumerate() {
        let channel = &mut channels[channel_of(at)];
        let size = size(*x, channel);
        let share = 1.0 / n_terms as f32;
        channel.of_input += share * x.abs();
        channel.of_square += share * (x - channel.mean) * (x - channel.mean);
        channel.of_gradient += share * g.abs();
        channel.of_product += share * g.abs() * size;
    }
    let numbers = |each: &dyn Fn(usize, &Channel) -> f32| -> Vec<f32> {
        (0..given.input.len()).map(|at| units * each(at, &channels[channel_of(at)])).collect()
    };
    let by_channel = |each: &dyn Fn(&Channel) -> f32| channels.iter().map(|channel| units * each(channel)).collect();
    let output = numbers(&|at, channel| {
        let (gamma, beta) = (gamma[channel_of(at)], beta[channel_of(at)]);
        gamma.abs() * size(given.input[at], channel) + beta.abs()
    });
    let before = numbers(&|at, channel| {
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
        input_gradient: truth.input_gradient.as_ref().map(|_| before),
    }
}
