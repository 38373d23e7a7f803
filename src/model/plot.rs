//! Plots: axes, ticks and SVG paths. Pure geometry: it never draws and never touches a browser API.

use inkling_core::spec::Metrics;

/// Width of the drawing box, in its own units. Views stretch the box to the space they have.
pub const WIDTH: f64 = 1000.0;
/// Height of the drawing box, in its own units.
pub const HEIGHT: f64 = 400.0;
/// Largest number of points in a line. More would not be visible, and would keep the main thread busy.
pub const MAX_POINTS: usize = 300;

/// A point of a chart, in the units of its axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Value on the horizontal axis.
    pub x: f64,
    /// Value on the vertical axis.
    pub y: f64,
}

/// The scale of an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Equal distances mean equal differences.
    Linear,
    /// Equal distances mean equal ratios: a loss that falls from 2 to 0.02 stays readable at both ends.
    Log,
    /// Equal distances mean equal ratios of the distance to 1: 90 %, 99 % and 99.9 % are evenly spaced.
    Nines,
}

/// One axis: its range of values and its scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    spread: Spread,
    low: f64,
    high: f64,
}

impl Axis {
    /// The largest value that [`Spread::Nines`] distinguishes: one error in two thousand.
    const BEST: f64 = 0.9995;
    /// The largest value that [`Spread::Nines`] can place, because 100 % would be infinitely far away.
    const FULL: f64 = 0.9999;
    /// The smallest value that [`Spread::Log`] distinguishes.
    const LEAST: f64 = 1e-4;
    /// Smallest distance between two labels, as a fraction of the axis. Closer labels would overlap.
    const GAP: f64 = 0.14;

    /// A linear axis from 0 with room for `value`. It starts with the end `first` and grows by a factor of 1.5 up to
    /// `end`, so that the chart does not move at every step.
    pub fn growing(value: f64, first: f64, end: f64) -> Self {
        let mut high = first.min(end);
        while high < value && high < end {
            high = (high * 1.5).min(end);
        }
        Self { spread: Spread::Linear, low: 0.0, high: high.max(f64::MIN_POSITIVE) }
    }

    /// A logarithmic axis with room for all these losses.
    pub fn losses(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.map(|loss| loss.max(Self::LEAST))).unwrap_or((0.1, 2.5));
        Self { spread: Spread::Log, low: (low / 1.3).min(high / 4.0), high: high * 1.15 }
    }

    /// A [`Spread::Nines`] axis with room for these accuracies, which ends between 0.95 and 0.9995.
    pub fn accuracies(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 0.9));
        let low = if low < 0.5 { 0.0 } else { 0.5 };
        Self { spread: Spread::Nines, low, high: (1.0 - (1.0 - high) / 2.0).clamp(0.95, Self::BEST) }
    }

    /// A linear axis from 0 to 1.
    pub fn fractions() -> Self {
        Self { spread: Spread::Linear, low: 0.0, high: 1.0 }
    }

    /// A [`Spread::Nines`] axis for accuracies that are close together, with a margin on both sides.
    pub fn close_accuracies(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 0.9));
        let high = high.min(Self::BEST);
        Self { spread: Spread::Nines, low: (1.0 - (1.0 - low) * 1.6).max(0.0), high: 1.0 - (1.0 - high) / 1.6 }
    }

    /// The position of a value: 0 at the low end, 1 at the high end. Values outside the range are placed at the nearest
    /// end.
    pub fn fraction(&self, value: f64) -> f64 {
        let (low, high) = (self.spread(self.low), self.spread(self.high));
        ((self.spread(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The value at a position from 0 to 1. Only for a linear axis.
    pub fn value(&self, fraction: f64) -> f64 {
        self.low + fraction.clamp(0.0, 1.0) * (self.high - self.low)
    }

    /// The values to label, in ascending order, far enough apart for their labels.
    pub fn ticks(&self) -> Vec<f64> {
        let mut kept: Vec<f64> = Vec::new();
        for tick in self.candidates() {
            let fraction = self.fraction(tick);
            let fits = kept.iter().all(|other| (self.fraction(*other) - fraction).abs() >= Self::GAP);
            if (self.low..=self.high).contains(&tick) && fits {
                kept.push(tick);
            }
        }
        kept.sort_by(f64::total_cmp);
        kept
    }

    /// Possible values to label, the most important first.
    fn candidates(&self) -> Vec<f64> {
        match self.spread {
            Spread::Linear => linear_ticks(self.low, self.high),
            Spread::Log => {
                [1.0, 2.0, 5.0].iter().flat_map(|lead| (-5..4).map(move |ten| lead * 10f64.powi(ten))).collect()
            }
            Spread::Nines => nines(self.low),
        }
    }

    fn spread(&self, value: f64) -> f64 {
        match self.spread {
            Spread::Linear => value,
            Spread::Log => value.max(Self::LEAST).log10(),
            Spread::Nines => -(1.0 - value.min(Self::FULL)).log10(),
        }
    }
}

/// Possible accuracies to label. An axis that starts above 90 % gets finer ones too.
fn nines(low: f64) -> Vec<f64> {
    const COARSE: [f64; 10] = [0.0, 0.9, 0.99, 0.999, 0.5, 0.95, 0.995, 0.8, 0.98, 0.998];
    const FINE: [f64; 4] = [0.997, 0.993, 0.985, 0.97];
    let fine: &[f64] = if low > 0.9 { &FINE } else { &[] };
    [&COARSE, fine].concat()
}

/// The smallest and the largest of the finite values.
fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |bounds, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((value.min(low), value.max(high)))
    })
}

