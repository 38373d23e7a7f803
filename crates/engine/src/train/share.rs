//! Work that any worker can do as well as another: a task holds everything it needs, and the same task has the same
//! answer to the bit whoever gives it. On the CPU only; how tasks travel is not decided here.
//!
//! A step of training is shared out as shards of its batch. Each answers with the gradients of its own mean loss, and the
//! mean of these, weighted by images, is the gradient of the whole batch's mean loss: dropout drops the same units as in
//! one piece, so without BatchNorm only rounding tells the two apart. BatchNorm normalises each shard by the shard's own
//! mean and variance, as data parallel training usually does; the running statistics move once a step, towards the mean
//! over the shards.

use std::sync::Arc;

use burn::tensor::Device;
use inkling_core::spec::{IMAGE_PIXELS, ModelId, Prediction};
use serde::{Deserialize, Serialize};

use super::{Backward, Tally, Trainer, predictions};
use crate::batch::{self, Gathered};
use crate::network::{DropoutKey, Network, Slot, flex};

/// What a worker is asked to do with some weights and images.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Brief {
    pub model: ModelId,
    pub n_images: usize,
    work: Work,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Work {
    /// Answered with loss, accuracy, gradients and statistics, as the numbers of a [`Share`].
    Learn {
        labels: Vec<u8>,
        smoothing: f64,
        /// Multiplies the network's own dropout rates.
        dropout: f64,
        key: DropoutKey,
        /// Where the first of these images lies in the whole batch.
        first_image: usize,
    },
    /// Answered with ten logits an image.
    Read,
}

/// A brief with the numbers that it is about.
#[derive(Clone, Debug)]
pub struct Task {
    pub brief: Brief,
    /// All arrays of the network in a row.
    pub weights: Arc<Vec<f32>>,
    /// 784 an image, 0 to 1.
    pub pixels: Vec<f32>,
}

/// What a shard of a batch came to.
#[derive(Clone, Debug)]
pub struct Share {
    pub n_images: usize,
    /// Mean loss, fraction read rightly, every gradient, then mean and variance of each normalisation.
    pub numbers: Vec<f32>,
}

impl Share {
    /// The mean over all images.
    fn mean(shares: Vec<Self>) -> Self {
        let n_images: usize = shares.iter().map(|share| share.n_images).sum();
        let weight = |share: &Self| share.n_images as f32 / n_images as f32;
        let mut shares = shares.into_iter();
        let mut mean = shares.next().expect("a batch has at least one shard");
        let first = weight(&mean);
        mean.numbers.iter_mut().for_each(|number| *number *= first);
        for share in shares {
            let weight = weight(&share);
            mean.numbers.iter_mut().zip(&share.numbers).for_each(|(mean, number)| *mean += weight * number);
        }
        Self { n_images, ..mean }
    }

    fn backward(self, slots: &[Slot]) -> Backward {
        let n_trained = slots.iter().filter(|slot| slot.trained).count();
        let mut gradients = flex::split(&self.numbers[2..], slots.iter().map(Slot::size));
        let statistics = gradients.split_off(n_trained);
        Backward { tally: Tally::known(self.numbers[0], self.numbers[1], self.n_images), gradients, statistics }
    }
}

impl Brief {
    fn answer(&self, network: &Network, pixels: &[f32]) -> Vec<f32> {
        match &self.work {
            Work::Learn { labels, smoothing, dropout, key, first_image } => {
                let shard = Gathered { pixels: pixels.to_vec(), labels: labels.clone(), smoothing: *smoothing };
                let shard = shard.upload(&Device::flex());
                let backward = Backward::through(network, &shard, *dropout, *key, *first_image);
                let mut numbers = backward.tally.figures().to_vec();
                numbers.reserve_exact(network.n_numbers());
                flex::append(backward.gradients.iter().chain(&backward.statistics), &mut numbers);
                numbers
            }
            Work::Read => {
                let logits = network.forward(batch::images(pixels.to_vec(), &Device::flex()));
                let mut row = Vec::new();
                flex::append([&logits.flatten::<1>(0, 1)], &mut row);
                row
            }
        }
    }
}

/// The network of a worker that computes for another one. Nothing of it counts between two tasks: each brings the weights.
#[derive(Default)]
pub struct Replica(Option<Network>);

impl Replica {
    /// Answers a task: `numbers` are its weights, then its pixels.
    ///
    /// # Panics
    /// When there are not as many numbers as the brief says.
    pub fn answer(&mut self, brief: &Brief, numbers: &[f32]) -> Vec<f32> {
        let kept = self.0.take().filter(|network| network.model() == brief.model);
        let mut network = kept.unwrap_or_else(|| Network::new(brief.model, 0, &Device::flex()));
        let (weights, pixels) = numbers.split_at(numbers.len() - brief.n_images * IMAGE_PIXELS);
        network.fill(weights);
        brief.answer(self.0.insert(network), pixels)
    }
}

impl Trainer {
    /// A step of training in shards: at most so many tasks, whose answers [`Trainer::step_by`] takes in the same order.
    pub fn shards(&self, images: &Gathered, key: DropoutKey, at_most: usize) -> Vec<Task> {
        let (of, weights) = (images.labels.len(), self.weights());
        let task = |range: std::ops::Range<usize>| {
            let work = Work::Learn {
                labels: images.labels[range.clone()].to_vec(),
                smoothing: images.smoothing,
                dropout: self.dropout,
                key,
                first_image: range.start,
            };
            let pixels = images.pixels[range.start * IMAGE_PIXELS..range.end * IMAGE_PIXELS].to_vec();
            self.task(work, &weights, pixels)
        };
        batch::shards(of, at_most).into_iter().map(task).collect()
    }

    /// Tasks that read images of 784 bytes each, at most so many a task.
    pub fn readings(&self, pixels: &[u8], at_once: usize) -> Vec<Task> {
        let weights = self.weights();
        let task = |pixels: &[u8]| self.task(Work::Read, &weights, batch::scaled(pixels));
        pixels.chunks(at_once * IMAGE_PIXELS).map(task).collect()
    }

    fn weights(&self) -> Arc<Vec<f32>> {
        self.network.numbers().into()
    }

    fn task(&self, work: Work, weights: &Arc<Vec<f32>>, pixels: Vec<f32>) -> Task {
        let brief = Brief { model: self.network.model(), n_images: pixels.len() / IMAGE_PIXELS, work };
        Task { brief, weights: weights.clone(), pixels }
    }

    /// The answer to one of this trainer's own tasks, as long as its network has not moved on.
    pub fn answer(&self, task: &Task) -> Vec<f32> {
        task.brief.answer(&self.network, &task.pixels)
    }

    /// One step of the optimizer, by the shares of a batch. Its loss and hits are those of the whole batch.
    pub fn step_by(&mut self, shares: Vec<Share>, learning_rate: f64) -> Tally {
        let backward = Share::mean(shares).backward(self.network.slots());
        self.apply(backward, learning_rate)
    }

    /// What the answers to [`Trainer::readings`] say.
    pub fn heard(answers: &[Vec<f32>]) -> Vec<Prediction> {
        answers.iter().flat_map(|logits| predictions(logits)).collect()
    }
}
