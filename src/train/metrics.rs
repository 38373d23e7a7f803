//! Loss and hits of a batch, kept on the device and read many at a time.

use burn::tensor::ExecutionError;
use burn::tensor::{Tensor, Transaction};

use super::cross_entropy;
use crate::data::batch::Batch;
use crate::spec::Metrics;

/// Loss and hits of one batch, on the device.
pub struct Tally {
    /// Mean cross-entropy, `[1]`.
    loss: Tensor<1>,
    /// Images read rightly, `[1]`.
    hits: Tensor<1>,
    n_images: usize,
}

impl Tally {
    /// Compares logits `[batch, 10]`, without gradients, with the batch's labels.
    pub fn of(logits: Tensor<2>, batch: &Batch) -> Self {
        let hits = logits.clone().argmax(1).flatten::<1>(0, 1).equal(batch.labels.clone());
        Self { loss: cross_entropy(logits, batch.targets.clone()), hits: hits.float().sum(), n_images: batch.len() }
    }
}

/// Reads tallies in one transfer, in order, each with its number of images.
///
/// # Errors
/// When the device has failed.
pub async fn read_metrics(tallies: Vec<Tally>) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
    let counts: Vec<_> = tallies.iter().map(|tally| tally.n_images).collect();
    let register = |t: Transaction, tally: Tally| t.register(tally.loss).register(tally.hits);
    let datas = tallies.into_iter().fold(Transaction::default(), register).execute_async().await?;
    let numbers: Vec<f64> = datas.iter().flat_map(|data| data.iter::<f32>()).map(f64::from).collect();
    let metrics = |(pair, n): (&[f64], usize)| (Metrics { loss: pair[0], accuracy: pair[1] / n as f64 }, n);
    Ok(numbers.chunks_exact(2).zip(counts).map(metrics).collect())
}

/// Metrics over the images of many batches.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    loss_sum: f64,
    hits: f64,
    n_images: usize,
}

impl Mean {
    /// Takes in what a batch of so many images came to.
    pub fn add(&mut self, metrics: Metrics, n_images: usize) {
        self.loss_sum += metrics.loss * n_images as f64;
        self.hits += metrics.accuracy * n_images as f64;
        self.n_images += n_images;
    }

    /// Loss and accuracy over all images so far; zeros before the first.
    pub fn metrics(&self) -> Metrics {
        let n = self.n_images.max(1) as f64;
        Metrics { loss: self.loss_sum / n, accuracy: self.hits / n }
    }
}
