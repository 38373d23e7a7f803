//! Data parallelism: tasks that any worker can compute. A task contains everything it needs, and has the same answer to
//! the bit on every worker. Tasks are computed on the CPU only; this module never sends one.
//!
//! A training step is divided into shards of its batch. The answer for a shard is the gradients of the shard's mean
//! loss. Their mean, weighted by images, is the gradient of the whole batch's mean loss. Dropout drops the same units
//! as in the undivided batch, so without BatchNorm the two gradients differ by rounding only. BatchNorm normalises each
//! shard by the shard's own mean and variance, as data parallel training usually does; the running statistics are
//! updated once per step, with the mean over the shards.

use std::sync::Arc;

use burn::tensor::Device;
use inkling_core::spec::{IMAGE_PIXELS, ModelId, Prediction};
use serde::{Deserialize, Serialize};

use super::{Backward, BatchMetrics, Trainer, predictions};
use crate::batch::{self, HostBatch};
use crate::network::{DropoutKey, Network, Slot, flex};

/// A task without its weights and pixels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskHeader {
    /// The model of the network.
    pub model: ModelId,
    /// Number of images in the task.
    pub n_images: usize,
    work: Work,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Work {
    /// A shard of a training step. The answer is [`ShardGradients::numbers`].
    Gradients {
        labels: Vec<u8>,
        /// Label smoothing, as in [`HostBatch::smoothing`].
        smoothing: f64,
        /// Multiplies the network's own dropout rates.
        dropout: f64,
        key: DropoutKey,
        /// Index of the shard's first image in the whole batch.
        first_image: usize,
    },
    /// A prediction. The answer is ten logits per image.
    Predict,
}

/// A task for a worker: a shard of a training step, whose answer is [`ShardGradients::numbers`], or a prediction, whose
/// answer is ten logits per image.
#[derive(Clone, Debug)]
pub struct Task {
    /// The kind of the task, and its parameters.
    pub header: TaskHeader,
    /// All arrays of the network, concatenated in the network's order.
    pub weights: Arc<Vec<f32>>,
    /// 784 values per image, 0 to 1.
    pub pixels: Vec<f32>,
}

/// The metrics and gradients of a shard.
#[derive(Clone, Debug)]
pub struct ShardGradients {
    /// Number of images in the shard.
    pub n_images: usize,
    /// Mean loss, accuracy (0 to 1), all gradients in the network's order, then mean and variance of each
    /// normalisation.
    pub numbers: Vec<f32>,
}

impl ShardGradients {
    /// The mean over all images of the shards.
    fn mean(shards: Vec<Self>) -> Self {
        let n_images: usize = shards.iter().map(|shard| shard.n_images).sum();
        let weight = |shard: &Self| shard.n_images as f32 / n_images as f32;
        let mut shards = shards.into_iter();
        let mut mean = shards.next().expect("a batch has at least one shard");
        let first_weight = weight(&mean);
        mean.numbers.iter_mut().for_each(|number| *number *= first_weight);
        for shard in shards {
            let weight = weight(&shard);
            mean.numbers.iter_mut().zip(&shard.numbers).for_each(|(mean, number)| *mean += weight * number);
        }
        Self { n_images, ..mean }
    }

    /// The gradients as tensors, for a network with these slots.
    fn backward(self, slots: &[Slot]) -> Backward {
        let n_trained = slots.iter().filter(|slot| slot.trained).count();
        let mut gradients = flex::split(&self.numbers[2..], slots.iter().map(Slot::size));
        let statistics = gradients.split_off(n_trained);
        Backward {
            batch_metrics: BatchMetrics::from_means(self.numbers[0], self.numbers[1], self.n_images),
            gradients,
            statistics,
        }
    }
}

