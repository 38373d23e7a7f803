//! Steps on a card whose images lie there. All that changes from one such step to the next is a few thousand numbers, so
//! that what a step launches is recorded once and played again: to look up and check each of a hundred launches costs the
//! host more than the card takes to compute them.

use std::rc::Rc;

use burn::tensor::Tensor;
use inkling_core::data::Split;
use inkling_core::spec::N_CLASSES;
use inkling_shaders::{Array, Images, PART, Recording};

use super::feed::Resident;
use super::{Backward, Batch, Tally, Trainer};
use crate::batch::Picks;
use crate::network::{Card, DropoutKey};

/// The steps of a trainer, as far as they are recorded.
#[derive(Default)]
pub struct Recorder {
    /// What the last step was like, with its words.
    last: Option<(Likeness, Array)>,
    recorded: Option<Recorded>,
    /// Set once the card has not taken a recording, or did not play it.
    refused: bool,
}

/// Steps that are alike launch the same kernels on the same arrays.
#[derive(Clone)]
struct Likeness {
    images: Rc<Images>,
    n: usize,
    n_words: usize,
}

struct Recorded {
    like: Likeness,
    /// [`words`]: written anew before each step.
    words: Array,
    recording: Recording,
    /// Where each step leaves its tally.
    sums: Array,
    /// What it is bound to besides.
    _arrays: Vec<Tensor<1>>,
}

impl PartialEq for Likeness {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.images, &other.images) && (self.n, self.n_words) == (other.n, other.n_words)
    }
}

/// One step on these images, as [`Trainer::step`] takes it.
pub fn step(
    trainer: &mut Trainer,
    resident: &Resident,
    (split, picks): (&Split, &Picks<'_>),
    learning_rate: f64,
    key: DropoutKey,
) -> Tally {
    let numbers = trainer.optimizer.begin_step(learning_rate).numbers();
    let words = words(numbers, key, &picks.target_values(split), &resident.rows(picks));
    let (card, images) = resident.place();
    let like = Likeness { images: images.clone(), n: picks.indices.len(), n_words: words.len() };
    // Taken out, since what is launched asks the trainer.
    let mut recorder = std::mem::take(&mut trainer.recorder);
    let tally = recorder.step(card, like, &words, |words, n| launch(trainer, resident, words, n), || arrays(trainer));
    trainer.recorder = recorder;
    trainer.network.count_step();
    tally
}

impl Recorder {
    /// Plays a step where steps like it are recorded, records it where the last one was like it, and launches it
    /// otherwise: the last batch of an epoch is smaller, and comes once.
    fn step(
        &mut self,
        card: &Card,
        like: Likeness,
        words: &[u32],
        launch: impl Fn(&Array, usize) -> Tally,
        arrays: impl Fn() -> Vec<Tensor<1>>,
    ) -> Tally {
        if let Some(tally) = self.play(card, &like, words) {
            self.last = None;
            return tally;
        }
        let (gpu, n) = (&card.gpu, like.n);
        let again = self.last.take().filter(|(last, _)| *last == like);
        let Some((_, array)) = again.filter(|_| !self.refused) else {
            let array = gpu.upload_words(words);
            let tally = launch(&array, n);
            self.last = Some((like, array));
            return tally;
        };
        gpu.write_words(&array, words);
        // What was recorded before gives its memory back first.
        self.recorded = None;
        gpu.tidy();
        let (sums, recorded) = gpu.record(|| launch(&array, n).on_card());
        self.refused = recorded.is_none();
        self.recorded =
            recorded.map(|(recording, sums)| Recorded { like, words: array, recording, sums, _arrays: arrays() });
        Tally::new(card.tensor(sums), n)
    }

    fn play(&mut self, card: &Card, like: &Likeness, words: &[u32]) -> Option<Tally> {
        let recorded = self.recorded.as_ref().filter(|recorded| recorded.like == *like)?;
        card.gpu.write_words(&recorded.words, words);
        // SAFETY: `recorded` keeps what the recording is bound to: its words, the images, and the arrays of the trainer.
        if unsafe { recorded.recording.play() } {
            // A copy, since the next step overwrites it.
            let sums = inkling_shaders::mix(&card.gpu, [&recorded.sums; 2], [1.0, 0.0, 0.0]);
            return Some(Tally::new(card.tensor(sums), like.n));
        }
        (self.recorded, self.refused) = (None, true);
        None
    }
}

/// All that a step launches. Nothing is uploaded: the words are on the card.
fn launch(trainer: &Trainer, resident: &Resident, words: &Array, n: usize) -> Tally {
    let (card, _) = resident.place();
    let (targets, rows) = (2 * PART, rows_start(n));
    let targets = card.tensor(words.part(targets, n * N_CLASSES)).reshape([n, N_CLASSES]);
    let images = resident.bent_by(&words.part(rows, words.len() - rows), n);
    let batch = Batch { images, targets };
    let pass = trainer.network.forward_with(batch.images.clone(), trainer.dropout, words.part(PART, DropoutKey::WORDS));
    trainer.apply_on_card(Backward::of(pass, &batch), &words.part(0, 3))
}

/// The arrays of a trainer that its steps change.
fn arrays(trainer: &Trainer) -> Vec<Tensor<1>> {
    trainer.network.all_arrays().chain(trainer.optimizer.state()).cloned().collect()
}

/// What changes from step to step, each from a place on where a part of an array may begin: the optimizer's numbers, the
/// words of the dropouts' key, the targets, and which images are bent how.
fn words(numbers: [f32; 3], key: DropoutKey, targets: &[f32], rows: &[f32]) -> Vec<u32> {
    let mut words = vec![0; rows_start(targets.len() / N_CLASSES) + rows.len()];
    let mut put = |start: usize, values: &[f32]| {
        words[start..start + values.len()].iter_mut().zip(values).for_each(|(word, value)| *word = value.to_bits());
    };
    put(0, &numbers);
    put(2 * PART, targets);
    put(rows_start(targets.len() / N_CLASSES), rows);
    words[PART..PART + DropoutKey::WORDS].copy_from_slice(&key.words(0));
    words
}

fn rows_start(n: usize) -> usize {
    2 * PART + (n * N_CLASSES).next_multiple_of(PART)
}
