//! From a few knots to the smooth line that a pen draws through them. Pure geometry.

use crate::preprocess::{Point, Stroke};

/// Steps between two knots.
const STEPS: usize = 8;

/// A place that the pen passes: x from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom).
#[derive(Clone, Copy, Debug)]
pub(super) struct Knot {
    pub(super) x: f64,
    pub(super) y: f64,
    /// How smoothly the pen passes: 1 is a curve, 0 is a corner.
    pub(super) round: f64,
}

/// A knot that the pen passes in a curve.
pub(super) fn at(x: f64, y: f64) -> Knot {
    Knot { x, y, round: 1.0 }
}

/// A knot at which the pen turns sharply.
pub(super) fn corner(x: f64, y: f64) -> Knot {
    Knot { x, y, round: 0.0 }
}

/// The line through some knots: a centripetal Catmull-Rom spline, which neither overshoots nor makes cusps of
/// its own, with tangents shortened where a knot is not round.
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

/// The knot that continues a line beyond its end.
fn mirrored(inner: Knot, end: Knot) -> Knot {
    Knot { x: 2.0 * end.x - inner.x, y: 2.0 * end.y - inner.y, round: 1.0 }
}

/// The curve between two knots, without its first point.
fn span(before: Knot, from: Knot, to: Knot, after: Knot) -> impl Iterator<Item = Point> {
    let (first, middle, last) = (stride(before, from), stride(from, to), stride(to, after));
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

/// The square root of the distance, kept above zero for knots in the same place.
fn stride(a: Knot, b: Knot) -> f64 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    (dx * dx + dy * dy).sqrt().sqrt().max(1e-3)
}

fn point(x: f64, y: f64) -> Point {
    Point { x: x as f32, y: y as f32 }
}
