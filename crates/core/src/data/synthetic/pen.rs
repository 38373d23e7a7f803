//! Interpolates a few knots with a smooth stroke. It draws no random numbers.

use crate::preprocess::{Point, Stroke};

/// Number of line segments between two knots.
const STEPS: usize = 8;

/// A point through which the stroke passes: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom).
#[derive(Clone, Copy, Debug)]
pub(super) struct Knot {
    /// Horizontal coordinate.
    pub(super) x: f64,
    /// Vertical coordinate.
    pub(super) y: f64,
    /// Smoothness: 1 is a curve, 0 is a corner.
    pub(super) round: f64,
}

/// A smooth knot.
pub(super) fn at(x: f64, y: f64) -> Knot {
    Knot { x, y, round: 1.0 }
}

/// A knot that is a corner.
pub(super) fn corner(x: f64, y: f64) -> Knot {
    Knot { x, y, round: 0.0 }
}

/// The stroke through some knots: a centripetal Catmull-Rom spline, which neither overshoots nor forms cusps, with
/// tangents shortened at knots that are not round.
pub(super) fn through(knots: &[Knot]) -> Stroke {
    let mut points: Vec<Point> = knots.first().map(|&knot| point(knot.x, knot.y)).into_iter().collect();
    for index in 1..knots.len() {
        let (from, to) = (knots[index - 1], knots[index]);
        let before = if index >= 2 { knots[index - 2] } else { mirrored(to, from) };
        let after = knots.get(index + 1).copied().unwrap_or(mirrored(from, to));
        points.extend(span(before, from, to, after));
    }
    Stroke { points }
}

/// The knot that extends a stroke beyond its end: `inner` mirrored at `end`.
fn mirrored(inner: Knot, end: Knot) -> Knot {
    Knot { x: 2.0 * end.x - inner.x, y: 2.0 * end.y - inner.y, round: 1.0 }
}

/// The points of the curve between two knots, without the first one.
fn span(before: Knot, from: Knot, to: Knot, after: Knot) -> impl Iterator<Item = Point> {
    let (first, middle, last) = (interval(before, from), interval(from, to), interval(to, after));
    let tangent =
        |a: f64, b: f64, c: f64, left: f64, right: f64| (b - a) / left - (c - a) / (left + right) + (c - b) / right;
    let curve = move |p: fn(Knot) -> f64, t: f64| {
        let (a, b, c, d) = (p(before), p(from), p(to), p(after));
        let start = from.round * middle * tangent(a, b, c, first, middle);
        let end = to.round * middle * tangent(b, c, d, middle, last);
        let (t2, t3) = (t * t, t * t * t);
        let ease = 3.0 * t2 - 2.0 * t3;
        b + ease * (c - b) + (t - 2.0 * t2 + t3) * start + (t3 - t2) * end
    };
    (1..=STEPS).map(move |step| {
        let t = step as f64 / STEPS as f64;
        point(curve(|knot| knot.x, t), curve(|knot| knot.y, t))
    })
}

/// The parameter interval between two knots: the square root of their distance, kept above zero for equal knots.
fn interval(a: Knot, b: Knot) -> f64 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    (dx * dx + dy * dy).sqrt().sqrt().max(1e-3)
}

fn point(x: f64, y: f64) -> Point {
    Point { x: x as f32, y: y as f32 }
}
