//! The shapes of the ten digits as people write them: the knots of each variant, with random variation so that no two
//! are alike. It never renders a stroke.

use std::f64::consts::FRAC_PI_4;

use super::hand::Hand;
use super::pen::{Knot, at, corner};

/// The knots of each stroke of a digit.
pub(super) type Glyph = Vec<Vec<Knot>>;

/// A random shape of a digit (0 to 9), in a square of side 1.
pub(super) fn glyph(digit: usize, hand: &mut Hand) -> Glyph {
    match digit {
        0 => zero(hand),
        1 => one(hand),
        2 => two(hand),
        3 => three(hand),
        4 => four(hand),
        5 => five(hand),
        6 => six(hand),
        7 => seven(hand),
        8 => eight(hand),
        _ => nine(hand),
    }
}

/// A point on an ellipse, `step` sixteenths of a turn counter-clockwise from its top.
fn oval(x: f64, y: f64, half_width: f64, half_height: f64, step: f64) -> Knot {
    // Sine and cosine from the tangent of half the angle, because the library's results depend on the platform.
    let turn = (step / 16.0) - (step / 16.0).floor();
    let quarter = (turn * 4.0).floor();
    let t = half_tangent(turn * 4.0 - quarter);
    let (sine, cosine) = (2.0 * t / (1.0 + t * t), (1.0 - t * t) / (1.0 + t * t));
    let (left, up) = match quarter as u8 {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    };
    at(x - half_width * left, y - half_height * up)
}

/// The tangent of `quarter` (0 to 1) times an eighth of a turn, to three digits.
fn half_tangent(quarter: f64) -> f64 {
    quarter * (FRAC_PI_4 + quarter * quarter * (0.1615 + 0.0531 * quarter * quarter))
}

fn zero(hand: &mut Hand) -> Glyph {
    let start = hand.around(-0.7, 1.8);
    let turn = hand.around(16.2, 1.3);
    let half_width = hand.between(0.28, 0.62);
    // The stroke may end inside or outside of its start.
    let spiral = hand.around(-0.06, 0.1);
    let knots = (0..=9).map(|index| {
        let done = f64::from(index) / 9.0;
        let size = 1.0 + spiral * done * done;
        oval(0.5, 0.5, half_width * size, 0.5 * size, start + turn * done)
    });
    let mut strokes: Glyph = vec![knots.collect()];
    if hand.chance(0.15) {
        // The pen continues into the inside.
        let end = at(0.5 + hand.around(0.0, 0.12), hand.between(0.15, 0.45));
        strokes[0].push(end);
    }
    strokes
}

fn one(hand: &mut Hand) -> Glyph {
    let bulge = hand.around(0.0, 0.03);
    let stem = [at(0.5, 0.0), at(0.5 + bulge, 0.5), at(0.5, 1.0)];
    if hand.chance(0.82) {
        return vec![stem.to_vec()];
    }
    let (reach, drop) = (hand.between(0.1, 0.35), hand.between(0.08, 0.32));
    let flag = at(0.5 - reach, drop);
    let mut strokes = vec![vec![flag, corner(0.5, 0.0), stem[1], stem[2]]];
    if hand.chance(0.6) {
        let half = hand.between(0.15, 0.45);
        strokes.push(vec![at(0.5 - half, hand.around(1.0, 0.02)), at(0.5 + half, hand.around(1.0, 0.02))]);
    }
    strokes
}

fn two(hand: &mut Hand) -> Glyph {
    let right = hand.between(0.5, 0.95);
    let reach = hand.between(0.7, 1.35);
    let foot = hand.around(0.93, 0.05);
    let mut knots = if hand.chance(0.12) {
        // A bar and a straight line down, as in a Z.
        let turn = Knot { round: hand.between(0.0, 0.6), ..at(right, hand.around(0.03, 0.05)) };
        vec![at(hand.around(0.0, 0.08), hand.around(0.06, 0.06)), turn, at(right * 0.6, hand.around(0.45, 0.06))]
    } else {
        vec![
            at(hand.around(0.08, 0.1), hand.between(0.0, 0.42)),
            at(right * hand.between(0.4, 0.6), 0.0),
            at(right, hand.around(0.25, 0.06)),
            at(right * hand.between(0.6, 1.0), hand.between(0.48, 0.7)),
        ]
    };
    if hand.chance(0.5) {
        // A loop at the lower left, from flat to round.
        let (width, height) = (hand.between(0.12, 0.55), hand.between(0.04, 0.38));
        let left = hand.around(0.03, 0.06);
        knots.extend([at(left + width * 0.4, foot), at(left, foot - height * 0.4)]);
        knots.extend([at(left + width * 0.4, foot - height), at(left + width, foot - height * 0.4)]);
        knots.push(at((left + width + reach) / 2.0, hand.around(0.98, 0.05)));
    } else {
        knots.push(Knot { round: hand.between(0.0, 0.7), ..at(hand.around(0.05, 0.06), 0.97) });
        knots.push(at(reach / 2.0, hand.around(0.95, 0.04)));
    }
    knots.push(at(reach, hand.around(0.95, 0.08)));
    vec![knots]
}

