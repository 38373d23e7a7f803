//! Replays digits drawn by others on the pad, and counts how many the page classifies correctly. It never trains on
//! them.
//!
//! The strokes come from a file in the text format of the UJI Pen Characters database
//! (<https://doi.org/10.24432/C5C60V>): `WORD` with the character and its writer, `NUMSTROKES`, then for each stroke
//! `POINTS n #` and the coordinates, y downwards. Other characters than digits are skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::figure::Measurement;
use super::visit::{Site, Visit};
use crate::report;

/// The drawing is scaled to this fraction of the pad, in its middle.
const SHARE: f64 = 0.7;

/// One plus the predicted digit of the whole drawing, once it is predicted and the pen was lifted 200 ms ago; 0 until
/// then.
const PREDICTED: &str = "(() => {
        const answer = $.answered.some(({ version }) => version >= $.asked.length);
        const read = document.querySelector(\"[data-testid='prediction']\")?.dataset.digit;
        return answer && read && performance.now() - $.lifted > 200 ? 1 + Number(read) : 0;
    })()";

/// A drawn digit of the file.
#[derive(Clone, Debug, PartialEq)]
struct Drawing {
    digit: u8,
    /// The writer's name in the file.
    writer: String,
    /// The points of each stroke, in the units of the file.
    strokes: Vec<Vec<(f64, f64)>>,
}

/// Replays the file on the pad with the page's pretrained weights, and after one epoch of `compact` on MNIST.
///
/// # Errors
/// When the file cannot be read, is damaged or has no digits, or the page fails.
pub fn measure(site: &Site, file: Option<&Path>) -> Result<Vec<Measurement>> {
    let Some(file) = file else {
        return Ok(vec![Measurement::not_run("strokes of others", "no file; --strokes names one")]);
    };
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let drawings = parse(&text).with_context(|| format!("{} has no pen strokes", file.display()))?;
    let mut visit = Visit::ready(site, "engine=cpu&dataset=mnist&model=compact&epochs=1&batch=128")?;
    let before = replay(&mut visit, &drawings, "the weights that come with the page")?;
    visit.run()?;
    Ok(vec![before, replay(&mut visit, &drawings, "one epoch of compact on MNIST, CPU engine, batch 128")?])
}

/// Draws all digits and measures the percentage of correct predictions. `how` names the weights.
fn replay(visit: &mut Visit, drawings: &[Drawing], how: &str) -> Result<Measurement> {
    let mut misclassified = vec![];
    for Drawing { digit, writer, strokes } in drawings {
        let predicted = draw(visit, &fitted(strokes))?;
        if predicted != *digit {
            misclassified.push(format!("{digit} of {writer} as {predicted}"));
        }
    }
    report(format!("misread after {how}: {}", misclassified.join(", ")));
    let n_correct = drawings.len() - misclassified.len();
    let n_writers = drawings.iter().map(|drawing| &drawing.writer).collect::<BTreeSet<_>>().len();
    Ok(Measurement::new("digits drawn with a pen by others, read rightly", how, "%")
        .with(vec![100.0 * n_correct as f64 / drawings.len() as f64])
        .beside(format!("{n_correct} of {}, {n_writers} writers", drawings.len())))
}

/// Draws on an empty pad, and returns the predicted digit.
fn draw(visit: &mut Visit, strokes: &[Vec<(f64, f64)>]) -> Result<u8> {
    for stroke in strokes {
        visit.page.pen_stroke("draw-pad", stroke)?;
    }
    let one_more = visit.noted(PREDICTED)?;
    visit.page.click("clear")?;
    Ok(one_more as u8 - 1)
}

