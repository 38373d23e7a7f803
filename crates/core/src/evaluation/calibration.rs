//! Calibration: whether predictions of 90 % confidence are correct nine times in ten (Guo et al., 2017, "On Calibration
//! of Modern Neural Networks"). It never sees an image or a label, only confidences and whether they were correct.

use serde::{Deserialize, Serialize};

use super::fraction;

/// Number of confidence bins, all of equal width. Guo et al. use the same number.
pub const N_BINS: usize = 15;

/// One bar of a reliability diagram: the predictions whose confidence falls into one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    /// Number of images in the bin.
    pub n_images: usize,
    /// Mean confidence, 0 to 1; 0 in an empty bin.
    pub confidence: f64,
    /// Fraction classified correctly, 0 to 1; 0 in an empty bin.
    pub accuracy: f64,
}

/// How well the confidence of predictions matches their accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error, 0 to 1: the gap between confidence and accuracy of a bin, averaged over images.
    pub error: f64,
    /// Bin `i` holds the confidences above `i / 15`, up to and including `(i + 1) / 15`.
    pub bins: [ConfidenceBin; N_BINS],
}

/// Sums per bin, from which a [`Calibration`] is computed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bins([Sum; N_BINS]);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n_images: usize,
    n_correct: usize,
    confidence: f64,
}

impl Bins {
    /// Counts one prediction in the bin of its confidence.
    pub fn add(&mut self, confidence: f32, correct: bool) {
        let sum = &mut self.0[bin(confidence)];
        sum.n_images += 1;
        sum.n_correct += usize::from(correct);
        sum.confidence += f64::from(confidence);
    }

    /// The calibration of all predictions added so far.
    pub fn finish(&self) -> Calibration {
        let n_images: usize = self.0.iter().map(|sum| sum.n_images).sum();
        let gap = |sum: &Sum| (sum.n_correct as f64 - sum.confidence).abs();
        let error = fraction(self.0.iter().map(gap).sum(), n_images as f64);
        Calibration { error, bins: self.0.map(Sum::mean) }
    }
}

impl Sum {
    fn mean(self) -> ConfidenceBin {
        let n = self.n_images as f64;
        let (confidence, accuracy) = (fraction(self.confidence, n), fraction(self.n_correct as f64, n));
        ConfidenceBin { n_images: self.n_images, confidence, accuracy }
    }
}

/// The index of a confidence's bin. NaN falls into the first bin, a value rounded to slightly above 1 into the last.
fn bin(confidence: f32) -> usize {
    let above = (f64::from(confidence) * N_BINS as f64).ceil() as usize;
    above.clamp(1, N_BINS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calibration of groups of predictions, each with its number of images, number correct, and confidence.
    fn calibration(groups: &[(usize, usize, f32)]) -> Calibration {
        let mut bins = Bins::default();
        for &(n_images, n_correct, confidence) in groups {
            (0..n_images).for_each(|i| bins.add(confidence, i < n_correct));
        }
        bins.finish()
    }

    #[test]
    fn calibrated_predictions_have_no_error() {
        let calibrated = calibration(&[(100, 90, 0.9), (50, 25, 0.5), (10, 10, 1.0)]);
        assert!(calibrated.error < 1e-7, "{}", calibrated.error);
    }

    #[test]
    fn overconfidence_is_measured() {
        let overconfident = calibration(&[(100, 60, 0.95), (100, 50, 0.5)]);
        assert!((overconfident.error - 0.5 * 0.35).abs() < 1e-7, "{}", overconfident.error);
        let bin = overconfident.bins[14];
        assert_eq!((bin.n_images, bin.accuracy), (100, 0.6));
        assert!((bin.confidence - 0.95).abs() < 1e-7);
    }

    #[test]
    fn opposite_errors_cancel_within_a_bin_only() {
        assert!(calibration(&[(10, 10, 0.95), (10, 9, 0.95)]).error < 1e-7);
        let apart = calibration(&[(10, 10, 0.95), (10, 0, 0.05)]);
        assert!((apart.error - 0.05).abs() < 1e-7, "{}", apart.error);
    }

    #[test]
    fn bins_are_open_below_and_closed_above() {
        assert_eq!([0.0, 0.06, 0.2, 0.21, 1.0, 1.000_001, f32::NAN].map(bin), [0, 0, 3, 3, 14, 14, 0]);
        assert_eq!([5.0 / 15.0 - 1e-6, 5.0 / 15.0 + 1e-6].map(bin), [4, 5]);
        assert_eq!(calibration(&[]), Calibration::default());
    }
}
