//! Browser tests of several workers: they share a run, one of them may be lost, and none is left over.

use crate::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// Twenty slow steps, each in two shards.
const SHARED: &str =
    "engine=cpu&dataset=mnist&model=leaky&limit=1280&test_limit=400&epochs=1&batch=64&seed=3&workers=2";

/// Waits until two workers compute. Before a run the page names the number of workers in the settings.
fn wait_for_both(visit: &mut Visit) {
    visit.wait_for_state("training", LONG_TIMEOUT);
    let both = "document.querySelector(\"[data-testid='engine']\").innerText.includes('2 workers')";
    visit.page.wait_for(both, SHORT_TIMEOUT).unwrap();
}

#[test]
fn a_lost_worker_does_not_change_a_run() {
    let undisturbed = {
        let mut visit = Visit::new(&format!("{SHARED}&start=1"));
        visit.wait_for_state("finished", LONG_TIMEOUT);
        assert_eq!(visit.attribute("workers", "value"), "2");
        visit.assert_clean();
        (visit.first_losses(), visit.log("data-loss"), visit.log("data-val-loss"))
    };
    let mut visit = Visit::new(&format!("{SHARED}&start=1"));
    wait_for_both(&mut visit);
    visit.page.end_worker("peer").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert!(visit.page.text("lost-workers").unwrap().contains("A worker was lost"));
    assert_eq!((visit.first_losses(), visit.log("data-loss"), visit.log("data-val-loss")), undisturbed);
    visit.assert_clean();
}

/// As after an update of the site between the loads of two workers.
#[test]
fn a_peer_worker_of_another_build_gets_no_work() {
    let script = "if (globalThis.name === 'peer' && !globalThis.document) {
        const post = self.postMessage.bind(self);
        self.postMessage = () => { self.postMessage = post; post('another build'); };
    }";
    let mut visit = Visit::with_script(script, &format!("{SHARED}&start=1"));
    visit.wait_past_step(10, LONG_TIMEOUT);
    assert_eq!(visit.page.workers().unwrap().len(), 2, "the peer worker runs");
    let text = visit.page.text("engine").unwrap();
    assert!(text.contains("1 worker") && !text.contains("1 workers"), "{text}");
    visit.wait_for_state("finished", LONG_TIMEOUT);
    visit.assert_clean();
}

#[test]
fn two_workers_compute_the_same_as_one() {
    let losses = [1, 2].map(|workers| {
        // Without BatchNorm; the learning rate as in TEN_STEPS.
        let query = "engine=cpu&dataset=mnist&model=classic&limit=320&test_limit=32&epochs=1&batch=32&lr=0.0001\
                     &schedule=constant&start=1";
        let mut visit = Visit::new(&format!("{query}&workers={workers}"));
        visit.wait_for_state("finished", LONG_TIMEOUT);
        visit.assert_clean();
        visit.first_losses()
    });
    assert_eq!(losses[0].len(), 10);
    for (one, two) in losses[0].iter().zip(&losses[1]) {
        assert!((one - two).abs() < 1e-3 * one, "{losses:?}");
    }
}

#[test]
fn runs_leave_no_extra_workers() {
    let mut visit = Visit::new(SHARED);
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.page.workers().unwrap().len(), 1);
    for _ in 0..3 {
        visit.page.click("start").unwrap();
        wait_for_both(&mut visit);
        visit.page.click("stop").unwrap();
        visit.wait_for_state("finished", LONG_TIMEOUT);
        let workers = visit.page.workers().unwrap();
        assert_eq!((workers.len(), &workers[1][..]), (2, "peer"), "{workers:?}");
    }
    visit.page.evaluate("document.querySelector(\"[data-testid='engine-choice']\").focus()").unwrap();
    visit.page.fill("engine-choice", "auto").unwrap();
    visit.wait_for_state("ready", LONG_TIMEOUT);
    let workers = visit.page.workers().unwrap();
    assert_eq!(workers.len(), 1, "a new worker starts alone: {workers:?}");
    visit.assert_clean();
}
