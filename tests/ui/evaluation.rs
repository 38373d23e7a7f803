//! Browser tests of evaluations and of loading images: both leave the pad alive and can be stopped.

use crate::pad;
use crate::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// Whether an evaluation is in progress, as a script.
const EVALUATING: &str = "document.querySelector(\"[data-testid='status']\").innerText.startsWith('Evaluating')";

/// `leaky` takes several seconds for MNIST's 10,000 test images.
#[test]
fn the_pad_is_read_during_an_evaluation_that_can_be_stopped() {
    let mut visit = Visit::new("engine=cpu&dataset=mnist&model=leaky&workers=1");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='judge']:enabled\") && [1]", LONG_TIMEOUT).unwrap();
    visit.page.click("judge").unwrap();
    // The images are loaded, and the first of them are evaluated.
    let counted = format!("{EVALUATING} && /^[1-9].* of 10,000 images/.test({PROGRESS})");
    visit.page.wait_for(&counted, LONG_TIMEOUT).unwrap();
    pad::draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    assert_eq!(visit.page.evaluate(EVALUATING).unwrap(), true, "the prediction waited for the evaluation");
    visit.page.click("stop").unwrap();
    visit.page.wait_for(&format!("!{EVALUATING}"), SHORT_TIMEOUT).unwrap();
    assert_eq!(visit.attribute("status", "data-state"), "ready");
    let score = "document.querySelector(\"[data-testid='test-accuracy']\") === null";
    assert_eq!(visit.page.evaluate(score).unwrap(), true, "a stopped evaluation has no result");
    visit.assert_clean();
}

/// The text beside the progress bar, as a script.
const PROGRESS: &str = "document.querySelector(\"[data-testid='progress']\").innerText";

#[test]
fn a_run_is_stopped_while_its_images_are_made() {
    let mut visit = Visit::new("engine=cpu&dataset=synthetic&model=compact");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.click("start").unwrap();
    visit.wait_for_state("loading", SHORT_TIMEOUT);
    visit.page.click("stop").unwrap();
    visit.wait_for_state("ready", SHORT_TIMEOUT);
    assert_eq!(visit.n_steps(), 0, "no run has begun");
    visit.page.click("start").unwrap();
    visit.wait_past_step(2, LONG_TIMEOUT);
    visit.assert_clean();
}
