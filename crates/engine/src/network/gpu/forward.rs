//! Ops forward, on a graphics card.

use inkling_core::models::Shape;
use inkling_shaders::{self as shaders, Dense, Gpu};

use super::{Array, DropoutMask, GpuKernels, Images, Saved, norm, window};
use crate::network::pass::Forward;
use crate::network::plan::Op;

/// One op in training mode.
pub fn forward(
    gpu: &Gpu,
    op: &Op,
    shape: Shape,
    x: Images,
    arrays: &[Array],
    mask: Option<DropoutMask>,
) -> Forward<GpuKernels> {
    let n = x.n;
    let (array, saved) = match (*op, mask) {
        (Op::Standardize { mean, deviation }, _) => {
            let standardized = shaders::axpby(gpu, [&x.array, &x.array], [1.0 / deviation, 0.0, -mean / deviation]);
            (standardized, Saved::Nothing)
        }
        (Op::Conv { conv, input, rectifier }, _) => {
            let (window, bias) = (window(n, conv, input), conv.bias.then(|| &arrays[1]));
            let padded = window.pad(gpu, &x.array);
            (window.forward(gpu, &padded, &arrays[0], bias, rectifier.slope), Saved::Padded(padded))
        }
        (Op::Dense { inputs, units, rectifier }, _) => {
            let dense = Dense { n, inputs, units };
            (dense.forward(gpu, &x.array, &arrays[0], &arrays[1], rectifier.slope), Saved::Nothing)
        }
        (Op::BatchNorm { rectified }, _) => {
            let norm = norm(n, shape, rectified);
            let [mean, variance] = norm.moments(gpu, &x.array);
            let y = norm.apply(gpu, &x.array, [&arrays[0], &arrays[1]], [&mean, &variance]);
            (y, Saved::Statistics([mean, variance]))
        }
        (Op::Pool { input, .. }, _) => {
            (shaders::max_pool(gpu, &x.array, input.channels, input.height, n), Saved::Nothing)
        }
        (Op::Dropout(_), Some(mask)) => (mask.apply(gpu, &x).array, Saved::Mask(mask)),
        // Rows and columns are stored one after another already.
        (Op::Dropout(_), None) | (Op::Flatten, _) => (x.array.clone(), Saved::Nothing),
    };
    Forward { output: Images { array, n }, input: Some(x), saved }
}
