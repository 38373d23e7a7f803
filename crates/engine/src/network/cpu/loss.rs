//! Softmax and cross-entropy, on the CPU.

use burn::tensor::{Device, Tensor, TensorData};
use inkling_core::spec::N_CLASSES;

use crate::network::backend::CrossEntropy;
use crate::network::flex;

/// Compares logits `[batch, 10]` with targets `[batch, 10]`.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> CrossEntropy {
    let (logits, targets) = (flex::of(logits), flex::of(targets));
    let rows = logits.storage::<f32>().chunks_exact(N_CLASSES).zip(targets.storage().chunks_exact(N_CLASSES));
    let n_images = rows.len();
    let mut gradient = Vec::with_capacity(n_images * N_CLASSES);
    let mut sums = [0.0; 2];
    for (logits, targets) in rows {
        let (loss, correct) = compare(logits, targets, n_images, &mut gradient);
        sums[0] += loss;
        sums[1] += f32::from(u8::from(correct));
    }
    let gradient = Tensor::from_data(TensorData::new(gradient, [n_images, N_CLASSES]), &Device::flex());
    CrossEntropy { sums: flex::flat(sums.to_vec()), gradient }
}

/// One image: its loss in nats, and whether it is classified correctly. Its part of the gradient is appended.
fn compare(logits: &[f32], targets: &[f32], n_images: usize, gradient: &mut Vec<f32>) -> (f32, bool) {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - greatest).exp()).sum();
    let loss = logits.iter().zip(targets).map(|(logit, target)| target * (sum.ln() - (logit - greatest))).sum();
    let probabilities = softmax(logits);
    gradient.extend(probabilities.iter().zip(targets).map(|(p, target)| (p - target) / n_images as f32));
    (loss, first_greatest(logits) == first_greatest(targets))
}

/// Probabilities from logits.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - greatest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn first_greatest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undecided_network_loses_the_logarithm_of_the_number_of_classes() {
        let mut gradient = vec![];
        let target: Vec<f32> = (0..10).map(|class| f32::from(u8::from(class == 3))).collect();
        let (loss, correct) = compare(&[0.5; 10], &target, 2, &mut gradient);
        assert!((loss - 10_f32.ln()).abs() < 1e-6 && !correct, "{loss}");
        assert!((gradient[3] + 0.45).abs() < 1e-6 && (gradient[4] - 0.05).abs() < 1e-6, "{gradient:?}");
    }

    #[test]
    fn huge_logits_neither_overflow_nor_vanish() {
        let (mut gradient, mut target) = (vec![], vec![0.0; 10]);
        target[1] = 1.0;
        let mut logits = [-1000.0; 10];
        logits[1] = 1000.0;
        let (loss, correct) = compare(&logits, &target, 1, &mut gradient);
        assert_eq!((loss, correct, gradient.iter().all(|g| g.abs() < 1e-6)), (0.0, true, true));
    }
}
