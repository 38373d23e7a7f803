//! Ops backward, on a graphics card.

use inkling_shaders::{self as shaders, Dense, Gpu};

use super::{Array, GpuKernels, Images, Saved, norm, window};
use crate::network::pass::{Context, Gradients};
use crate::network::plan::{LINEAR, Op};

/// The gradients of one op.
pub fn backward(gpu: &Gpu, op: &Op, context: &Context<'_, GpuKernels>, gradient: Images) -> Gradients<GpuKernels> {
    let (n, g, x) = (gradient.n, gradient.array, &context.input().array);
    let (of_arrays, of_input) = match *op {
        Op::Standardize { .. } => (vec![], None),
        Op::Conv { conv, input, rectifier } => {
            let g = rectify(gpu, context.output, g, rectifier.own_backward_slope());
            let Saved::Padded(padded) = context.saved else { unreachable!("a convolution saves its padded input") };
            let window = window(n, conv, input);
            let of_weights = window.weights_gradient(gpu, padded, &g);
            let of_bias = conv.bias.then(|| shaders::sum_channels(gpu, &g, window.output.iter().product(), n));
            let of_input = context.needs_input_gradient.then(|| window.input_gradient(gpu, &g, &context.arrays[0]));
            (std::iter::once(of_weights).chain(of_bias).collect(), of_input)
        }
        Op::Dense { inputs, units, rectifier } => {
            let g = rectify(gpu, context.output, g, rectifier.own_backward_slope());
            let dense = Dense { n, inputs, units };
            let of_weights = dense.weights_gradient(gpu, x, &g);
            let of_bias = shaders::sum_channels(gpu, &g, 1, n);
            let of_input = context.needs_input_gradient.then(|| dense.input_gradient(gpu, &g, &context.arrays[0]));
            (vec![of_weights, of_bias], of_input)
        }
        Op::BatchNorm { rectified } => {
            let Saved::Statistics([mean, variance]) = context.saved else {
                unreachable!("a normalisation saves its statistics")
            };
            let around = [x, &context.output.array, &g];
            let norm = norm(n, context.shape, rectified);
            let [of_gamma, of_beta, of_input] = norm.backward(gpu, around, &context.arrays[0], [mean, variance]);
            (vec![of_gamma, of_beta], Some(of_input))
        }
        Op::Pool { input, slope } => {
            (vec![], Some(shaders::max_pool_backward(gpu, [x, &g], input.channels, input.height, n, slope)))
        }
        Op::Dropout(_) => {
            let g = Images { array: g, n };
            let of_input = if let Saved::Mask(mask) = context.saved { mask.apply(gpu, &g) } else { g };
            (vec![], Some(of_input.array))
        }
        Op::Flatten => (vec![], Some(g)),
    };
    (of_arrays, of_input.map(|array| Images { array, n }))
}

/// The backward pass of a rectifier with this slope, from the signs of its output.
fn rectify(gpu: &Gpu, output: &Images, gradient: Array, slope: f32) -> Array {
    if slope == LINEAR {
        return gradient;
    }
    shaders::rectify_backward(gpu, &output.array, &gradient, slope)
}
