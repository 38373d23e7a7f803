//! The cross-entropy of a batch: its tally, and the gradient that goes back through the network.

use burn::tensor::{Tensor, TensorData};
use inkling_core::spec::N_CLASSES;

use super::Tally;
use crate::batch::Batch;
use crate::network::flex;

/// What a batch's logits came to.
pub struct Loss {
    pub tally: Tally,
    /// Of the mean cross-entropy with respect to the logits, `[batch, 10]`.
    pub gradient: Tensor<2>,
}

impl Loss {
    /// Compares logits `[batch, 10]`, without gradients, with the batch's targets, on their own device.
    pub fn of(logits: Tensor<2>, batch: &Batch) -> Self {
        let n_images = batch.len();
        #[cfg(feature = "gpu")]
        if logits.device() != burn::tensor::Device::flex() {
            use crate::network::Card;
            let (card, logits) = Card::of(logits);
            let (_, targets) = Card::of(batch.targets.clone());
            let [sums, gradient] = inkling_shaders::cross_entropy(&card.gpu, &logits, &targets, N_CLASSES);
            let gradient = card.tensor(gradient).reshape([n_images, N_CLASSES]);
            return Self { tally: Tally::new(card.tensor(sums), n_images), gradient };
        }
        let device = logits.device();
        let (logits, targets) = (flex::of(logits), flex::of(batch.targets.clone()));
        let mut gradient = Vec::with_capacity(n_images * N_CLASSES);
        let mut sums = [0.0; 2];
        for (logits, targets) in
            logits.storage::<f32>().chunks_exact(N_CLASSES).zip(targets.storage().chunks_exact(N_CLASSES))
        {
            let (loss, hit) = compare(logits, targets, n_images, &mut gradient);
            sums[0] += loss;
            sums[1] += f32::from(u8::from(hit));
        }
        let gradient = Tensor::from_data(TensorData::new(gradient, [n_images, N_CLASSES]), &device);
        Self { tally: Tally::new(flex::flat(sums.to_vec()), n_images), gradient }
    }
}

/// One image: its loss in nats, and whether it was read rightly. Its part of the gradient is appended.
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
        let (loss, hit) = compare(&[0.5; 10], &target, 2, &mut gradient);
        assert!((loss - 10_f32.ln()).abs() < 1e-6 && !hit, "{loss}");
        assert!((gradient[3] + 0.45).abs() < 1e-6 && (gradient[4] - 0.05).abs() < 1e-6, "{gradient:?}");
    }

    #[test]
    fn huge_logits_neither_overflow_nor_vanish() {
        let (mut gradient, mut target) = (vec![], vec![0.0; 10]);
        target[1] = 1.0;
        let mut logits = [-1000.0; 10];
        logits[1] = 1000.0;
        let (loss, hit) = compare(&logits, &target, 1, &mut gradient);
        assert_eq!((loss, hit, gradient.iter().all(|g| g.abs() < 1e-6)), (0.0, true, true));
    }
}