fn three(hand: &mut Hand) -> Glyph {
    let waist = hand.around(0.43, 0.06);
    let inner = hand.between(0.15, 0.6);
    let mut knots = if hand.chance(0.15) {
        vec![at(0.1, hand.around(0.03, 0.03)), corner(hand.around(0.85, 0.08), hand.around(0.0, 0.04))]
    } else {
        let top = at(hand.around(0.1, 0.09), hand.around(0.12, 0.07));
        let turn = at(hand.around(0.8, 0.1), waist * hand.between(0.25, 0.6));
        vec![top, at(0.45, 0.0), Knot { round: hand.between(0.2, 1.0), ..turn }]
    };
    if hand.chance(0.2) {
        // A small loop at the waist.
        let size = hand.between(0.02, 0.07);
        knots.extend([at(inner, waist + size), at(inner - size, waist), at(inner, waist - size)]);
    } else {
        knots.push(Knot { round: hand.between(0.0, 0.9), ..at(inner, waist) });
    }
    knots.push(at(hand.around(0.88, 0.09), hand.around(0.71, 0.05)));
    knots.push(at(hand.around(0.45, 0.09), 1.0));
    knots.push(at(hand.around(0.0, 0.1), hand.around(0.88, 0.08)));
    vec![knots]
}

fn four(hand: &mut Hand) -> Glyph {
    let bar = hand.around(0.53, 0.09);
    let stem = hand.around(0.72, 0.08);
    let foot = at(stem + hand.around(-0.03, 0.07), 1.0);
    if hand.chance(0.12) {
        // Closed: down the left side, then along the bar; the stem starts at the same top.
        let stem_top = at(stem, hand.around(0.0, 0.04));
        let left = vec![at(stem, 0.0), corner(0.0, bar), at(hand.around(1.02, 0.1), bar)];
        return vec![left, vec![stem_top, foot]];
    }
    if hand.chance(0.3) {
        // In one stroke: an open bowl, then the stem up and down.
        let bowl = [
            at(hand.around(0.05, 0.06), hand.around(0.05, 0.06)),
            at(0.0, bar * 0.7),
            at(0.3, bar),
            at(0.65, bar * 0.85),
        ];
        let tail = [corner(stem + 0.08, hand.around(0.02, 0.06)), foot];
        return vec![bowl.into_iter().chain(tail).collect()];
    }
    let left = vec![
        at(hand.around(0.12, 0.1), hand.around(0.03, 0.06)),
        Knot { round: hand.between(0.0, 1.0), ..at(0.02, bar) },
        at(hand.around(0.95, 0.14), bar + hand.around(-0.05, 0.06)),
    ];
    vec![left, vec![at(stem + hand.around(0.06, 0.07), hand.around(0.05, 0.12)), foot]]
}

fn five(hand: &mut Hand) -> Glyph {
    let neck = hand.between(0.24, 0.5);
    let left = hand.around(0.2, 0.08);
    let belly = [
        Knot { round: hand.between(0.0, 0.9), ..at(left - hand.around(0.03, 0.06), neck) },
        at(hand.around(0.5, 0.07), neck - hand.around(0.03, 0.05)),
        at(hand.around(0.82, 0.1), hand.around(0.68, 0.05)),
        at(hand.around(0.42, 0.09), 1.0),
        at(hand.around(0.0, 0.12), hand.around(0.9, 0.08)),
    ];
    let bar_end = at(hand.around(1.0, 0.2), hand.around(-0.01, 0.07));
    let start = at(left, hand.around(0.04, 0.04));
    if hand.chance(0.5) {
        let stroke = [bar_end, Knot { round: hand.between(0.0, 0.8), ..start }].into_iter().chain(belly);
        return vec![stroke.collect()];
    }
    let body = [start].into_iter().chain(belly).collect();
    vec![body, vec![at(left + hand.around(0.04, 0.05), hand.around(0.03, 0.04)), bar_end]]
}