impl TaskHeader {
    fn answer(&self, network: &Network, pixels: &[f32]) -> Vec<f32> {
        match &self.work {
            Work::Gradients { labels, smoothing, dropout, key, first_image } => {
                let shard = HostBatch { pixels: pixels.to_vec(), labels: labels.clone(), smoothing: *smoothing };
                let shard = shard.upload(&Device::flex());
                let backward = Backward::compute(network, &shard, *dropout, *key, *first_image);
                let mut numbers = backward.batch_metrics.means().to_vec();
                numbers.reserve_exact(network.n_numbers());
                flex::append(backward.gradients.iter().chain(&backward.statistics), &mut numbers);
                numbers
            }
            Work::Predict => {
                let logits = network.forward(batch::images(pixels.to_vec(), &Device::flex()));
                let mut numbers = Vec::new();
                flex::append([&logits.flatten::<1>(0, 1)], &mut numbers);
                numbers
            }
        }
    }
}

/// The network of a peer worker. It has no state from one task to the next, since every task contains the weights; only
/// its memory is reused.
#[derive(Default)]
pub struct Replica(Option<Network>);

impl Replica {
    /// Computes the answer to a task. `numbers` are its weights, then its pixels.
    ///
    /// # Panics
    /// When the count of numbers does not fit the header.
    pub fn answer(&mut self, header: &TaskHeader, numbers: &[f32]) -> Vec<f32> {
        let reusable = self.0.take().filter(|network| network.model() == header.model);
        let mut network = reusable.unwrap_or_else(|| Network::new(header.model, 0, &Device::flex()));
        let (weights, pixels) = numbers.split_at(numbers.len() - header.n_images * IMAGE_PIXELS);
        network.fill(weights);
        header.answer(self.0.insert(network), pixels)
    }
}

impl Trainer {
    /// The tasks of a training step, at most `max_shards` of them. [`Trainer::step_by_shards`] takes their answers in
    /// the same order.
    ///
    /// # Panics
    /// When the network is on another device than the CPU.
    pub fn shards(&self, images: &HostBatch, key: DropoutKey, max_shards: usize) -> Vec<Task> {
        let (n_images, weights) = (images.labels.len(), self.weights());
        let task = |range: std::ops::Range<usize>| {
            let work = Work::Gradients {
                labels: images.labels[range.clone()].to_vec(),
                smoothing: images.smoothing,
                dropout: self.dropout,
                key,
                first_image: range.start,
            };
            let pixels = images.pixels[range.start * IMAGE_PIXELS..range.end * IMAGE_PIXELS].to_vec();
            self.task(work, &weights, pixels)
        };
        batch::shards(n_images, max_shards).into_iter().map(task).collect()
    }

    /// Tasks that classify images of 784 bytes each, with at most `images_per_task` images in a task.
    ///
    /// # Panics
    /// When the network is on another device than the CPU, or `images_per_task` is 0.
    pub fn prediction_tasks(&self, pixels: &[u8], images_per_task: usize) -> Vec<Task> {
        let weights = self.weights();
        let task = |pixels: &[u8]| self.task(Work::Predict, &weights, batch::scale_pixels(pixels));
        pixels.chunks(images_per_task * IMAGE_PIXELS).map(task).collect()
    }

    fn weights(&self) -> Arc<Vec<f32>> {
        self.network.numbers().into()
    }

    fn task(&self, work: Work, weights: &Arc<Vec<f32>>, pixels: Vec<f32>) -> Task {
        let header = TaskHeader { model: self.network.model(), n_images: pixels.len() / IMAGE_PIXELS, work };
        Task { header, weights: weights.clone(), pixels }
    }

    /// Computes the answer to one of this trainer's own tasks with the current weights: call it before the next step.
    pub fn answer(&self, task: &Task) -> Vec<f32> {
        task.header.answer(&self.network, &task.pixels)
    }

    /// Takes one optimizer step with the gradients of all shards of a batch. Returns the metrics of the whole batch.
    ///
    /// # Panics
    /// When there are no shards.
    pub fn step_by_shards(&mut self, shards: Vec<ShardGradients>, learning_rate: f64) -> BatchMetrics {
        let backward = ShardGradients::mean(shards).backward(self.network.slots());
        self.apply(backward, learning_rate)
    }

    /// The predictions in the answers to [`Trainer::prediction_tasks`].
    pub fn predictions_from_answers(answers: &[Vec<f32>]) -> Vec<Prediction> {
        answers.iter().flat_map(|logits| predictions(logits)).collect()
    }
}
