//! Evaluation of a network: metrics computed from its predictions on labelled images. It never runs a network.

mod calibration;
mod interval;
mod table;
#[cfg(test)]
mod tests;

pub use calibration::{Calibration, ConfidenceBin, N_BINS};
pub use interval::{Interval, wilson};

use serde::{Deserialize, Serialize};

use crate::spec::{N_CLASSES, Prediction};

/// Largest number of misclassified images in an [`Evaluation`]: the page shows them as five rows of five.
pub const MAX_MISCLASSIFIED: usize = 25;

/// The confusion matrix: number of images by label (row) and predicted digit (column).
pub type Confusion = [[u32; N_CLASSES]; N_CLASSES];

/// Precision, recall and F1 of one digit, or their mean over digits. All are 0 to 1, and 0 where they are undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DigitScore {
    /// Of the images predicted as this digit, the fraction whose label it is; 0 when no image was.
    pub precision: f64,
    /// Of the images with this label, the fraction predicted as this digit; 0 when no image has this label.
    pub recall: f64,
    /// Harmonic mean of precision and recall; 0 when both are 0.
    pub f1: f64,
}

/// A misclassified image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Misclassified {
    /// Index of the image in its split, from 0.
    pub index: usize,
    /// The true digit.
    pub label: u8,
    /// The predicted digit.
    #[serde(rename = "read")]
    pub predicted: u8,
    /// Probability of the predicted digit, 0 to 1.
    pub confidence: f32,
    /// Probability of each digit.
    pub probabilities: [f32; N_CLASSES],
}

/// Metrics of a network on labelled images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Number of images evaluated.
    pub n_images: usize,
    /// Number of images misclassified.
    pub n_errors: usize,
    /// Fraction of images classified correctly, 0 to 1; 0 when there are no images.
    pub accuracy: f64,
    /// The 95 % confidence interval of the accuracy on further images of the same kind ([`wilson`]).
    pub interval: Interval,
    /// Mean cross-entropy, in nats. NaN when a probability is NaN, as after a run that diverged.
    pub loss: f64,
    /// `confusion[label][predicted]`.
    pub confusion: Confusion,
    /// Scores of the digits 0 to 9, in this order.
    pub digits: [DigitScore; N_CLASSES],
    /// Unweighted mean of `digits` over the digits that occur as a label or as a prediction.
    pub mean: DigitScore,
    /// How well confidence and accuracy agree.
    pub calibration: Calibration,
    /// Misclassified images, the most confident first, at most [`MAX_MISCLASSIFIED`].
    #[serde(rename = "mistakes")]
    pub misclassified: Vec<Misclassified>,
}

/// Accumulates predictions, one at a time, into an [`Evaluation`].
#[derive(Clone, Debug, Default)]
pub struct Evaluator {
    confusion: Confusion,
    loss_sum: f64,
    bins: calibration::Bins,
    misclassified: Vec<Misclassified>,
}

impl Evaluator {
    /// Adds the prediction for image `index`, whose true digit is `label`.
    ///
    /// # Panics
    /// When the label is above 9. No [`Split`](crate::data::Split) that was read from a file holds such a label.
    pub fn add(&mut self, index: usize, label: u8, prediction: &Prediction) {
        let (truth, predicted) = (usize::from(label), prediction.digit());
        self.confusion[truth][predicted] += 1;
        self.loss_sum += cross_entropy(prediction.probabilities[truth]);
        self.bins.add(prediction.confidence(), truth == predicted);
        if truth != predicted {
            let (confidence, probabilities) = (prediction.confidence(), prediction.probabilities);
            self.insert(Misclassified { index, label, predicted: predicted as u8, confidence, probabilities });
        }
    }

    /// The evaluation of all predictions added so far.
    pub fn finish(self) -> Evaluation {
        let count = |row: &[u32; N_CLASSES]| row.iter().map(|&n| n as usize).sum::<usize>();
        let n_images = self.confusion.iter().map(count).sum::<usize>();
        let n_correct = (0..N_CLASSES).map(|digit| self.confusion[digit][digit] as usize).sum::<usize>();
        let digits = std::array::from_fn(|digit| score(&self.confusion, digit));
        Evaluation {
            n_images,
            n_errors: n_images - n_correct,
            accuracy: fraction(n_correct as f64, n_images as f64),
            interval: wilson(n_correct, n_images),
            loss: fraction(self.loss_sum, n_images as f64),
            mean: mean(&self.confusion, &digits),
            confusion: self.confusion,
            digits,
            calibration: self.bins.finish(),
            misclassified: self.misclassified,
        }
    }

    /// Inserts a misclassified image in order of confidence, then of index, and drops those beyond the limit.
    fn insert(&mut self, image: Misclassified) {
        let before = |other: &Misclassified| {
            other.confidence.total_cmp(&image.confidence).reverse().then(other.index.cmp(&image.index)).is_le()
        };
        let place = self.misclassified.partition_point(before);
        self.misclassified.insert(place, image);
        self.misclassified.truncate(MAX_MISCLASSIFIED);
    }
}

/// The ensemble's prediction for one image: the mean of the probabilities its networks predict. Without predictions all
/// digits are equally probable.
pub fn ensemble(predictions: &[Prediction]) -> Prediction {
    let sum = |digit: usize| predictions.iter().map(|each| f64::from(each.probabilities[digit])).sum::<f64>();
    let mean = |digit: usize| match predictions.len() {
        0 => 1.0 / N_CLASSES as f32,
        n => (sum(digit) / n as f64) as f32,
    };
    Prediction { probabilities: std::array::from_fn(mean) }
}

/// Cross-entropy, in nats, of the probability predicted for the true digit. A probability that underflows `f32` counts
/// as the smallest normal `f32` (87 nats), which is also the limit of a loss computed from logits.
fn cross_entropy(probability: f32) -> f64 {
    -f64::from(probability.clamp(f32::MIN_POSITIVE, 1.0)).ln()
}

fn score(confusion: &Confusion, digit: usize) -> DigitScore {
    let n_correct = f64::from(confusion[digit][digit]);
    let precision = fraction(n_correct, n_predicted(confusion, digit));
    let recall = fraction(n_correct, n_labelled(confusion, digit));
    DigitScore { precision, recall, f1: fraction(2.0 * precision * recall, precision + recall) }
}

fn mean(confusion: &Confusion, digits: &[DigitScore; N_CLASSES]) -> DigitScore {
    let occurs = |digit: &usize| n_labelled(confusion, *digit) + n_predicted(confusion, *digit) > 0.0;
    let scores: Vec<_> = (0..N_CLASSES).filter(occurs).map(|digit| digits[digit]).collect();
    let mean = |score: fn(&DigitScore) -> f64| fraction(scores.iter().map(score).sum(), scores.len() as f64);
    DigitScore { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1) }
}

/// Number of images with this label.
fn n_labelled(confusion: &Confusion, digit: usize) -> f64 {
    confusion[digit].iter().map(|&n| f64::from(n)).sum()
}

/// Number of images predicted as this digit.
fn n_predicted(confusion: &Confusion, digit: usize) -> f64 {
    confusion.iter().map(|row| f64::from(row[digit])).sum()
}

/// `part / whole`; 0 when `whole` is 0.
fn fraction(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}
