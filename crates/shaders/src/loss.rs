//! The cross-entropy loss of a batch, and its gradient. Keeps nothing.

use cubecl::prelude::*;

use crate::gpu::{Array, Gpu, launch};
use crate::partial_sums;

/// Softmax cross-entropy. Returns two arrays: `[2]`, the sum of the losses of all images (in nats) and the number of
/// correctly classified images; and the gradient of the mean loss with respect to the logits.
///
/// # Shapes
/// - `logits`, `targets`, the gradient: `[n, classes]`; each row of `targets` sums to 1 and is greatest at the label
pub fn cross_entropy(gpu: &Gpu, logits: &Array, targets: &Array, classes: usize) -> [Array; 2] {
    let n = logits.len() / classes;
    let (metrics, gradient) = (gpu.empty(2 * n), gpu.empty(logits.len()));
    launch!(cross_entropy_kernel, gpu, n, logits.arg(), targets.arg(), metrics.arg(), gradient.arg(), n, classes);
    [partial_sums::rows(gpu, &metrics, n), gradient]
}

/// An invocation handles one image. `metrics` is `[2, n]`: the loss of each image, and 1 where it is classified
/// correctly.
#[cube(launch_unchecked)]
fn cross_entropy_kernel(
    logits: &[f32],
    targets: &[f32],
    metrics: &mut [f32],
    gradient: &mut [f32],
    n: usize,
    classes: usize,
) {
    let image = ABSOLUTE_POS;
    if image < n {
        let first = image * classes;
        let mut max_logit = logits[first];
        let mut predicted = 0usize.runtime();
        let mut max_target = targets[first];
        let mut label = 0usize.runtime();
        for class in 1..classes {
            let logit = logits[first + class];
            if logit > max_logit {
                max_logit = logit;
                predicted = class;
            }
            if targets[first + class] > max_target {
                max_target = targets[first + class];
                label = class;
            }
        }
        let mut exp_sum = f32::new(0.0);
        for class in 0..classes {
            exp_sum += (logits[first + class] - max_logit).exp();
        }
        let log_exp_sum = exp_sum.ln();
        let mut loss = f32::new(0.0);
        for class in 0..classes {
            let shifted_logit = logits[first + class] - max_logit;
            let target = targets[first + class];
            loss += target * (log_exp_sum - shifted_logit);
            gradient[first + class] = (shifted_logit.exp() / exp_sum - target) / f32::cast_from(n);
        }
        metrics[image] = loss;
        metrics[n + image] = select(predicted == label, 1.0, 0.0);
    }
}
