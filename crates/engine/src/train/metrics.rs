//! Batch metrics: loss and accuracy, stored on the device and read for many batches in one transfer. Never computes a
//! loss.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use burn::tensor::{ExecutionError, Tensor, Transaction};
use inkling_core::spec::Metrics;
use serde::{Deserialize, Serialize};

use crate::network::flex;

/// The loss and accuracy of one batch, on the device.
#[derive(Clone)]
pub struct BatchMetrics {
    /// `[2]`: the sum of the images' cross-entropies in nats, and the number of images classified correctly.
    sums: Tensor<1>,
    n_images: usize,
}

impl BatchMetrics {
    /// The metrics of a batch of `n_images` images, from their [`BatchMetrics::sums`].
    pub fn new(sums: Tensor<1>, n_images: usize) -> Self {
        Self { sums, n_images }
    }

    /// `[2]` on the device: the sum of the images' cross-entropies in nats, and the number of images classified
    /// correctly.
    pub fn sums(&self) -> &Tensor<1> {
        &self.sums
    }

    /// The metrics that a worker computed on the CPU: mean cross-entropy and accuracy of `n_images` images.
    pub(super) fn from_means(loss: f32, accuracy: f32, n_images: usize) -> Self {
        let n = n_images as f32;
        Self { sums: flex::flat(vec![loss * n, (accuracy * n).round()]), n_images }
    }

    /// Mean cross-entropy and accuracy, as for [`BatchMetrics::from_means`]; on the CPU only.
    pub(super) fn means(&self) -> [f32; 2] {
        let sums = flex::of(self.sums.clone());
        let sums = sums.storage::<f32>();
        [0, 1].map(|index| sums[index] / self.n_images as f32)
    }
}

/// The metrics of steps that are not yet read from the device. At most one read request is in flight.
#[derive(Default)]
pub struct PendingMetrics {
    /// Not yet requested.
    waiting: Vec<BatchMetrics>,
    requested: Option<Request>,
}

/// A read request: the metrics of each batch, with its number of images.
type Request = Pin<Box<dyn Future<Output = Result<Vec<(Metrics, usize)>, ExecutionError>>>>;

impl PendingMetrics {
    /// Adds the metrics of the latest step.
    pub fn push(&mut self, batch_metrics: BatchMetrics) {
        self.waiting.push(batch_metrics);
    }

    /// Number of steps whose metrics are not yet requested.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the metrics of all steps are read.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.requested.is_none()
    }

    /// Requests the metrics of all steps, and returns those requested before, each with its number of images. Awaiting
    /// the new request would leave the device idle from its last step until the metrics arrive and the next step is
    /// launched. The CPU answers the new request at once, so it is returned too.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn request_and_take(&mut self) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
        let mut request: Request = Box::pin(read_metrics(std::mem::take(&mut self.waiting)));
        // A future sends its request when it is first polled.
        let answer = poll_fn(|context| Poll::Ready(request.as_mut().poll(context))).await;
        let mut read = match self.requested.take() {
            Some(previous) => previous.await?,
            None => vec![],
        };
        match answer {
            Poll::Ready(answer) => read.extend(answer?),
            Poll::Pending => self.requested = Some(request),
        }
        Ok(read)
    }

    /// Reads and returns the metrics of all steps, each with its number of images.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn read(&mut self) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
        let mut read = self.request_and_take().await?;
        if let Some(request) = self.requested.take() {
            read.extend(request.await?);
        }
        Ok(read)
    }
}

/// Reads the metrics of batches in one transfer; returns them in order, each with its number of images.
///
/// # Errors
/// When the device has failed.
pub async fn read_metrics(pending: Vec<BatchMetrics>) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
    let counts: Vec<_> = pending.iter().map(|batch_metrics| batch_metrics.n_images).collect();
    let register = |t: Transaction, batch_metrics: BatchMetrics| t.register(batch_metrics.sums);
    let datas = pending.into_iter().fold(Transaction::default(), register).execute_async().await?;
    let numbers: Vec<f64> = datas.iter().flat_map(|data| data.iter::<f32>()).map(f64::from).collect();
    let metrics = |(pair, n): (&[f64], usize)| (Metrics { loss: pair[0] / n as f64, accuracy: pair[1] / n as f64 }, n);
    Ok(numbers.chunks_exact(2).zip(counts).map(metrics).collect())
}

/// The mean of metrics over the images of many batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    loss_sum: f64,
    n_correct: f64,
    n_images: usize,
}

impl Mean {
    /// Adds the metrics of a batch of `n_images` images.
    pub fn add(&mut self, metrics: Metrics, n_images: usize) {
        self.loss_sum += metrics.loss * n_images as f64;
        self.n_correct += metrics.accuracy * n_images as f64;
        self.n_images += n_images;
    }

    /// Mean loss and accuracy over all images so far; zeros before the first batch.
    pub fn metrics(&self) -> Metrics {
        let n = self.n_images.max(1) as f64;
        Metrics { loss: self.loss_sum / n, accuracy: self.n_correct / n }
    }
}
