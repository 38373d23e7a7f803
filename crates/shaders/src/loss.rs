//! The cross-entropy of a batch, and its gradient.

use cubecl::prelude::*;

use crate::fold;
use crate::gpu::{Array, Gpu, launch};

/// The sum of the losses in nats and the number of images read rightly, `[2]`, and the gradient of the mean loss.
///
/// # Shapes
/// - `logits`, `targets`, the gradient: `[n, classes]`; each row of targets sums to 1, and is greatest at the label
pub fn cross_entropy(gpu: &Gpu, logits: &Array, targets: &Array, classes: usize) -> [Array; 2] {
    let n = logits.len() / classes;
    let (tallies, gradient) = (gpu.empty(2 * n), gpu.empty(logits.len()));
    launch!(compare, gpu, n, logits.arg(), targets.arg(), tallies.arg(), gradient.arg(), n, classes);
    [fold::rows(gpu, &tallies, n), gradient]
}

#[cube(launch_unchecked)]
fn compare(logits: &[f32], targets: &[f32], tallies: &mut [f32], gradient: &mut [f32], n: usize, classes: usize) {
    let image = ABSOLUTE_POS;
    if image < n {
        let first = image * classes;
        let mut greatest = logits[first];
        let mut guess = 0usize.runtime();
        let mut target = targets[first];
        let mut label = 0usize.runtime();
        for class in 1..classes {
            let logit = logits[first + class];
            if logit > greatest {
                greatest = logit;
                guess = class;
            }
            if targets[first + class] > target {
                target = targets[first + class];
                label = class;
            }
        }
        let mut sum = f32::new(0.0);
        for class in 0..classes {
            sum += (logits[first + class] - greatest).exp();
        }
        let log_sum = sum.ln();
        let mut loss = f32::new(0.0);
        for class in 0..classes {
            let distance = logits[first + class] - greatest;
            let wanted = targets[first + class];
            loss += wanted * (log_sum - distance);
            gradient[first + class] = (distance.exp() / sum - wanted) / f32::cast_from(n);
        }
        tallies[image] = loss;
        tallies[n + image] = select(guess == label, 1.0, 0.0);
    }
}
