//! Charts: what to plot of a run, and where. Pure geometry: it draws nothing and knows no browser.

use inkling_core::spec::Metrics;

/// Width of the drawing box; views stretch it to the place they have.
pub const WIDTH: f64 = 1000.0;
/// Height of the drawing box.
pub const HEIGHT: f64 = 400.0;
/// A line holds no more points than this: more cannot be seen, and would cost the main thread its time.
pub const MAX_POINTS: usize = 300;

/// A place in a chart, in the units of its axes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: f64,
}

/// How values spread over an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// Equal distances are equal differences.
    Linear,
    /// Equal distances are equal ratios: a loss that falls from 2 to 0.02 stays readable at both ends.
    Log,
    /// Equal distances are equal ratios of what is missing to 1: 90 %, 99 % and 99.9 % are evenly spaced.
    Nines,
}

/// One axis: which values it shows, and how they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    spread: Spread,
    low: f64,
    high: f64,
}

impl Axis {
    /// The largest value that [`Spread::Nines`] tells apart: one error in two thousand.
    const BEST: f64 = 0.9995;
    /// Where [`Spread::Nines`] ends at last: 100 % is infinitely far.
    const FULL: f64 = 0.9999;
    /// The smallest value that [`Spread::Log`] tells apart.
    const LEAST: f64 = 1e-4;
    /// Labels closer than this fraction of the axis would touch.
    const GAP: f64 = 0.14;

    /// An axis from 0 that has room for `value` and grows by leaps, so that the picture does not creep.
    pub fn growing(value: f64, first: f64, end: f64) -> Self {
        let mut high = first.min(end);
        while high < value && high < end {
            high = (high * 1.5).min(end);
        }
        Self { spread: Spread::Linear, low: 0.0, high: high.max(f64::MIN_POSITIVE) }
    }

    /// An axis for losses: all of them fit.
    pub fn losses(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values.map(|loss| loss.max(Self::LEAST))).unwrap_or((0.1, 2.5));
        Self { spread: Spread::Log, low: (low / 1.3).min(high / 4.0), high: high * 1.15 }
    }

    /// An axis for accuracies, up to [`Self::BEST`].
    pub fn accuracies(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 0.9));
        let low = if low < 0.5 { 0.0 } else { 0.5 };
        Self { spread: Spread::Nines, low, high: (1.0 - (1.0 - high) / 2.0).clamp(0.95, Self::BEST) }
    }

    /// An axis for fractions, from none to all.
    pub fn fractions() -> Self {
        Self { spread: Spread::Linear, low: 0.0, high: 1.0 }
    }

    /// An axis for accuracies that lie close together, with some room on both sides.
    pub fn close_accuracies(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = bounds(values).unwrap_or((0.0, 0.9));
        let high = high.min(Self::BEST);
        Self { spread: Spread::Nines, low: (1.0 - (1.0 - low) * 1.6).max(0.0), high: 1.0 - (1.0 - high) / 1.6 }
    }

    /// Where a value lies, 0 at the low end and 1 at the high end. Values beyond the ends lie on them.
    pub fn fraction(&self, value: f64) -> f64 {
        let (low, high) = (self.spread(self.low), self.spread(self.high));
        ((self.spread(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// The value at a fraction of a linear axis.
    pub fn value(&self, fraction: f64) -> f64 {
        self.low + fraction.clamp(0.0, 1.0) * (self.high - self.low)
    }

    /// Values to label, rising, far enough apart for their labels.
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

    /// Values worth labelling, the most important first.
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

/// Accuracies worth labelling; where an axis shows only the last of them, finer ones too.
fn nines(low: f64) -> Vec<f64> {
    const COARSE: [f64; 10] = [0.0, 0.9, 0.99, 0.999, 0.5, 0.95, 0.995, 0.8, 0.98, 0.998];
    const FINE: [f64; 4] = [0.997, 0.993, 0.985, 0.97];
    let fine: &[f64] = if low > 0.9 { &FINE } else { &[] };
    [&COARSE, fine].concat()
}

/// The least and the greatest of the finite values.
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

/// At most `most` points that look like all of them: the least and the greatest of every stretch.
pub fn decimate(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil((most / 2).max(1));
    points.chunks(stretch).flat_map(extremes).collect()
}

/// The least and the greatest point of a stretch, in the order in which they come.
fn extremes(stretch: &[Point]) -> Vec<Point> {
    let least = stretch.iter().enumerate().min_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let greatest = stretch.iter().enumerate().max_by(|a, b| a.1.y.total_cmp(&b.1.y));
    let mut ends: Vec<_> = least.into_iter().chain(greatest).collect();
    ends.sort_by_key(|(index, _)| *index);
    ends.dedup_by_key(|(index, _)| *index);
    ends.into_iter().map(|(_, point)| *point).collect()
}

/// Follows the points at a distance: each is the mean of those before it, older ones counting less.
pub fn smooth(points: &[Point], reach: f64) -> Vec<Point> {
    let (mut mean, mut weight) = (0.0, 0.0);
    let fade = 1.0 - 1.0 / reach.max(1.0);
    let follow = |point: &Point| {
        if point.y.is_finite() {
            // The weight makes the first points a true mean instead of a slow start from 0.
            weight = weight * fade + 1.0;
            mean += (point.y - mean) / weight;
        }
        Point { x: point.x, y: if weight > 0.0 { mean } else { point.y } }
    };
    points.iter().map(follow).collect()
}

/// The line through the points as SVG path data in the drawing box. A value that is not finite leaves a gap.
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

/// Dots at the points as SVG path data: strokes of no length, which round caps turn into dots.
pub fn dots(points: &[Point], x: &Axis, y: &Axis) -> String {
    let finite = points.iter().filter(|point| point.y.is_finite());
    finite.map(|point| place(*point, x, y)).map(|(across, down)| format!("M{across:.1} {down:.1}h0")).collect()
}

/// A line across the drawing box at a value.
pub fn rule(value: f64, y: &Axis) -> String {
    format!("M0 {:.1}H{WIDTH}", (1.0 - y.fraction(value)) * HEIGHT)
}

fn place(point: Point, x: &Axis, y: &Axis) -> (f64, f64) {
    (x.fraction(point.x) * WIDTH, (1.0 - y.fraction(point.y)) * HEIGHT)
}

/// What a chart shows of each [`Metrics`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    Loss,
    Accuracy,
}

impl Measure {
    pub fn of(self, metrics: &Metrics) -> f64 {
        match self {
            Self::Loss => metrics.loss,
            Self::Accuracy => metrics.accuracy,
        }
    }

    /// The axis that all these values fit on.
    pub fn axis(self, values: impl Iterator<Item = f64>) -> Axis {
        match self {
            Self::Loss => Axis::losses(values),
            Self::Accuracy => Axis::accuracies(values),
        }
    }

    /// A value as it is told.
    pub fn value(self, value: f64) -> String {
        match self {
            Self::Loss => format!("{value:.4}"),
            Self::Accuracy => format!("{:.2} %", value * 100.0),
        }
    }

    /// A value as a label of an axis.
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
    fn close_accuracies_are_told_apart() {
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
    fn a_growing_axis_leaps_and_ends() {
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
    fn every_nine_is_as_far() {
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
