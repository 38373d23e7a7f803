//! Browser tests of the page, used as a person does: load, train, pause, draw, predict. On both engines.
//!
//! WebGPU runs on a software adapter, where one step takes seconds, so its runs are as small as possible.

#[path = "ui/board.rs"]
mod board;
#[path = "ui/evaluation.rs"]
mod evaluation;
#[path = "ui/graphics_cards.rs"]
mod graphics_cards;
#[path = "ui/pad.rs"]
mod pad;
#[path = "ui/user_files.rs"]
mod user_files;
#[path = "common/visit.rs"]
mod visit;
#[path = "ui/workers.rs"]
mod workers;

use visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// A short run on the CPU engine: ten steps in each of two epochs.
const SHORT: &str = "engine=cpu&dataset=mnist&model=compact&limit=640&test_limit=200&epochs=2&batch=64&seed=3";
/// A run that does not end during a test.
const LONG: &str = "engine=cpu&dataset=mnist&model=compact&epochs=40&batch=64&test_limit=200";
/// An epoch of ten steps. One worker, because several would normalise their shards of a batch separately.
const TEN_STEPS: &str =
    "dataset=mnist&model=compact&limit=320&test_limit=32&epochs=1&batch=32&seed=5&workers=1&start=1";
/// The network's own recipe.
const BY_RECIPE: &str = "dataset=mnist&model=compact&seed=5&workers=1&start=1";

/// The length of a curve's path.
fn curve(visit: &mut Visit, chart: &str, of: &str) -> usize {
    let path = format!("document.querySelector(\"[data-testid='{chart}'] .chart-{of}\").getAttribute('d').length");
    usize::try_from(visit.page.evaluate(&path).unwrap().as_u64().unwrap()).unwrap()
}

#[test]
fn a_link_trains_on_the_cpu_and_shows_it() {
    let mut visit = Visit::new(&format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "cpu");
    assert_eq!(visit.attribute("dataset-report", "data-dataset"), "mnist");
    assert_eq!(visit.log("data-epoch"), [1.0, 2.0]);
    for figure in ["data-loss", "data-accuracy", "data-val-loss", "data-val-accuracy"] {
        let values = visit.log(figure);
        assert!(values.iter().all(|value| value.is_finite() && *value >= 0.0), "{figure}: {values:?}");
    }
    let losses = visit.log("data-loss");
    assert!(losses[1] < losses[0], "the loss does not fall: {losses:?}");
    for chart in ["chart-loss", "chart-accuracy"] {
        for of in ["training", "validation"] {
            assert!(curve(&mut visit, chart, of) > 10, "{chart} has no {of} curve");
        }
    }
    assert_eq!(visit.first_losses().len(), 10);
    assert!(visit.number("throughput", "data-images-per-second") > 10.0);
    // The training speed beside the engine's name.
    assert!(visit.page.text("engine-pace").unwrap().ends_with("images/s"));
    visit.assert_clean();
}

#[test]
fn the_same_seed_gives_the_same_losses() {
    let losses = [3, 3, 4].map(|seed| {
        let query = SHORT.replace("seed=3", &format!("seed={seed}")).replace("epochs=2", "epochs=1");
        let mut visit = Visit::new(&format!("{query}&start=1"));
        visit.wait_for_state("finished", LONG_TIMEOUT);
        visit.first_losses()
    });
    assert_eq!(losses[0], losses[1]);
    assert_ne!(losses[0], losses[2]);
}

#[test]
fn a_run_is_paused_stepped_resumed_stopped_and_started_again() {
    let mut visit = Visit::new(LONG);
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.n_steps(), 0);
    visit.page.click("start").unwrap();
    visit.wait_past_step(2, LONG_TIMEOUT);
    control_run(&mut visit);
    // Stopped in the middle of the first epoch, so the log has no row.
    assert!(visit.log("data-epoch").is_empty());

    visit.page.click("start").unwrap();
    visit.wait_for_state("training", SHORT_TIMEOUT);
    let restarted = visit.wait_past_step(0, SHORT_TIMEOUT);
    assert!(restarted < 100, "a new run counts from the start, not from {restarted}");
    visit.page.click("stop").unwrap();
    visit.wait_for_state("finished", SHORT_TIMEOUT);
    visit.assert_clean();
}

