//! How good a network is: its predictions on labelled images, folded into a judgement. Pure; it never runs a network.

mod calibration;
mod interval;
mod table;
#[cfg(test)]
mod tests;

pub use calibration::{Calibration, ConfidenceBin, N_BINS};
pub use interval::{Interval, wilson};

use serde::{Deserialize, Serialize};

use crate::spec::{N_CLASSES, Prediction};

/// How many of the most confident mistakes a judgement keeps: five rows of five pictures.
pub const MAX_MISTAKES: usize = 25;

/// Images counted by their true digit, then by the digit they were read as.
pub type Confusion = [[u32; N_CLASSES]; N_CLASSES];

/// How well one digit is read, or digits on average. All are fractions, 0 to 1, and 0 where nothing defines them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DigitScore {
    /// The part of the images read as this digit that truly show it; 0 when none was read so.
    pub precision: f64,
    /// The part of the images that show this digit which were read as it; 0 when none shows it.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 when both are.
    pub f1: f64,
}

/// An image that was read wrongly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Which image, counted from 0 in the order of its split.
    pub index: usize,
    /// The digit that it shows.
    pub label: u8,
    /// The digit that it was read as.
    pub read: u8,
    /// How probable the network held what it read, 0 to 1.
    pub confidence: f32,
    /// Probability of each digit.
    pub probabilities: [f32; N_CLASSES],
}

/// What predictions on labelled images come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    pub n_images: usize,
    /// Images read wrongly.
    pub n_errors: usize,
    /// Fraction of images read rightly, 0 to 1; 0 when there are none.
    pub accuracy: f64,
    /// Where the accuracy on further images of the same kind lies, with 95 % confidence ([`wilson`]).
    pub interval: Interval,
    /// Mean cross-entropy, in nats. Not a number when a probability is not one, as after a run that diverged.
    pub loss: f64,
    /// `confusion[true][read]`.
    pub confusion: Confusion,
    /// Of each digit, in order.
    pub digits: [DigitScore; N_CLASSES],
    /// Mean of `digits`, each counting the same, over those that are shown or read at all.
    pub mean: DigitScore,
    pub calibration: Calibration,
    /// The most confident ones first, at most [`MAX_MISTAKES`].
    pub mistakes: Vec<Mistake>,
}

/// Folds predictions, one by one, into a [`Judgement`].
#[derive(Clone, Debug, Default)]
pub struct Judge {
    confusion: Confusion,
    loss_sum: f64,
    bins: calibration::Bins,
    mistakes: Vec<Mistake>,
}

impl Judge {
    /// Takes in what a network made of image `index`, which shows the digit `label`.
    ///
    /// # Panics
    /// When the label is above 9, which no split of images holds.
    pub fn add(&mut self, index: usize, label: u8, prediction: &Prediction) {
        let (truth, read) = (usize::from(label), prediction.digit());
        self.confusion[truth][read] += 1;
        self.loss_sum += cross_entropy(prediction.probabilities[truth]);
        self.bins.add(prediction.confidence(), truth == read);
        if truth != read {
            let (confidence, probabilities) = (prediction.confidence(), prediction.probabilities);
            self.keep(Mistake { index, label, read: read as u8, confidence, probabilities });
        }
    }

    /// Judges all that was taken in.
    pub fn finish(self) -> Judgement {
        let count = |row: &[u32; N_CLASSES]| row.iter().map(|&n| n as usize).sum::<usize>();
        let n_images = self.confusion.iter().map(count).sum::<usize>();
        let n_right = (0..N_CLASSES).map(|digit| self.confusion[digit][digit] as usize).sum::<usize>();
        let digits = std::array::from_fn(|digit| score(&self.confusion, digit));
        Judgement {
            n_images,
            n_errors: n_images - n_right,
            accuracy: fraction(n_right as f64, n_images as f64),
            interval: wilson(n_right, n_images),
            loss: fraction(self.loss_sum, n_images as f64),
            mean: mean(&self.confusion, &digits),
            confusion: self.confusion,
            digits,
            calibration: self.bins.finish(),
            mistakes: self.mistakes,
        }
    }

    /// Keeps the mistakes in order, equally confident ones by index, and lets go of those beyond the last place.
    fn keep(&mut self, mistake: Mistake) {
        let before = |kept: &Mistake| {
            kept.confidence.total_cmp(&mistake.confidence).reverse().then(kept.index.cmp(&mistake.index)).is_le()
        };
        let place = self.mistakes.partition_point(before);
        self.mistakes.insert(place, mistake);
        self.mistakes.truncate(MAX_MISTAKES);
    }
}

/// The mean of what several networks make of one image; without any, all digits are equally probable.
pub fn ensemble(predictions: &[Prediction]) -> Prediction {
    let sum = |digit: usize| predictions.iter().map(|each| f64::from(each.probabilities[digit])).sum::<f64>();
    let mean = |digit: usize| match predictions.len() {
        0 => 1.0 / N_CLASSES as f32,
        n => (sum(digit) / n as f64) as f32,
    };
    Prediction { probabilities: std::array::from_fn(mean) }
}

/// Cross-entropy, in nats, of the probability given to the truth. A probability that vanished in single precision
/// counts as the smallest there is (87 nats), which is as far as a loss computed from logits can be told, too.
fn cross_entropy(probability: f32) -> f64 {
    -f64::from(probability.clamp(f32::MIN_POSITIVE, 1.0)).ln()
}

fn score(confusion: &Confusion, digit: usize) -> DigitScore {
    let hits = f64::from(confusion[digit][digit]);
    let precision = fraction(hits, n_read(confusion, digit));
    let recall = fraction(hits, n_shown(confusion, digit));
    DigitScore { precision, recall, f1: fraction(2.0 * precision * recall, precision + recall) }
}

fn mean(confusion: &Confusion, digits: &[DigitScore; N_CLASSES]) -> DigitScore {
    let occurs = |digit: &usize| n_shown(confusion, *digit) + n_read(confusion, *digit) > 0.0;
    let scores: Vec<_> = (0..N_CLASSES).filter(occurs).map(|digit| digits[digit]).collect();
    let mean = |part: fn(&DigitScore) -> f64| fraction(scores.iter().map(part).sum(), scores.len() as f64);
    DigitScore { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1) }
}

/// Images that show a digit.
fn n_shown(confusion: &Confusion, digit: usize) -> f64 {
    confusion[digit].iter().map(|&n| f64::from(n)).sum()
}

/// Images read as a digit.
fn n_read(confusion: &Confusion, digit: usize) -> f64 {
    confusion.iter().map(|row| f64::from(row[digit])).sum()
}

/// A part of a whole; 0 of nothing.
fn fraction(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}
