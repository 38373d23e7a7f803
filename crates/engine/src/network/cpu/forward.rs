//! Ops forward, on the CPU.

use burn::tensor::Tensor;
use inkling_kernels::{self as kernels, BatchNorm, BlockedLayout, Dropout, FusedRectifier};

use super::{Blocked, CpuKernels, Saved, numbers};
use crate::network::BATCH_NORM_EPSILON;
use crate::network::pass::Forward;
use crate::network::plan::Op;

/// One op in training mode.
pub fn forward(
    cpu: &CpuKernels,
    op: &Op,
    mut x: Blocked,
    arrays: &[Tensor<1>],
    mask: Option<Dropout>,
) -> Forward<CpuKernels> {
    let n = x.layout.n();
    match *op {
        Op::Standardize { mean, deviation } => {
            x.numbers.iter_mut().for_each(|x| *x = (*x - mean) / deviation);
            Forward { output: x, input: None, saved: Saved::Nothing }
        }
        Op::Conv { conv, input, rectifier } => {
            let window = cpu.window(n, conv, input);
            let padded = window.is_padded().then(|| {
                let mut padded = cpu.take(window.padded_layout().len());
                window.pad(&x, &mut padded);
                padded
            });
            let mut y = cpu.take(window.output_layout().len());
            let (weights, bias) = (numbers(&arrays[0]), conv.bias.then(|| numbers(&arrays[1])));
            let bias = bias.as_ref().map(|bias| bias.storage());
            window.forward(padded.as_deref().unwrap_or(&x), weights.storage(), bias, rectifier.slope, &mut y);
            let saved = padded.map_or(Saved::Nothing, Saved::Padded);
            Forward { output: Blocked { layout: window.output_layout(), numbers: y }, input: Some(x), saved }
        }
        Op::Dense { inputs, units, rectifier } => {
            let dense = cpu.dense(n, inputs, units);
            let mut y = cpu.take(dense.output().len());
            dense.forward(&x, numbers(&arrays[0]).storage(), &mut y);
            kernels::add_bias(&dense.output(), &mut y, numbers(&arrays[1]).storage(), rectifier.slope);
            to_other(dense.output(), y, x)
        }
        Op::BatchNorm { rectified } => {
            let mut y = cpu.take(x.len());
            let statistics = normalise(rectified, &x, arrays, &mut y);
            let output = Blocked { layout: x.layout, numbers: y };
            Forward { output, input: Some(x), saved: Saved::Statistics(statistics) }
        }
        Op::Pool { input, .. } => {
            let half = input.height / 2;
            let output = BlockedLayout::blocked(cpu.isa, n, input.channels, half * half);
            let mut y = cpu.take(output.len());
            kernels::max_pool(&x.layout, input.height, &x, &mut y);
            to_other(output, y, x)
        }
        Op::Dropout(_) => {
            mask.into_iter().for_each(|mask| mask.apply(&x.layout, &mut x.numbers));
            Forward { output: x, input: None, saved: mask.map_or(Saved::Nothing, Saved::Dropout) }
        }
        Op::Flatten => {
            let mut y = cpu.take(x.len());
            let flat = x.layout.flatten(&x, &mut y);
            to_other(flat, y, x)
        }
    }
}

/// An op that saves its input alone.
fn to_other(layout: BlockedLayout, y: Vec<f32>, x: Blocked) -> Forward<CpuKernels> {
    Forward { output: Blocked { layout, numbers: y }, input: Some(x), saved: Saved::Nothing }
}

/// Writes normalised values to `y`; returns mean and variance of the batch.
fn normalise(rectified: FusedRectifier, x: &Blocked, arrays: &[Tensor<1>], y: &mut [f32]) -> [Vec<f32>; 2] {
    let channels = x.layout.channels();
    let (mut mean, mut variance) = (vec![0.0; channels], vec![0.0; channels]);
    let norm = BatchNorm { layout: x.layout, epsilon: BATCH_NORM_EPSILON as f32, rectified };
    let (gamma, beta) = (numbers(&arrays[0]), numbers(&arrays[1]));
    norm.forward(x, [gamma.storage(), beta.storage()], y, [&mut mean, &mut variance]);
    [mean, variance]
}

/// A normalisation by its running statistics, in place.
pub fn evaluate_norm(
    rectified: FusedRectifier,
    mut x: Blocked,
    arrays: &[Tensor<1>],
    statistics: &[Tensor<1>],
) -> Blocked {
    let norm = BatchNorm { layout: x.layout, epsilon: BATCH_NORM_EPSILON as f32, rectified };
    let [mean, variance] = [0, 1].map(|at| numbers(&statistics[at]));
    let [gamma, beta] = [0, 1].map(|at| numbers(&arrays[at]));
    norm.evaluate(&mut x.numbers, [gamma.storage(), beta.storage()], [mean.storage(), variance.storage()]);
    x
}