/// Pauses a run, takes one step, resumes it and stops it, on either engine.
fn control_run(visit: &mut Visit) {
    visit.page.click("pause").unwrap();
    visit.wait_for_state("paused", LONG_TIMEOUT);
    let paused_at = visit.n_steps();
    // Long enough for several refreshes of the page, which come every 100 ms.
    visit.page.evaluate("new Promise((done) => setTimeout(done, 500))").unwrap();
    assert_eq!(visit.n_steps(), paused_at, "a paused run takes no steps");

    visit.page.click("step").unwrap();
    assert_eq!(visit.wait_past_step(paused_at, LONG_TIMEOUT), paused_at + 1);
    visit.wait_for_state("paused", LONG_TIMEOUT);
    assert_eq!(visit.n_steps(), paused_at + 1, "a single step is one step");

    visit.page.click("resume").unwrap();
    visit.wait_past_step(paused_at + 1, LONG_TIMEOUT);
    assert_eq!(visit.attribute("status", "data-state"), "training");
    visit.page.click("stop").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
}

#[test]
fn a_run_is_evaluated() {
    let mut visit = Visit::new(&format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='test-accuracy']\") && [1]", SHORT_TIMEOUT).unwrap();
    let [low, value, high] = ["data-low", "data-value", "data-high"].map(|name| visit.number("test-accuracy", name));
    assert!(0.0 <= low && low < value && value < high && high <= 1.0, "{low} {value} {high}");
    let counts =
        "[...document.querySelectorAll(\"[data-testid^='confusion-']\")].map((cell) => Number(cell.dataset.count))";
    let counts: Vec<u64> = serde_json::from_value(visit.page.evaluate(counts).unwrap()).unwrap();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (100, 200));
    let n_correct: u64 = (0..10).map(|digit| counts[digit * 11]).sum();
    assert_eq!((value * 200.0).round(), n_correct as f64);

    let misclassified_images = "[...document.querySelectorAll(\"[data-testid='mistake']\")].map((item) => {
        const canvas = item.querySelector('canvas');
        const [, ...seen] = canvas.getAttribute('aria-label').match(/^Test image ([\\d,]+): a (\\d) read as (\\d), [\\d.]+ % sure$/);
        const described = seen.map((text) => Number(text.replace(',', '')));
        const ink = canvas.getContext('2d').getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0);
        const { index, label, read } = item.dataset;
        return [described.join() === [index, label, read].join(), ink.reduce((sum, pixel) => sum + pixel, 0)];
    })";
    let misclassified_images: Vec<(bool, u64)> =
        serde_json::from_value(visit.page.evaluate(misclassified_images).unwrap()).unwrap();
    assert_eq!(misclassified_images.len() as u64, (200 - n_correct).min(25));
    assert!(misclassified_images.iter().all(|(matches, ink)| *matches && *ink > 1_000), "{misclassified_images:?}");

    visit.page.click("judge").unwrap();
    let accuracy_again = "document.querySelector(\"[data-testid='test-accuracy']\")?.dataset.value";
    assert_eq!(visit.page.wait_for(accuracy_again, SHORT_TIMEOUT).unwrap(), value.to_string());
    visit.assert_clean();
}

#[test]
fn every_network_has_its_table_and_trains() {
    for (model, parameters) in [("strided", "336490"), ("leaky", "265258"), ("classic", "1199882")] {
        let query = format!("engine=cpu&dataset=mnist&model={model}&limit=64&test_limit=20&epochs=1&batch=32&start=1");
        let mut visit = Visit::new(&query);
        visit.wait_for_state("finished", LONG_TIMEOUT);
        let n_parameters = "[...document.querySelectorAll(\"[data-testid='layer-row']\")]
            .reduce((sum, row) => sum + Number(row.dataset.parameters), 0)";
        assert_eq!(visit.page.evaluate(n_parameters).unwrap().to_string(), parameters, "{model}");
        assert!(visit.log("data-val-loss")[0].is_finite());
        visit.assert_clean();
    }
}

/// 42.6 million parameters: 680 MB with gradients and Adam's moments, in a browser tab.
#[test]
fn the_widest_network_takes_twenty_steps() {
    let query = "engine=cpu&dataset=mnist&model=wide&limit=640&test_limit=32&epochs=1&batch=32&start=1";
    let mut visit = Visit::new(query);
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.n_steps(), 20);
    assert!(visit.first_losses().iter().all(|loss| loss.is_finite()));
    visit.assert_clean();
}

