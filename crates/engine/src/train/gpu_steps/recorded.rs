//! Recorded training steps, for a graphics card that stores the images. Only a few thousand numbers change from one
//! step to the next, so the kernel launches of a step are recorded once and replayed: looking up and checking each of a
//! hundred launches takes the host longer than the card takes to compute them. Never used on the CPU.

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_core::data::Split;
use inkling_core::spec::N_CLASSES;
use inkling_shaders::{Array, Images, PART_ALIGNMENT, Recording};

use super::resident::Resident;
use crate::batch::BatchPlan;
use crate::network::{DropoutKey, GpuContext, optimize_on_gpu, optimizer_numbers};
use crate::train::optimizer::updates;
use crate::train::{Backward, Batch, BatchMetrics, Trainer};

/// Records the steps of a trainer, and replays them.
#[derive(Default)]
pub struct Recorder {
    /// The shape of the last step if it was launched, and the array of its words.
    last: Option<(StepShape, Array)>,
    recorded: Option<Recorded>,
    /// The card has rejected a recording or a replay: none is tried again.
    refused: bool,
}

/// Steps of equal shape launch the same kernels on the same arrays.
#[derive(Clone)]
struct StepShape {
    images: Rc<Images>,
    /// Batch size.
    n: usize,
    /// Length of [`words`].
    n_words: usize,
}

struct Recorded {
    shape: StepShape,
    /// The array of [`words`], overwritten before each replay.
    words: Array,
    recording: Recording,
    /// The array to which each replay writes [`BatchMetrics::sums`].
    sums: Array,
    /// The other arrays that the recording is bound to; they must live as long as it.
    _arrays: Vec<Tensor<1>>,
}

impl PartialEq for StepShape {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.images, &other.images) && (self.n, self.n_words) == (other.n, other.n_words)
    }
}