/// Multiples of 1, 2 or 5 times a power of ten, at most seven of them.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let rough = (high - low).max(f64::MIN_POSITIVE) / 6.0;
    let power = 10f64.powf(rough.log10().floor());
    let lead = [1.0, 2.0, 5.0, 10.0].into_iter().find(|lead| lead * power >= rough).unwrap_or(10.0);
    let step = lead * power;
    ((low / step).ceil() as i64..=(high / step).floor() as i64).map(|n| n as f64 * step).collect()
}

/// Reduces a curve to at most `most` points that look the same: the smallest and the largest of each chunk.
pub fn decimate(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let chunk_len = points.len().div_ceil((most / 2).max(1));
    points.chunks(chunk_len).flat_map(extremes).collect()
}

/// The smallest and the largest point of a chunk, in their original order.
fn extremes(chunk: &[Point]) -> Vec<Point> {
    let smallest = chunk.iter().enumerate().min_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let largest = chunk.iter().enumerate().max_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let mut ends: Vec<_> = smallest.into_iter().chain(largest).collect();
    ends.sort_by_key(|(index, _)| *index);
    ends.dedup_by_key(|(index, _)| *index);
    ends.into_iter().map(|(_, point)| *point).collect()
}

/// Smooths the points with an exponentially weighted mean of time constant `reach`, in points. Values that are not
/// finite are skipped.
pub fn smooth(points: &[Point], reach: f64) -> Vec<Point> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let decay = 1.0 - 1.0 / reach.max(1.0);
    let follow = |point: &Point| {
        if point.y.is_finite() {
            // Dividing by the weight makes the first points a true mean, instead of a slow start from 0.
            weight = weight * decay + 1.0;
            mean += (point.y - mean) / weight;
        }
        Point { x: point.x, y: if weight > 0.0 { mean } else { point.y } }
    };
    points.iter().map(follow).collect()
}

/// The line through the points, as SVG path data in the drawing box. A value that is not finite leaves a gap.
pub fn line(points: &[Point], x: &Axis, y: &Axis) -> String {
    let mut path = String::new();
    let mut pen_down = false;
    for point in points {
        if !point.y.is_finite() {
            pen_down = false;
            continue;
        }
        let (across, down) = place(*point, x, y);
        path.push_str(&format!("{}{across:.1} {down:.1}", if pen_down { 'L' } else { 'M' }));
        pen_down = true;
    }
    path
}

/// Dots at the points, as SVG path data: strokes of length 0, which round caps turn into dots.
pub fn dots(points: &[Point], x: &Axis, y: &Axis) -> String {
    let finite = points.iter().filter(|point| point.y.is_finite());
    finite.map(|point| place(*point, x, y)).map(|(across, down)| format!("M{across:.1} {down:.1}h0")).collect()
}

/// A horizontal line through the drawing box at a value, as SVG path data.
pub fn rule(value: f64, y: &Axis) -> String {
    format!("M0 {:.1}H{WIDTH}", (1.0 - y.fraction(value)) * HEIGHT)
}

/// The position of a point in the drawing box: from the left and from the top.
fn place(point: Point, x: &Axis, y: &Axis) -> (f64, f64) {
    (x.fraction(point.x) * WIDTH, (1.0 - y.fraction(point.y)) * HEIGHT)
}

/// The quantity of [`Metrics`] that a chart shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Mean cross-entropy, in nats.
    Loss,
    /// Fraction of the images that were classified correctly, 0 to 1.
    Accuracy,
}