#[test]
fn the_address_fills_the_form_and_follows_it() {
    let query =
        "engine=cpu&dataset=synthetic&model=compact&epochs=7&batch=50&lr=0.01&seed=99&limit=1000&test_limit=300";
    let mut visit = Visit::new(query);
    let shown = |visit: &mut Visit, testid: &str| {
        let field = format!("document.querySelector(\"[data-testid='{testid}']\")");
        // The form is rendered a moment after the page.
        visit.page.wait_for(&format!("{field} && [{field}.value]"), SHORT_TIMEOUT).unwrap()[0].clone()
    };
    let fields = [("dataset", "synthetic"), ("model", "compact"), ("epochs", "7"), ("batch", "50"), ("seed", "99")];
    for (testid, value) in fields.into_iter().chain([("learning-rate", "0.01")]) {
        assert_eq!(shown(&mut visit, testid), value, "{testid}");
    }
    visit.page.fill("epochs", "5").unwrap();
    let address =
        visit.page.wait_for("location.search.includes('epochs=5') && location.search", SHORT_TIMEOUT).unwrap();
    let address = address.as_str().unwrap().trim_start_matches('?').to_owned();
    for part in query.replace("epochs=7", "epochs=5").split('&').filter(|part| *part != "model=compact") {
        assert!(address.contains(part), "{part} is not in {address}");
    }
    // The address restores the same settings after a reload.
    visit.page.reload().unwrap();
    assert_eq!(shown(&mut visit, "epochs"), "5");
    visit.assert_clean();
}

#[test]
fn an_invalid_address_is_reported_with_a_remedy() {
    let mut visit = Visit::new("engine=cpu&model=compcat&epochs=-3");
    visit.page.wait_for("document.querySelector(\"[data-testid='error']\").innerText", SHORT_TIMEOUT).unwrap();
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("compcat") && message.contains("compact"), "{message}");
    assert!(message.contains("epochs=-3") && message.contains("whole number"), "{message}");
    // The other settings apply, and the invalid ones have their defaults.
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.assert_clean();
}

#[test]
fn without_mnist_it_trains_on_synthetic_digits_with_a_notice() {
    let mut visit = Visit::without("data/mnist", &format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("dataset-report", "data-dataset"), "synthetic");
    let notice = visit.page.text("dataset-fallback").unwrap();
    assert!(notice.contains("MNIST") && notice.contains("synthetic"), "{notice}");
    assert_eq!(visit.log("data-epoch"), [1.0, 2.0]);
    visit.assert_at_home();
}

#[test]
fn everything_is_reached_by_keyboard() {
    let mut visit = Visit::new(LONG);
    visit.wait_for_state("ready", LONG_TIMEOUT);
    let mut reached = Vec::new();
    for _ in 0..30 {
        visit.page.press("Tab").unwrap();
        let focused = visit.page.evaluate("document.activeElement?.dataset.testid ?? ''").unwrap();
        reached.push(focused.as_str().unwrap().to_owned());
    }
    for testid in ["start", "model", "dataset", "epochs", "batch", "learning-rate", "seed", "draw-pad"] {
        assert!(reached.iter().any(|name| name == testid), "{testid} is not reached: {reached:?}");
    }
    visit.page.evaluate("document.querySelector(\"[data-testid='start']\").focus()").unwrap();
    visit.page.press("Enter").unwrap();
    visit.wait_for_state("training", LONG_TIMEOUT);
    visit.wait_past_step(0, LONG_TIMEOUT);
    // The button that replaced it has the focus.
    visit.page.press("Enter").unwrap();
    visit.wait_for_state("paused", SHORT_TIMEOUT);
}

#[test]
fn an_epoch_ends_on_both_engines() {
    for engine in ["cpu", "webgpu"] {
        let mut visit = Visit::new(&format!("engine={engine}&{TEN_STEPS}"));
        visit.wait_for_state("finished", LONG_TIMEOUT);
        assert_eq!(visit.attribute("engine", "data-engine"), engine);
        assert_eq!(visit.log("data-epoch"), [1.0]);
        assert!(visit.log("data-val-loss")[0].is_finite());
        assert!(curve(&mut visit, "chart-loss", "training") > 10);
        visit.assert_clean();
    }
}

