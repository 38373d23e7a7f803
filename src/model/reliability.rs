//! How far a network's confidence can be believed, as a plot: what it claims across, what came true upwards. Pure.

use inkling_core::evaluation::{Calibration, ConfidenceBin, N_BINS};

use crate::model::labels::count;
use crate::model::plot::{self, Axis, Point};

/// Fewer answers than this say little about a confidence.
const FEW: usize = 20;

/// The plot, ready to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reliability {
    /// Where claim and truth agree.
    pub ideal: String,
    /// The confidences that were given often enough, joined.
    pub line: String,
    /// Each of them.
    pub dots: String,
    /// Those that were given to a few images only.
    pub faint: String,
    /// The same in words.
    pub told: String,
}

impl Reliability {
    pub fn of(calibration: &Calibration) -> Self {
        let axis = Axis::fractions();
        let many = points(calibration, |n_images| n_images >= FEW);
        let few = points(calibration, |n_images| (1..FEW).contains(&n_images));
        Self {
            ideal: plot::line(&[Point { x: 0.0, y: 0.0 }, Point { x: 1.0, y: 1.0 }], &axis, &axis),
            line: plot::line(&many, &axis, &axis),
            dots: plot::dots(&many, &axis, &axis),
            faint: plot::dots(&few, &axis, &axis),
            told: told(calibration),
        }
    }
}

fn points(calibration: &Calibration, counts: impl Fn(usize) -> bool) -> Vec<Point> {
    let bins = calibration.bins.iter().filter(|bin| counts(bin.n_images));
    bins.map(|bin| Point { x: bin.confidence, y: bin.accuracy }).collect()
}

fn told(calibration: &Calibration) -> String {
    let bins = calibration.bins.iter().enumerate().filter(|(_, bin)| bin.n_images > 0);
    let parts: Vec<_> = bins.map(|(index, bin)| bin_told(index, bin)).collect();
    parts.join("; ")
}

fn bin_told(index: usize, bin: &ConfidenceBin) -> String {
    let [from, to] = [index, index + 1].map(|end| 100.0 * end as f64 / N_BINS as f64);
    let right = 100.0 * bin.accuracy;
    format!("{from:.0} to {to:.0} % sure: {right:.1} % of {} right", count(bin.n_images as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calibration(bins: &[(usize, ConfidenceBin)]) -> Calibration {
        let mut calibration = Calibration::default();
        bins.iter().for_each(|(index, bin)| calibration.bins[*index] = *bin);
        calibration
    }

    #[test]
    fn confidences_given_seldom_stand_apart() {
        let often = ConfidenceBin { n_images: 9000, confidence: 0.99, accuracy: 0.75 };
        let seldom = ConfidenceBin { n_images: 3, confidence: 0.5, accuracy: 1.0 };
        let plot = Reliability::of(&calibration(&[(7, seldom), (14, often)]));
        assert_eq!((plot.dots.as_str(), plot.faint.as_str()), ("M990.0 100.0h0", "M500.0 0.0h0"));
        assert_eq!(plot.ideal, "M0.0 400.0L1000.0 0.0");
        assert_eq!(plot.told, "47 to 53 % sure: 100.0 % of 3 right; 93 to 100 % sure: 75.0 % of 9,000 right");
    }

    #[test]
    fn nothing_judged_is_an_empty_plot() {
        let plot = Reliability::of(&Calibration::default());
        assert!(plot.line.is_empty() && plot.faint.is_empty() && plot.told.is_empty());
    }
}
