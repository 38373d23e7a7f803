//! Ops backward, on the CPU.

use burn::tensor::Tensor;
use inkling_kernels::{self as kernels, BatchNorm, BlockedLayout};

use super::{Blocked, CpuKernels, Saved, numbers};
use crate::network::pass::{Context, Gradients};
use crate::network::plan::{LINEAR, Op};
use crate::network::{BATCH_NORM_EPSILON, flex};

/// The gradients of one op.
pub fn backward(
    cpu: &CpuKernels,
    op: &Op,
    context: &Context<'_, CpuKernels>,
    mut gradient: Blocked,
) -> Gradients<CpuKernels> {
    let n = gradient.layout.n();
    match *op {
        Op::Standardize { .. } => (vec![], Some(gradient)),
        Op::Conv { conv, input, rectifier } => {
            rectify(cpu, context.output, &mut gradient, rectifier.own_backward_slope());
            let window = cpu.window(n, conv, input);
            let x = if let Saved::Padded(padded) = context.saved { padded } else { &**context.input() };
            let mut of_weights = vec![0.0; context.arrays[0].dims()[0]];
            window.weights_gradient(x, &gradient, &mut of_weights);
            let of_bias = conv.bias.then(|| channel_sums(&gradient));
            let of_input = context.needs_input_gradient.then(|| {
                let layout = window.input_layout();
                let mut of_input = cpu.take(layout.len());
                window.input_gradient(&gradient, numbers(&context.arrays[0]).storage(), &mut of_input);
                Blocked { layout, numbers: of_input }
            });
            cpu.give(gradient.numbers);
            (std::iter::once(flex::flat(of_weights)).chain(of_bias).collect(), of_input)
        }
        Op::Dense { inputs, units, rectifier } => {
            rectify(cpu, context.output, &mut gradient, rectifier.own_backward_slope());
            let dense = cpu.dense(n, inputs, units);
            let mut of_weights = vec![0.0; context.arrays[0].dims()[0]];
            dense.weights_gradient(context.input(), &gradient, &mut of_weights);
            let of_bias = channel_sums(&gradient);
            let mut of_input = cpu.take(dense.input().len());
            dense.input_gradient(&gradient, numbers(&context.arrays[0]).storage(), &mut of_input);
            cpu.give(gradient.numbers);
            (vec![flex::flat(of_weights), of_bias], Some(Blocked { layout: dense.input(), numbers: of_input }))
        }
        Op::BatchNorm { rectified } => {
            let Saved::Statistics([mean, variance]) = context.saved else {
                unreachable!("a normalisation saves its statistics")
            };
            let norm = BatchNorm { layout: gradient.layout, epsilon: BATCH_NORM_EPSILON as f32, rectified };
            let (mut of_gamma, mut of_beta) = (vec![0.0; mean.len()], vec![0.0; mean.len()]);
            let (gamma, into) = (numbers(&context.arrays[0]), [&mut of_gamma[..], &mut of_beta[..]]);
            let around = [&**context.input(), &**context.output];
            norm.backward(around, gamma.storage(), [mean, variance], &mut gradient.numbers, into);
            (vec![flex::flat(of_gamma), flex::flat(of_beta)], Some(gradient))
        }
        Op::Pool { input, slope } => {
            let x = context.input();
            let mut of_input = cpu.take(x.len());
            kernels::max_pool_backward(&x.layout, input.height, x, &gradient, &mut of_input);
            cpu.give(gradient.numbers);
            let mut of_input = Blocked { layout: x.layout, numbers: of_input };
            rectify(cpu, x, &mut of_input, slope);
            (vec![], Some(of_input))
        }
        Op::Dropout(_) => {
            if let Saved::Dropout(mask) = context.saved {
                mask.apply(&gradient.layout, &mut gradient.numbers);
            }
            (vec![], Some(gradient))
        }
        Op::Flatten => {
            let layout = context.input().layout;
            let mut of_input = cpu.take(gradient.len());
            layout.unflatten(&gradient, &mut of_input);
            cpu.give(gradient.numbers);
            (vec![], Some(Blocked { layout, numbers: of_input }))
        }
    }
}

/// The backward pass of a rectifier with this slope, in place, from the signs of its output.
fn rectify(cpu: &CpuKernels, output: &Blocked, gradient: &mut Blocked, slope: f32) {
    if slope != LINEAR {
        kernels::rectify_backward(cpu.isa, output, &mut gradient.numbers, slope);
    }
}

/// One sum a channel.
fn channel_sums(values: &Blocked) -> Tensor<1> {
    let layout: &BlockedLayout = &values.layout;
    let mut sums = vec![0.0; layout.channels()];
    kernels::sum_channels(layout, values, &mut sums);
    flex::flat(sums)
}
