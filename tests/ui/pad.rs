//! Browser tests of the pad: drawing, prediction, undo and clear.

use browser_driver::Viewport;

use crate::LONG;
use crate::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// The strokes of an open 4.
const FOUR: [&[(f64, f64)]; 2] = [
    &[(0.32, 0.18), (0.28, 0.35), (0.26, 0.52), (0.45, 0.52), (0.66, 0.5)],
    &[(0.6, 0.2), (0.58, 0.4), (0.56, 0.6), (0.55, 0.85)],
];

/// Draws the 4.
pub fn draw(visit: &mut Visit) {
    for stroke in FOUR {
        visit.page.stroke("draw-pad", stroke).unwrap();
    }
}

/// Waits for the prediction of the whole 4, which arrives after those of its first strokes.
fn wait_for_four(visit: &mut Visit) {
    visit
        .page
        .wait_for("document.querySelector(\"[data-testid='prediction']\").dataset.digit === '4'", SHORT_TIMEOUT)
        .unwrap();
}

/// The network's input, as the page encodes it.
fn pixels(visit: &mut Visit) -> Vec<u8> {
    let decoded = "Array.from(atob(document.querySelector(\"[data-testid='network-input']\").dataset.pixels),
        (letter) => letter.charCodeAt(0))";
    let bytes = visit.page.evaluate(decoded).unwrap();
    bytes.as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect()
}

/// The sum of the network's input.
fn ink(visit: &mut Visit) -> u64 {
    pixels(visit).iter().map(|pixel| u64::from(*pixel)).sum()
}

#[test]
fn a_drawn_digit_is_predicted_and_cleared() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.attribute("prediction", "data-digit"), "");
    assert_eq!(ink(&mut visit), 0);

    draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    assert!((0.0..10.0).contains(&visit.number("prediction", "data-digit")));
    assert!((visit.sum_of_probabilities() - 1.0).abs() < 1e-3);
    assert_eq!(pixels(&mut visit).len(), 28 * 28);
    let all_strokes = ink(&mut visit);
    assert!(all_strokes > 5_000, "a 4 has more ink than {all_strokes}");

    visit.page.click("undo").unwrap();
    let first_stroke = ink(&mut visit);
    assert_ne!(first_stroke, all_strokes);
    visit.page.press("Control+Shift+z").unwrap();
    assert_eq!(ink(&mut visit), all_strokes);
    visit.page.press("Control+z").unwrap();
    assert_eq!(ink(&mut visit), first_stroke);
    visit.page.click("redo").unwrap();
    assert_eq!(ink(&mut visit), all_strokes);

    visit.page.click("clear").unwrap();
    assert_eq!(ink(&mut visit), 0);
    assert_eq!(visit.attribute("prediction", "data-digit"), "");
    visit.assert_clean();
}

/// The pretrained network recognises digits before any training, and the page states its measured accuracy.
#[test]
fn the_pad_predicts_without_training() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    draw(&mut visit);
    wait_for_four(&mut visit);
    let text = visit.page.evaluate("document.querySelector('main').innerText").unwrap();
    assert!(text.as_str().unwrap().contains("of 10,000 test images"), "{text}");
    visit.assert_clean();
}

#[test]
fn the_prediction_is_updated_during_training() {
    let mut visit = Visit::new(&format!("{LONG}&start=1"));
    visit.wait_past_step(0, LONG_TIMEOUT);
    draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    let version = visit.number("prediction", "data-version");
    let newer = format!("document.querySelector(\"[data-testid='prediction']\").dataset.version > {}", version + 3.0);
    visit.page.wait_for(&newer, SHORT_TIMEOUT).unwrap();
    assert_eq!(visit.attribute("status", "data-state"), "training");
    visit.assert_clean();
}

#[test]
fn a_finger_draws_and_does_not_scroll() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.set_viewport(Viewport { width: 360, height: 640, scale: 2.0, mobile: true }).unwrap();
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(visit.page.evaluate(wide).unwrap(), false, "the page is wider than a phone");
    visit.page.bounds("draw-pad").unwrap();
    let before = visit.page.evaluate("scrollY").unwrap();
    visit.page.touch_stroke("draw-pad", &[(0.5, 0.9), (0.5, 0.7), (0.5, 0.5), (0.5, 0.3), (0.5, 0.1)]).unwrap();
    assert_eq!(visit.page.evaluate("scrollY").unwrap(), before, "the page scrolled under the stroke");
    visit.wait_for_reading(SHORT_TIMEOUT);
    visit.assert_clean();
}

/// The pretrained networks predict as an ensemble, and the page names them.
#[test]
fn an_ensemble_predicts() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.click("ensemble").unwrap();
    draw(&mut visit);
    wait_for_four(&mut visit);
    let named = "document.querySelector(\"[data-testid='reader']\").innerText.includes('strided')";
    visit.page.wait_for(named, SHORT_TIMEOUT).unwrap();
    visit.assert_clean();
}
