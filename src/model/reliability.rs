//! The reliability plot of a network: confidence on the horizontal axis, accuracy on the vertical axis. Pure: it never
//! draws.

use inkling_core::evaluation::{Calibration, ConfidenceBin, N_BINS};

use crate::model::numbers::count;
use crate::model::plot::{self, Axis, Point};

/// A bin with fewer predictions than this says little about its confidence.
const FEW: usize = 20;

/// The paths and the text of a reliability plot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reliability {
    /// The diagonal, on which confidence equals accuracy, as SVG path data.
    pub ideal: String,
    /// The bins with at least 20 predictions, as a line in SVG path data.
    pub line: String,
    /// The bins with at least 20 predictions, as dots in SVG path data.
    pub dots: String,
    /// The bins with fewer predictions, as dots in SVG path data.
    pub faint: String,
    /// The plot as text for screen readers.
    pub told: String,
}

impl Reliability {
    /// Computes the plot of a calibration.
    pub fn of(calibration: &Calibration) -> Self {
        let axis = Axis::fractions();
        let many = points(calibration, |n_images| n_images >= FEW);
        let few = points(calibration, |n_images| (1..FEW).contains(&n_images));
        Self {
            ideal: plot::line(&[Point { x: 0.0, y: 0.0 }, Point { x: 1.0, y: 1.0 }], &axis, &axis),
            line: plot::line(&many, &axis, &axis),
            dots: plot::dots(&many, &axis, &axis),
            faint: plot::dots(&few, &axis, &axis),
            told: description(calibration),
        }
    }
}

fn points(calibration: &Calibration, includes: impl Fn(usize) -> bool) -> Vec<Point> {
    let bins = calibration.bins.iter().filter(|bin| includes(bin.n_images));
    bins.map(|bin| Point { x: bin.confidence, y: bin.accuracy }).collect()
}

fn description(calibration: &Calibration) -> String {
    let bins = calibration.bins.iter().enumerate().filter(|(_, bin)| bin.n_images > 0);
    let parts: Vec<_> = bins.map(|(index, bin)| bin_description(index, bin)).collect();
    parts.join("; ")
}

fn bin_description(index: usize, bin: &ConfidenceBin) -> String {
    let [from, to] = [index, index + 1].map(|end| 100.0 * end as f64 / N_BINS as f64);
    let accuracy = 100.0 * bin.accuracy;
    format!("{from:.0} to {to:.0} % sure: {accuracy:.1} % of {} correct", count(bin.n_images as u64))
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
    fn rare_confidences_are_drawn_separately() {
        let frequent = ConfidenceBin { n_images: 9000, confidence: 0.99, accuracy: 0.75 };
        let rare = ConfidenceBin { n_images: 3, confidence: 0.5, accuracy: 1.0 };
        let plot = Reliability::of(&calibration(&[(7, rare), (14, frequent)]));
        assert_eq!((plot.dots.as_str(), plot.faint.as_str()), ("M990.0 100.0h0", "M500.0 0.0h0"));
        assert_eq!(plot.ideal, "M0.0 400.0L1000.0 0.0");
        assert_eq!(plot.told, "47 to 53 % sure: 100.0 % of 3 correct; 93 to 100 % sure: 75.0 % of 9,000 correct");
    }

    #[test]
    fn without_predictions_the_plot_is_empty() {
        let plot = Reliability::of(&Calibration::default());
        assert!(plot.line.is_empty() && plot.faint.is_empty() && plot.told.is_empty());
    }
}
