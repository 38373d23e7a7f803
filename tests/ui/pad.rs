//! The pad in a real browser: drawn on, read, taken back.

use browser_driver::Viewport;

use crate::LONG;
use crate::visit::{PATIENTLY, SOON, Visit};

/// The strokes of a 4: an open one.
const FOUR: [&[(f64, f64)]; 2] = [
    &[(0.32, 0.18), (0.28, 0.35), (0.26, 0.52), (0.45, 0.52), (0.66, 0.5)],
    &[(0.6, 0.2), (0.58, 0.4), (0.56, 0.6), (0.55, 0.85)],
];

pub fn draw(visit: &mut Visit) {
    for stroke in FOUR {
        visit.page.stroke("draw-pad", stroke).unwrap();
    }
}

/// The answer about the last stroke comes after those about the first ones.
fn wait_for_four(visit: &mut Visit) {
    visit.page.wait_for("document.querySelector(\"[data-testid='prediction']\").dataset.digit === '4'", SOON).unwrap();
}

/// The bytes of the image that the network sees.
fn pixels(visit: &mut Visit) -> Vec<u8> {
    let decoded = "Array.from(atob(document.querySelector(\"[data-testid='network-input']\").dataset.pixels),
        (letter) => letter.charCodeAt(0))";
    let bytes = visit.page.evaluate(decoded).unwrap();
    bytes.as_array().unwrap().iter().map(|byte| u8::try_from(byte.as_u64().unwrap()).unwrap()).collect()
}

fn ink(visit: &mut Visit) -> u64 {
    pixels(visit).iter().map(|pixel| u64::from(*pixel)).sum()
}

#[test]
fn a_drawn_digit_is_read_and_cleared() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", PATIENTLY);
    assert_eq!(visit.attribute("prediction", "data-digit"), "");
    assert_eq!(ink(&mut visit), 0);

    draw(&mut visit);
    visit.wait_for_reading(SOON);
    assert!((0.0..10.0).contains(&visit.number("prediction", "data-digit")));
    assert!((visit.sum_of_probabilities() - 1.0).abs() < 1e-3);
    assert_eq!(pixels(&mut visit).len(), 28 * 28);
    let whole = ink(&mut visit);
    assert!(whole > 5_000, "a 4 has more ink than {whole}");

    visit.page.click("undo").unwrap();
    let part = ink(&mut visit);
    assert_ne!(part, whole);
    visit.page.press("Control+Shift+z").unwrap();
    assert_eq!(ink(&mut visit), whole);
    visit.page.press("Control+z").unwrap();
    assert_eq!(ink(&mut visit), part);
    visit.page.click("redo").unwrap();
    assert_eq!(ink(&mut visit), whole);

    visit.page.click("clear").unwrap();
    assert_eq!(ink(&mut visit), 0);
    assert_eq!(visit.attribute("prediction", "data-digit"), "");
    visit.assert_clean();
}

/// The network that comes with the page knows digits before anybody trains, and says what it is worth.
#[test]
fn the_pad_reads_at_once() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", PATIENTLY);
    draw(&mut visit);
    wait_for_four(&mut visit);
    let told = visit.page.evaluate("document.querySelector('main').innerText").unwrap();
    assert!(told.as_str().unwrap().contains("of 10,000 test images"), "{told}");
    visit.assert_clean();
}

#[test]
fn the_reading_follows_the_network_while_it_learns() {
    let mut visit = Visit::new(&format!("{LONG}&start=1"));
    visit.wait_past_step(0, PATIENTLY);
    draw(&mut visit);
    visit.wait_for_reading(SOON);
    let version = visit.number("prediction", "data-version");
    let newer = format!("document.querySelector(\"[data-testid='prediction']\").dataset.version > {}", version + 3.0);
    visit.page.wait_for(&newer, SOON).unwrap();
    assert_eq!(visit.attribute("status", "data-state"), "training");
    visit.assert_clean();
}

#[test]
fn a_finger_draws_and_does_not_scroll() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", PATIENTLY);
    visit.page.set_viewport(Viewport { width: 360, height: 640, scale: 2.0, mobile: true }).unwrap();
    let wide = "document.documentElement.scrollWidth > innerWidth";
    assert_eq!(visit.page.evaluate(wide).unwrap(), false, "the page is wider than a phone");
    visit.page.bounds("draw-pad").unwrap();
    let before = visit.page.evaluate("scrollY").unwrap();
    visit.page.touch_stroke("draw-pad", &[(0.5, 0.9), (0.5, 0.7), (0.5, 0.5), (0.5, 0.3), (0.5, 0.1)]).unwrap();
    assert_eq!(visit.page.evaluate("scrollY").unwrap(), before, "the page scrolled under the stroke");
    visit.wait_for_reading(SOON);
    visit.assert_clean();
}

/// The networks that came with the page read together, and are named.
#[test]
fn several_networks_read_together() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", PATIENTLY);
    visit.page.click("ensemble").unwrap();
    draw(&mut visit);
    wait_for_four(&mut visit);
    let named = "document.querySelector(\"[data-testid='reader']\").innerText.includes('strided')";
    visit.page.wait_for(named, SOON).unwrap();
    visit.assert_clean();
}