/// Adam's first steps depend on the sign of each gradient, which amplifies rounding: 1.3e-5 after these ten steps.
#[test]
fn both_engines_learn_alike() {
    let [cpu, webgpu] = ["cpu", "webgpu"].map(|engine| {
        let mut visit = Visit::new(&format!("engine={engine}&{BY_RECIPE}"));
        visit.wait_past_step(10, LONG_TIMEOUT);
        visit.assert_clean();
        visit.first_losses()
    });
    assert_eq!((cpu.len(), webgpu.len()), (10, 10));
    for (step, (cpu, webgpu)) in cpu.iter().zip(&webgpu).enumerate() {
        let apart = (cpu - webgpu).abs() / cpu.abs();
        assert!(apart < 1e-3, "step {}: {cpu} on the CPU, {webgpu} on WebGPU, {apart:.1e} apart", step + 1);
    }
}

#[test]
fn webgpu_is_controlled_and_predicts_the_drawing() {
    let query = "engine=webgpu&dataset=mnist&model=compact&epochs=9&batch=8&limit=800&test_limit=8";
    let mut visit = Visit::new(query);
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    pad::draw(&mut visit);
    visit.wait_for_reading(LONG_TIMEOUT);
    assert!((visit.sum_of_probabilities() - 1.0).abs() < 1e-3);
    visit.page.click("start").unwrap();
    visit.wait_past_step(0, LONG_TIMEOUT);
    control_run(&mut visit);
    visit.assert_clean();
}

/// The button sets the sprint's settings, and the result states what was reached.
#[test]
fn a_sprint_reaches_its_goal() {
    let mut visit = Visit::new("engine=cpu&model=classic&epochs=9");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    let label = visit.page.text("sprint").unwrap();
    assert!(label.starts_with("99 % in about ") && label.ends_with(" s"), "{label}");
    visit.page.click("sprint").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    let address = visit.page.evaluate("location.search").unwrap();
    assert!(address.as_str().unwrap().contains("model=sprint&split=published&epochs=1"), "{address}");
    let result = visit.page.text("sprint-result").unwrap();
    let (reached, rest) = result.split_once(" % in ").unwrap();
    assert!(reached.parse::<f64>().unwrap() >= 99.0 && rest.ends_with(" s on this device."), "{result}");
    visit.assert_clean();
}

/// The speed report is measured, shown, offers it for copying, and saves its picture.
#[test]
fn the_speed_of_the_device_is_measured() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.page.wait_for("document.querySelector(\"[data-testid='speed-card']\") && [1]", SHORT_TIMEOUT).unwrap();
    visit.page.click("speed-card").unwrap();
    visit.page.click("measure").unwrap();
    let over = "document.querySelector(\"[data-testid='speed-result']\")?.dataset.over === 'true'";
    visit.page.wait_for(over, LONG_TIMEOUT).unwrap();
    let rows = "[...document.querySelectorAll(\"[data-testid='speed-row']\")]
        .map((row) => [row.dataset.model, Number(row.dataset.imagesPerSecond)])";
    let rows: Vec<(String, f64)> = serde_json::from_value(visit.page.evaluate(rows).unwrap()).unwrap();
    assert_eq!(rows[0].0, "compact");
    assert!(rows.iter().all(|(_, pace)| *pace > 1.0), "{rows:?}");
    assert_eq!(visit.attribute("status", "data-state"), "ready");
    let card = visit.page.text("speed-result").unwrap();
    assert!(card.contains("CPU") && card.contains("Chrome"), "{card}");
    for (button, done) in [("copy-speed", "/Copied|copy it here/"), ("save-speed", "/Saved/")] {
        visit.page.click(button).unwrap();
        let is_done = format!("{done}.test(document.querySelector(\"[data-testid='speed-told']\").innerText)");
        visit.page.wait_for(&is_done, SHORT_TIMEOUT).unwrap();
    }
    visit.assert_clean();
}

/// The page's views need an element of `index.html`; without it the page panics at its start.
#[test]
fn a_panic_of_the_page_is_shown_on_the_page() {
    let script =
        "globalThis.document?.addEventListener('DOMContentLoaded', () => document.getElementById('inkling')?.remove())";
    let mut visit = Visit::with_script(script, "engine=cpu");
    visit.page.wait_for("document.querySelector(\"[data-testid='error']\") && [1]", LONG_TIMEOUT).unwrap();
    let notice = visit.page.text("error").unwrap();
    assert!(notice.starts_with("This page has stopped working: ") && notice.contains("Reload it"), "{notice}");
}