/// Takes one optimizer step on images that the card stores, with the same result as [`Trainer::step`].
pub fn step(
    trainer: &mut Trainer,
    resident: &Resident,
    (split, plan): (&Split, &BatchPlan<'_>),
    learning_rate: f64,
    key: DropoutKey,
) -> BatchMetrics {
    let numbers = optimizer_numbers(trainer.optimizer.begin_step(learning_rate));
    let words = words(numbers, key, &plan.target_values(split), &resident.rows(plan));
    let (context, images) = resident.context_and_images();
    let shape = StepShape { images: images.clone(), n: plan.indices.len(), n_words: words.len() };
    // Moved out, because `launch` borrows the trainer.
    let mut recorder = std::mem::take(&mut trainer.recorder);
    let batch_metrics =
        recorder.step(context, shape, &words, |words, n| launch(trainer, resident, words, n), || arrays(trainer));
    trainer.recorder = recorder;
    trainer.network.count_step();
    batch_metrics
}

impl Recorder {
    /// Replays the step if one of its shape is recorded, records it if the last step had its shape, and launches it
    /// otherwise: recording is not worthwhile for the last batch of an epoch, which is smaller and occurs once.
    fn step(
        &mut self,
        context: &GpuContext,
        shape: StepShape,
        words: &[u32],
        launch: impl Fn(&Array, usize) -> BatchMetrics,
        arrays: impl Fn() -> Vec<Tensor<1>>,
    ) -> BatchMetrics {
        if let Some(batch_metrics) = self.replay(context, &shape, words) {
            self.last = None;
            return batch_metrics;
        }
        let (gpu, n) = (&context.gpu, shape.n);
        let same_shape = self.last.take().filter(|(last, _)| *last == shape);
        let Some((_, array)) = same_shape.filter(|_| !self.refused) else {
            let array = gpu.upload_words(words);
            let batch_metrics = launch(&array, n);
            self.last = Some((shape, array));
            return batch_metrics;
        };
        gpu.write_words(&array, words);
        // The previous recording releases its memory before the new one needs some.
        self.recorded = None;
        gpu.release_unused_memory();
        let (sums, recorded) = gpu.record(|| GpuContext::of(launch(&array, n).sums().clone()).1);
        self.refused = recorded.is_none();
        self.recorded =
            recorded.map(|(recording, sums)| Recorded { shape, words: array, recording, sums, _arrays: arrays() });
        BatchMetrics::new(context.tensor(sums), n)
    }

    /// Replays a step of this shape; `None` if none is recorded, or the card rejects the replay.
    fn replay(&mut self, context: &GpuContext, shape: &StepShape, words: &[u32]) -> Option<BatchMetrics> {
        let recorded = self.recorded.as_ref().filter(|recorded| recorded.shape == *shape)?;
        context.gpu.write_words(&recorded.words, words);
        // SAFETY: `recorded` owns all arrays that the recording is bound to: its words, the images, and the trainer's.
        if unsafe { recorded.recording.replay() } {
            // A copy, because the next replay overwrites the sums.
            let sums = inkling_shaders::copy(&context.gpu, &recorded.sums);
            return Some(BatchMetrics::new(context.tensor(sums), shape.n));
        }
        (self.recorded, self.refused) = (None, true);
        None
    }
}

/// Launches all kernels of a step. Uploads nothing: the words are on the card already.
fn launch(trainer: &Trainer, resident: &Resident, words: &Array, n: usize) -> BatchMetrics {
    let (context, _) = resident.context_and_images();
    let (targets_start, rows_start) = (2 * PART_ALIGNMENT, rows_start(n));
    let targets = context.tensor(words.part(targets_start, n * N_CLASSES)).reshape([n, N_CLASSES]);
    let images = resident.augmented_by(&words.part(rows_start, words.len() - rows_start), n);
    let batch = Batch { images, targets };
    let pass = trainer.network.forward_with(
        batch.images.clone(),
        trainer.dropout,
        words.part(PART_ALIGNMENT, DropoutKey::WORDS),
    );
    let Backward { batch_metrics, gradients, statistics } = Backward::from_pass(&trainer.network, pass, &batch);
    let (network, optimizer) = (&trainer.network, &trainer.optimizer);
    // Handles to the same arrays, which are updated in place.
    let (parameters, state) = (network.parameters().to_vec(), optimizer.state.clone());
    let updates = updates(parameters, gradients, state, network.parameter_slots());
    optimize_on_gpu(optimizer.rule, &words.part(0, 3), &updates);
    network.move_statistics_in_place(statistics);
    batch_metrics
}

/// The arrays of a trainer that its steps update.
fn arrays(trainer: &Trainer) -> Vec<Tensor<1>> {
    trainer.network.all_arrays().chain(trainer.optimizer.state.iter().flatten()).cloned().collect()
}

/// Everything that changes from step to step: the numbers of the optimizer step, the dropout key, the targets, and the
/// rows of [`Resident::rows`]. Each begins at a multiple of [`PART_ALIGNMENT`], so that a kernel can bind it as a part of one
/// array.
fn words(numbers: [f32; 3], key: DropoutKey, targets: &[f32], rows: &[f32]) -> Vec<u32> {
    let mut words = vec![0; rows_start(targets.len() / N_CLASSES) + rows.len()];
    let mut put = |start: usize, values: &[f32]| {
        words[start..start + values.len()].iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits());
    };
    put(0, &numbers);
    put(2 * PART_ALIGNMENT, targets);
    put(rows_start(targets.len() / N_CLASSES), rows);
    words[PART_ALIGNMENT..PART_ALIGNMENT + DropoutKey::WORDS].copy_from_slice(&key.words(0));
    words
}

/// Where the rows begin among the [`words`] of a batch of `n` images.
fn rows_start(n: usize) -> usize {
    2 * PART_ALIGNMENT + (n * N_CLASSES).next_multiple_of(PART_ALIGNMENT)
}