fn six(hand: &mut Hand) -> Glyph {
    let loop_top = hand.around(0.47, 0.12);
    let left = hand.around(0.05, 0.05);
    let right = hand.around(0.9, 0.14);
    let middle = (left + right) / 2.0;
    let low = (1.0 + loop_top) / 2.0;
    let mut knots = vec![
        at(left + hand.between(-0.1, 0.65), 0.0),
        at(left + hand.around(0.1, 0.06), hand.around(0.35, 0.05)),
        at(left, hand.around(0.7, 0.06)),
        at(middle - hand.around(0.05, 0.06), 1.0),
        at(right, low + hand.between(-0.12, 0.06)),
        at(hand.around(middle + 0.13, 0.13), loop_top),
    ];
    // The loop ends before the stem, or near the stem; in the latter case the pen may continue.
    if hand.chance(0.3) {
        knots.push(at(hand.between(left + 0.15, middle), hand.between(loop_top + 0.08, 0.9)));
        return vec![knots];
    }
    let end = left + hand.around(0.08, 0.1);
    knots.push(at(end, hand.between(loop_top + 0.08, 0.9)));
    if hand.chance(0.2) {
        knots.push(at(end + hand.between(0.05, 0.2), hand.between(0.85, 1.0)));
    }
    vec![knots]
}

fn seven(hand: &mut Hand) -> Glyph {
    let bulge = hand.around(0.0, 0.06);
    let foot = hand.around(0.42, 0.14);
    let top = hand.around(0.02, 0.05);
    let right = hand.around(0.9, 0.08);
    let mut knots = Vec::new();
    if hand.chance(0.3) {
        knots.push(at(hand.around(0.03, 0.03), hand.between(0.1, 0.35)));
    }
    knots.push(Knot { round: hand.between(0.0, 0.6), ..at(0.05, hand.around(0.06, 0.05)) });
    knots.push(at(0.5, top));
    knots.push(Knot { round: hand.between(0.0, 1.0), ..at(right, hand.around(0.03, 0.05)) });
    knots.push(at((right + foot) / 2.0 + bulge, 0.5));
    knots.push(at(foot, 1.0));
    let mut strokes = vec![knots];
    if hand.chance(0.2) {
        let (middle, y) = ((right + foot) / 2.0 + hand.around(0.0, 0.08), hand.around(0.52, 0.07));
        let (half, tilt) = (hand.between(0.15, 0.5), hand.around(0.02, 0.03));
        strokes.push(vec![at(middle - half, y + tilt), at(middle + half, y - tilt)]);
    }
    strokes
}

fn eight(hand: &mut Hand) -> Glyph {
    let waist = hand.around(0.47, 0.07);
    let (top, bottom) = (hand.between(0.2, 0.45), hand.between(0.13, 0.5));
    if hand.chance(0.12) {
        let start = hand.around(0.0, 1.5);
        let ring = |y: f64, half_width: f64, half_height: f64| {
            let knot = |index| oval(0.5, y, half_width, half_height, start + f64::from(index) * 2.05);
            (0..=8).map(knot).collect()
        };
        return vec![ring(waist / 2.0, top, waist / 2.0), ring((1.0 + waist) / 2.0, bottom, (1.0 - waist) / 2.0)];
    }
    let cross = at(hand.around(0.5, 0.06), waist);
    vec![vec![
        at(0.5 + top * hand.between(0.6, 1.5), hand.between(0.0, 0.26)),
        at(hand.around(0.5, 0.05), 0.0),
        at(0.5 - top, waist * 0.5),
        cross,
        at(0.5 + bottom, hand.around(0.76, 0.05)),
        at(hand.around(0.5, 0.05), 1.0),
        at(0.5 - bottom, hand.around(0.78, 0.05)),
        at(cross.x + hand.around(0.0, 0.04), waist + hand.around(0.02, 0.04)),
        at(0.5 + top * hand.between(0.6, 1.5), hand.between(0.0, 0.32)),
    ]]
}

fn nine(hand: &mut Hand) -> Glyph {
    let right = hand.around(0.83, 0.07);
    let loop_bottom = hand.around(0.49, 0.09);
    let mut knots = vec![
        at(right - hand.around(0.05, 0.08), hand.between(0.02, 0.22)),
        at(hand.around(0.48, 0.07), hand.around(0.0, 0.02)),
        at(hand.around(0.06, 0.09), loop_bottom * hand.between(0.45, 0.7)),
        at(hand.around(0.36, 0.09), loop_bottom),
        at(right - hand.around(0.1, 0.04), loop_bottom * hand.between(0.45, 0.85)),
    ];
    // The pen moves up again before the tail, to the top or only a little.
    knots
        .push(Knot { round: hand.between(0.0, 1.0), ..at(right + hand.around(0.01, 0.03), hand.between(-0.04, 0.25)) });
    if hand.chance(0.3) {
        let hook = at(hand.around(0.15, 0.15), hand.around(0.9, 0.07));
        knots.extend([at(right, 0.6), at(hand.around(0.6, 0.08), 0.97), hook]);
    } else {
        let foot = hand.around(0.72, 0.15);
        knots.extend([at((right + foot) / 2.0 + hand.around(0.04, 0.04), 0.55), at(foot, 1.0)]);
    }
    vec![knots]
}
