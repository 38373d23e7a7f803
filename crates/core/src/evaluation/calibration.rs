//! Whether a network that says "90 % sure" is right nine times in ten (Guo et al., 2017, "On Calibration of Modern
//! Neural Networks").

use serde::{Deserialize, Serialize};

use super::fraction;

/// Bins of equal width that confidences are counted in: as many as Guo et al. use.
pub const N_BINS: usize = 15;

/// The predictions whose confidence lies within one fifteenth of the way from 0 to 1: a bar of a reliability plot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceBin {
    pub n_images: usize,
    /// Mean confidence, 0 to 1; 0 in an empty bin.
    pub confidence: f64,
    /// Fraction read rightly, 0 to 1; 0 in an empty bin.
    pub accuracy: f64,
}

/// How far confidences can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error, 0 to 1: how far confidence and accuracy of a bin lie apart, on average over images.
    pub error: f64,
    /// Bin `i` holds the confidences above `i / 15`, up to and with `(i + 1) / 15`.
    pub bins: [ConfidenceBin; N_BINS],
}

/// Sums by bin, on the way to a [`Calibration`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bins([Sum; N_BINS]);

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    n_images: usize,
    n_hits: usize,
    confidence: f64,
}

impl Bins {
    pub fn add(&mut self, confidence: f32, hit: bool) {
        let sum = &mut self.0[bin(confidence)];
        sum.n_images += 1;
        sum.n_hits += usize::from(hit);
        sum.confidence += f64::from(confidence);
    }

    pub fn finish(&self) -> Calibration {
        let n_images: usize = self.0.iter().map(|sum| sum.n_images).sum();
        let gap = |sum: &Sum| (sum.n_hits as f64 - sum.confidence).abs();
        let error = fraction(self.0.iter().map(gap).sum(), n_images as f64);
        Calibration { error, bins: self.0.map(Sum::mean) }
    }
}

impl Sum {
    fn mean(self) -> ConfidenceBin {
        let n = self.n_images as f64;
        let (confidence, accuracy) = (fraction(self.confidence, n), fraction(self.n_hits as f64, n));
        ConfidenceBin { n_images: self.n_images, confidence, accuracy }
    }
}

/// The bin of a confidence; one that is not a number, or a little over 1 by rounding, has a place, too.
fn bin(confidence: f32) -> usize {
    let above = (f64::from(confidence) * N_BINS as f64).ceil() as usize;
    above.clamp(1, N_BINS) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calibration of groups of predictions: how many, how many of them right, and their confidence.
    fn calibration(groups: &[(usize, usize, f32)]) -> Calibration {
        let mut bins = Bins::default();
        for &(n_images, n_hits, confidence) in groups {
            (0..n_images).for_each(|i| bins.add(confidence, i < n_hits));
        }
        bins.finish()
    }

    #[test]
    fn who_keeps_their_word_has_no_error() {
        let kept = calibration(&[(100, 90, 0.9), (50, 25, 0.5), (10, 10, 1.0)]);
        assert!(kept.error < 1e-7, "{}", kept.error);
    }

    #[test]
    fn the_overconfident_are_found_out() {
        let boasted = calibration(&[(100, 60, 0.95), (100, 50, 0.5)]);
        assert!((boasted.error - 0.5 * 0.35).abs() < 1e-7, "{}", boasted.error);
        let bin = boasted.bins[14];
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