impl Measure {
    /// The value of this measure.
    pub fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::Loss => metrics.loss,
            Self::Accuracy => metrics.accuracy,
        }
    }

    /// An axis with room for all these values.
    pub fn axis(self, values: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Loss => Axis::losses(values),
            Self::Accuracy => Axis::accuracies(values),
        }
    }

    /// A value as text: a loss with four decimals, an accuracy as a percentage with two.
    pub fn value(self, value: f64) -> String {
        match self {
            Self::Loss => format!("{value:.4}"),
            Self::Accuracy => format!("{:.2} %", value * 100.0),
        }
    }

    /// A value as the label of an axis.
    pub fn label(self, value: f64) -> String {
        match self {
            Self::Loss => format!("{value}"),
            Self::Accuracy => format!("{} %", (value * 1000.0).round() / 10.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        values.iter().enumerate().map(|(i, &y)| Point { x: i as f64, y }).collect()
    }

    #[test]
    fn close_accuracies_are_distinguished() {
        let axis = Axis::close_accuracies([0.9939, 0.9965, 0.9941].into_iter());
        let places = [0.9939, 0.9941, 0.9965].map(|value| axis.fraction(value));
        assert!(places[0] > 0.1 && places[0] < places[1] && places[1] < places[2] && places[2] < 0.9, "{places:?}");
        assert!(axis.ticks().len() > 1, "{:?}", axis.ticks());
        for ends in [[1.0, 1.0], [0.0, 0.0], [f64::NAN, f64::NAN]] {
            let axis = Axis::close_accuracies(ends.into_iter());
            assert!(axis.fraction(0.5).is_finite() && (0.0..=1.0).contains(&axis.fraction(1.0)));
        }
    }

    #[test]
    fn a_growing_axis_grows_in_steps_up_to_its_end() {
        assert_eq!(Axis::growing(0.1, 1.0, 12.0).high, 1.0);
        assert_eq!(Axis::growing(1.2, 1.0, 12.0).high, 1.5);
        assert_eq!(Axis::growing(11.9, 1.0, 12.0).high, 12.0);
        assert_eq!(Axis::growing(0.1, 1.0, 0.5).high, 0.5);
    }

    #[test]
    fn ticks_are_round_and_apart() {
        assert_eq!(Axis::growing(6.0, 6.0, 12.0).ticks(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let losses = Axis::losses([0.02, 2.3].into_iter());
        assert!(losses.ticks().contains(&0.1) && losses.ticks().contains(&1.0));
        assert_eq!(Axis::accuracies([0.1, 0.99].into_iter()).ticks(), [0.0, 0.9, 0.99]);
    }

    #[test]
    fn nines_are_evenly_spaced() {
        let axis = Axis { spread: Spread::Nines, low: 0.0, high: 0.999 };
        for (value, fraction) in [(0.0, 0.0), (0.9, 1.0 / 3.0), (0.99, 2.0 / 3.0), (0.999, 1.0), (1.0, 1.0)] {
            assert!((axis.fraction(value) - fraction).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn decimation_keeps_the_extremes() {
        let mut values = vec![1.0; 10_000];
        (values[1234], values[8765]) = (9.0, -9.0);
        let kept = decimate(&points(&values), MAX_POINTS);
        assert!(kept.len() <= MAX_POINTS, "{}", kept.len());
        assert!(kept.contains(&Point { x: 1234.0, y: 9.0 }) && kept.contains(&Point { x: 8765.0, y: -9.0 }));
        assert!(kept.windows(2).all(|pair| pair[0].x < pair[1].x));
    }

    #[test]
    fn few_points_are_left_alone() {
        assert_eq!(decimate(&points(&[3.0, 1.0, 2.0]), MAX_POINTS), points(&[3.0, 1.0, 2.0]));
    }

    #[test]
    fn smoothing_starts_with_a_true_mean_and_skips_nan() {
        let smoothed = smooth(&points(&[2.0, 4.0, f64::NAN, 3.0]), 1e12);
        let expected = [2.0, 3.0, 3.0, 3.0];
        assert!(smoothed.iter().zip(expected).all(|(point, mean)| (point.y - mean).abs() < 1e-6), "{smoothed:?}");
    }

    #[test]
    fn a_nan_leaves_a_gap() {
        let x = Axis::growing(3.0, 3.0, 3.0);
        let y = Axis { spread: Spread::Linear, low: 0.0, high: 1.0 };
        assert_eq!(line(&points(&[0.0, 1.0, f64::NAN, 0.5]), &x, &y), "M0.0 400.0L333.3 0.0M1000.0 200.0");
        assert_eq!(dots(&points(&[1.0]), &x, &y), "M0.0 0.0h0");
    }

    #[test]
    fn a_run_that_diverged_still_has_axes() {
        for measure in [Measure::Loss, Measure::Accuracy] {
            let axis = measure.axis([f64::NAN, f64::INFINITY].into_iter());
            assert!(axis.fraction(0.5).is_finite() && !axis.ticks().is_empty());
        }
    }
}
