//! The 95 % confidence interval of a measured fraction.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The standard normal quantile that leaves 2.5 % in each tail: 95 % confidence.
const Z: f64 = 1.959964;

/// A range of fractions within 0 to 1. Both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether the two intervals share a value.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// Prints the interval in percent, such as `99.39 to 99.65 %`.
impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} to {:.2} %", 100.0 * self.low, 100.0 * self.high)
    }
}

/// The 95 % score interval of Wilson (1927) for `n_correct` of `n` images. Unlike the textbook's `p ± 1.96 s` it stays
/// within 0 and 1, and its width is not zero when all images, or none, are correct. For `n = 0` it is 0 to 1.
pub fn wilson(n_correct: usize, n: usize) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let (n, p) = (n as f64, n_correct as f64 / n as f64);
    let shrink = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / shrink;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / shrink;
    Interval { low: (centre - half).max(0.0), high: (centre + half).min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_match_newcombes_table() {
        // R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        for (n_correct, n, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let Interval { low: l, high: h } = wilson(n_correct, n);
            assert!((l - low).abs() < 5e-5 && (h - high).abs() < 5e-5, "{n_correct} of {n}: {l} to {h}");
        }
        assert_eq!(wilson(9954, 10_000).to_string(), "99.39 to 99.65 %");
    }

    #[test]
    fn intervals_stay_within_zero_and_one() {
        assert_eq!(wilson(0, 0), Interval { low: 0.0, high: 1.0 });
        let all = wilson(10, 10);
        assert!(all.high <= 1.0 && all.high > 1.0 - 1e-12 && (all.low - 0.722467).abs() < 1e-6);
        let none = wilson(0, 10);
        assert!((none.low, (none.high - (1.0 - all.low)).abs() < 1e-12) == (0.0, true));
    }

    #[test]
    fn intervals_overlap_when_they_share_a_value() {
        let [low, middle, high] = [(0.1, 0.3), (0.3, 0.5), (0.4, 0.6)].map(|(low, high)| Interval { low, high });
        assert!(low.overlaps(&middle) && middle.overlaps(&low) && middle.overlaps(&high) && !low.overlaps(&high));
    }
}
