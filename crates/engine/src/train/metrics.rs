//! Loss and hits of a batch, kept on the device and read many at a time.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use burn::tensor::{ExecutionError, Tensor, Transaction};
use inkling_core::spec::Metrics;
use serde::{Deserialize, Serialize};

use crate::network::flex;

/// Loss and hits of one batch, on the device.
#[derive(Clone)]
pub struct Tally {
    /// The sum of the cross-entropies of the images, and the images read rightly: `[2]`.
    sums: Tensor<1>,
    n_images: usize,
}

impl Tally {
    /// The sums `[2]` of a batch of so many images.
    pub fn new(sums: Tensor<1>, n_images: usize) -> Self {
        Self { sums, n_images }
    }

    /// The sums on a card.
    #[cfg(feature = "gpu")]
    pub(super) fn on_card(&self) -> inkling_shaders::Array {
        crate::network::Card::of(self.sums.clone()).1
    }

    /// What other workers counted, on the CPU: mean cross-entropy, and the fraction of the images read rightly.
    pub(super) fn known(loss: f32, accuracy: f32, n_images: usize) -> Self {
        let n = n_images as f32;
        Self { sums: flex::flat(vec![loss * n, (accuracy * n).round()]), n_images }
    }

    /// The same two figures of a tally on the CPU.
    pub(super) fn figures(&self) -> [f32; 2] {
        let sums = flex::of(self.sums.clone());
        let sums = sums.storage::<f32>();
        [0, 1].map(|figure| sums[figure] / self.n_images as f32)
    }
}

/// Tallies of steps, on their way from the device.
#[derive(Default)]
pub struct Tallies {
    /// Nobody asked for these yet.
    waiting: Vec<Tally>,
    asked: Option<Asked>,
}

/// Metrics and numbers of images that were asked for.
type Asked = Pin<Box<dyn Future<Output = Result<Vec<(Metrics, usize)>, ExecutionError>>>>;

impl Tallies {
    pub fn push(&mut self, tally: Tally) {
        self.waiting.push(tally);
    }

    /// Those that nobody asked for yet.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Asks for those that wait, and gives those that were asked for before: a device that is waited for has nothing to do
    /// from its last step until the answer is here and the next one is launched. The CPU answers at once.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn exchange(&mut self) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
        let mut asking: Asked = Box::pin(read_metrics(std::mem::take(&mut self.waiting)));
        // What nobody polls asks for nothing.
        let answer = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await;
        let mut read = match self.asked.take() {
            Some(asked) => asked.await?,
            None => vec![],
        };
        match answer {
            Poll::Ready(answer) => read.extend(answer?),
            Poll::Pending => self.asked = Some(asking),
        }
        Ok(read)
    }

    /// Gives all of them.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn read(&mut self) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
        let mut read = self.exchange().await?;
        if let Some(asked) = self.asked.take() {
            read.extend(asked.await?);
        }
        Ok(read)
    }
}

/// Reads tallies in one transfer, in order, each with its number of images.
///
/// # Errors
/// When the device has failed.
pub async fn read_metrics(tallies: Vec<Tally>) -> Result<Vec<(Metrics, usize)>, ExecutionError> {
    let counts: Vec<_> = tallies.iter().map(|tally| tally.n_images).collect();
    let register = |t: Transaction, tally: Tally| t.register(tally.sums);
    let datas = tallies.into_iter().fold(Transaction::default(), register).execute_async().await?;
    let numbers: Vec<f64> = datas.iter().flat_map(|data| data.iter::<f32>()).map(f64::from).collect();
    let metrics = |(pair, n): (&[f64], usize)| (Metrics { loss: pair[0] / n as f64, accuracy: pair[1] / n as f64 }, n);
    Ok(numbers.chunks_exact(2).zip(counts).map(metrics).collect())
}

/// Metrics over the images of many batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
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