/// Converts strokes to fractions of the pad, keeping the aspect ratio of the drawing.
fn fitted(strokes: &[Vec<(f64, f64)>]) -> Vec<Vec<(f64, f64)>> {
    let range = |of: fn(&(f64, f64)) -> f64| {
        let values = || strokes.iter().flatten().map(of);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((left, right), (top, bottom)) = (range(|point| point.0), range(|point| point.1));
    let scale = SHARE / (right - left).max(bottom - top).max(1.0);
    let place = |x: f64, low: f64, high: f64| 0.5 + scale * (x - (low + high) / 2.0);
    let point = |(x, y): &(f64, f64)| (place(*x, left, right), place(*y, top, bottom));
    strokes.iter().map(|stroke| stroke.iter().map(point).collect()).collect()
}

/// Parses the digits of a file.
///
/// # Errors
/// When a line is invalid (the message contains its number), strokes are missing, or there is no digit.
fn parse(text: &str) -> Result<Vec<Drawing>> {
    let mut drawings: Vec<Drawing> = vec![];
    let (mut is_digit, mut n_strokes) = (false, 0);
    for (index, line) in text.lines().enumerate() {
        let place = || format!("line {}", index + 1);
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["WORD", character, of] => {
                let digit = character.parse().ok().filter(|digit| *digit < 10);
                is_digit = digit.is_some();
                let writer = of.rsplit_once('-').map_or(*of, |(writer, _)| writer).to_owned();
                drawings.extend(digit.map(|digit| Drawing { digit, writer, strokes: vec![] }));
            }
            ["WORD", ..] => bail!("{}: a word is followed by its character and its writer", place()),
            ["NUMSTROKES", n] if is_digit => n_strokes += n.parse::<usize>().with_context(place)?,
            ["POINTS", n, "#", numbers @ ..] if is_digit => {
                let points = points(n, numbers).with_context(place)?;
                drawings.last_mut().context("points before a word")?.strokes.push(points);
            }
            _ => (),
        }
    }
    let found: usize = drawings.iter().map(|drawing| drawing.strokes.len()).sum();
    if drawings.is_empty() || drawings.iter().any(|drawing| drawing.strokes.is_empty()) || found != n_strokes {
        bail!("{} digits in it, {n_strokes} strokes announced, {found} found", drawings.len());
    }
    Ok(drawings)
}

/// Parses the coordinates of a stroke with `n` points.
fn points(n: &str, numbers: &[&str]) -> Result<Vec<(f64, f64)>> {
    let numbers = numbers.iter().map(|number| number.parse()).collect::<Result<Vec<f64>, _>>()?;
    if n.parse() != Ok(numbers.len() / 2) || numbers.is_empty() || !numbers.len().is_multiple_of(2) {
        bail!("{n} points were announced, {} numbers found", numbers.len());
    }
    Ok(numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "// ASCII char: 4\nWORD A trn_W01-01\n  NUMSTROKES 1\n  POINTS 1 # 7 7\nWORD 4 trn_W01-02\n  NUMSTROKES 2
  POINTS 2 # 100 100 100 300\n  POINTS 3 # 150 150 150 160 150 300\n";

    #[test]
    fn digits_are_taken_from_a_file() {
        let drawings = parse(TEXT).unwrap();
        assert_eq!((drawings.len(), drawings[0].digit, drawings[0].writer.as_str()), (1, 4, "trn_W01"));
        assert_eq!(
            drawings[0].strokes,
            [vec![(100.0, 100.0), (100.0, 300.0)], vec![(150.0, 150.0), (150.0, 160.0), (150.0, 300.0)]]
        );
        let damaged = format!("{:#}", parse(&TEXT.replace("POINTS 3", "POINTS 4")).unwrap_err());
        assert_eq!(damaged, "line 8: 4 points were announced, 6 numbers found");
        assert!(parse("WORD A trn_W01-01").is_err());
        assert!(parse(&TEXT.replace("NUMSTROKES 2", "NUMSTROKES 3")).is_err());
        assert!(parse(&TEXT.replace("WORD 4", "WORD")).is_err());
    }

    #[test]
    fn a_drawing_is_fitted_into_the_middle_with_its_aspect() {
        let fitted = fitted(&parse(TEXT).unwrap()[0].strokes);
        let ends = [(0.4125, 0.15), (0.5875, 0.85)];
        for (found, wanted) in [(fitted[0][0], ends[0]), (fitted[1][2], ends[1])] {
            assert!((found.0 - wanted.0).abs() < 1e-9 && (found.1 - wanted.1).abs() < 1e-9, "{found:?} {wanted:?}");
        }
    }
}
