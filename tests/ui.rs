//! The page in a real browser, as a person uses it: load, train, pause, draw, read. On both engines.
//!
//! WebGPU runs on a software adapter, where one step takes seconds: its runs are as small as they can be.

#[path = "ui/board.rs"]
mod board;
#[path = "ui/cards.rs"]
mod cards;
#[path = "ui/own.rs"]
mod own;
#[path = "ui/pad.rs"]
mod pad;
#[path = "common/visit.rs"]
mod visit;
#[path = "ui/workers.rs"]
mod workers;

use visit::{PATIENTLY, SOON, Visit};

/// A short run on the CPU engine: ten steps in each of two epochs.
const SHORT: &str = "engine=cpu&dataset=mnist&model=compact&limit=640&test_limit=200&epochs=2&batch=64&seed=3";
/// A run that does not end by itself during a test.
const LONG: &str = "engine=cpu&dataset=mnist&model=compact&epochs=40&batch=64&test_limit=200";
/// An epoch of ten steps. One worker: several would normalise a part of each batch by itself.
const TEN_STEPS: &str =
    "dataset=mnist&model=compact&limit=320&test_limit=32&epochs=1&batch=32&seed=5&workers=1&start=1";
/// The network's own recipe, from the first step on.
const BY_RECIPE: &str = "dataset=mnist&model=compact&seed=5&workers=1&start=1";

/// The length of a curve's path.
fn curve(visit: &mut Visit, chart: &str, of: &str) -> usize {
    let path = format!("document.querySelector(\"[data-testid='{chart}'] .chart-{of}\").getAttribute('d').length");
    usize::try_from(visit.page.evaluate(&path).unwrap().as_u64().unwrap()).unwrap()
}

#[test]
fn a_link_trains_on_the_cpu_and_shows_it() {
    let mut visit = Visit::new(&format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", PATIENTLY);
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
    // Beside the engine's name.
    assert!(visit.page.text("engine-pace").unwrap().ends_with("images/s"));
    visit.assert_clean();
}

#[test]
fn the_same_seed_gives_the_same_losses() {
    let losses = [3, 3, 4].map(|seed| {
        let query = SHORT.replace("seed=3", &format!("seed={seed}")).replace("epochs=2", "epochs=1");
        let mut visit = Visit::new(&format!("{query}&start=1"));
        visit.wait_for_state("finished", PATIENTLY);
        visit.first_losses()
    });
    assert_eq!(losses[0], losses[1]);
    assert_ne!(losses[0], losses[2]);
}

#[test]
fn a_run_is_paused_stepped_resumed_stopped_and_started_again() {
    let mut visit = Visit::new(LONG);
    visit.wait_for_state("ready", PATIENTLY);
    assert_eq!(visit.n_steps(), 0);
    visit.page.click("start").unwrap();
    visit.wait_past_step(2, PATIENTLY);
    command_run(&mut visit);
    // In the middle of the first epoch: it has no line in the log.
    assert!(visit.log("data-epoch").is_empty());

    visit.page.click("start").unwrap();
    visit.wait_for_state("training", SOON);
    let restarted = visit.wait_past_step(0, SOON);
    assert!(restarted < 100, "a new run counts from the start, not from {restarted}");
    visit.page.click("stop").unwrap();
    visit.wait_for_state("finished", SOON);
    visit.assert_clean();
}

/// Pauses a run, steps once, resumes it and stops it, on whatever engine.
fn command_run(visit: &mut Visit) {
    visit.page.click("pause").unwrap();
    visit.wait_for_state("paused", PATIENTLY);
    let held = visit.n_steps();
    // Half a second is four refreshes of the page.
    visit.page.evaluate("new Promise((done) => setTimeout(done, 500))").unwrap();
    assert_eq!(visit.n_steps(), held, "a paused run goes on");

    visit.page.click("step").unwrap();
    assert_eq!(visit.wait_past_step(held, PATIENTLY), held + 1);
    visit.wait_for_state("paused", PATIENTLY);
    assert_eq!(visit.n_steps(), held + 1, "one step is one step");

    visit.page.click("resume").unwrap();
    visit.wait_past_step(held + 1, PATIENTLY);
    assert_eq!(visit.attribute("status", "data-state"), "training");
    visit.page.click("stop").unwrap();
    visit.wait_for_state("finished", PATIENTLY);
}

#[test]
fn a_run_is_judged() {
    let mut visit = Visit::new(&format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", PATIENTLY);
    visit.page.wait_for("document.querySelector(\"[data-testid='test-accuracy']\") && [1]", SOON).unwrap();
    let [low, value, high] = ["data-low", "data-value", "data-high"].map(|name| visit.number("test-accuracy", name));
    assert!(0.0 <= low && low < value && value < high && high <= 1.0, "{low} {value} {high}");
    let counts =
        "[...document.querySelectorAll(\"[data-testid^='confusion-']\")].map((cell) => Number(cell.dataset.count))";
    let counts: Vec<u64> = serde_json::from_value(visit.page.evaluate(counts).unwrap()).unwrap();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (100, 200));
    let right: u64 = (0..10).map(|digit| counts[digit * 11]).sum();
    assert_eq!((value * 200.0).round(), right as f64);

    let pictures = "[...document.querySelectorAll(\"[data-testid='mistake']\")].map((item) => {
        const canvas = item.querySelector('canvas');
        const [, ...seen] = canvas.getAttribute('aria-label').match(/^Test image ([\\d,]+): a (\\d) read as (\\d) with [\\d.]+ %$/);
        const told = seen.map((text) => Number(text.replace(',', '')));
        const ink = canvas.getContext('2d').getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 === 0);
        const { index, label, read } = item.dataset;
        return [told.join() === [index, label, read].join(), ink.reduce((sum, pixel) => sum + pixel, 0)];
    })";
    let pictures: Vec<(bool, u64)> = serde_json::from_value(visit.page.evaluate(pictures).unwrap()).unwrap();
    assert_eq!(pictures.len() as u64, (200 - right).min(25));
    assert!(pictures.iter().all(|(told, ink)| *told && *ink > 1_000), "{pictures:?}");

    visit.page.click("judge").unwrap();
    let judged_again = "document.querySelector(\"[data-testid='test-accuracy']\")?.dataset.value";
    assert_eq!(visit.page.wait_for(judged_again, SOON).unwrap(), value.to_string());
    visit.assert_clean();
}

#[test]
fn every_network_has_its_table_and_trains() {
    for (model, parameters) in [("strided", "336490"), ("leaky", "265258"), ("classic", "1199882")] {
        let query = format!("engine=cpu&dataset=mnist&model={model}&limit=64&test_limit=20&epochs=1&batch=32&start=1");
        let mut visit = Visit::new(&query);
        visit.wait_for_state("finished", PATIENTLY);
        let held = "[...document.querySelectorAll(\"[data-testid='layer-row']\")]
            .reduce((sum, row) => sum + Number(row.dataset.parameters), 0)";
        assert_eq!(visit.page.evaluate(held).unwrap().to_string(), parameters, "{model}");
        assert!(visit.log("data-val-loss")[0].is_finite());
        visit.assert_clean();
    }
}

/// 42.6 million parameters: 680 MB with gradients and Adam's moments, in a tab.
#[test]
fn the_widest_network_takes_twenty_steps() {
    let query = "engine=cpu&dataset=mnist&model=wide&limit=640&test_limit=32&epochs=1&batch=32&start=1";
    let mut visit = Visit::new(query);
    visit.wait_for_state("finished", PATIENTLY);
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
        // The form comes a moment after the page.
        visit.page.wait_for(&format!("{field} && [{field}.value]"), SOON).unwrap()[0].clone()
    };
    let fields = [("dataset", "synthetic"), ("model", "compact"), ("epochs", "7"), ("batch", "50"), ("seed", "99")];
    for (testid, value) in fields.into_iter().chain([("learning-rate", "0.01")]) {
        assert_eq!(shown(&mut visit, testid), value, "{testid}");
    }
    visit.page.fill("epochs", "5").unwrap();
    let address = visit.page.wait_for("location.search.includes('epochs=5') && location.search", SOON).unwrap();
    let address = address.as_str().unwrap().trim_start_matches('?').to_owned();
    for part in query.replace("epochs=7", "epochs=5").split('&').filter(|part| *part != "model=compact") {
        assert!(address.contains(part), "{part} is not in {address}");
    }
    // The link makes the same page elsewhere.
    visit.page.reload().unwrap();
    assert_eq!(shown(&mut visit, "epochs"), "5");
    visit.assert_clean();
}

#[test]
fn a_mistake_in_the_address_is_told_with_a_remedy() {
    let mut visit = Visit::new("engine=cpu&model=compcat&epochs=-3");
    visit.page.wait_for("document.querySelector(\"[data-testid='error']\").innerText", SOON).unwrap();
    let told = visit.page.text("error").unwrap();
    assert!(told.contains("compcat") && told.contains("compact"), "{told}");
    assert!(told.contains("epochs=-3") && told.contains("whole number"), "{told}");
    // The rest works with its defaults.
    visit.wait_for_state("ready", PATIENTLY);
    visit.assert_clean();
}

#[test]
fn without_mnist_it_trains_on_synthetic_digits_and_says_so() {
    let mut visit = Visit::without("data/mnist", &format!("{SHORT}&start=1"));
    visit.wait_for_state("finished", PATIENTLY);
    assert_eq!(visit.attribute("dataset-report", "data-dataset"), "synthetic");
    let told = visit.page.text("dataset-fallback").unwrap();
    assert!(told.contains("MNIST") && told.contains("synthetic"), "{told}");
    assert_eq!(visit.log("data-epoch"), [1.0, 2.0]);
    visit.assert_at_home();
}

#[test]
fn everything_is_reached_by_keyboard() {
    let mut visit = Visit::new(LONG);
    visit.wait_for_state("ready", PATIENTLY);
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
    visit.wait_for_state("training", PATIENTLY);
    visit.wait_past_step(0, PATIENTLY);
    // The button that took its place has the focus.
    visit.page.press("Enter").unwrap();
    visit.wait_for_state("paused", SOON);
}

#[test]
fn an_epoch_ends_on_both_engines() {
    for engine in ["cpu", "webgpu"] {
        let mut visit = Visit::new(&format!("engine={engine}&{TEN_STEPS}"));
        visit.wait_for_state("finished", PATIENTLY);
        assert_eq!(visit.attribute("engine", "data-engine"), engine);
        assert_eq!(visit.log("data-epoch"), [1.0]);
        assert!(visit.log("data-val-loss")[0].is_finite());
        assert!(curve(&mut visit, "chart-loss", "training") > 10);
        visit.assert_clean();
    }
}

/// Adam's first steps go by the sign of each gradient, so rounding grows: at 1.3e-5 after these ten steps.
#[test]
fn both_engines_learn_alike() {
    let [cpu, webgpu] = ["cpu", "webgpu"].map(|engine| {
        let mut visit = Visit::new(&format!("engine={engine}&{BY_RECIPE}"));
        visit.wait_past_step(10, PATIENTLY);
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
fn webgpu_is_commanded_and_reads_the_pad() {
    let query = "engine=webgpu&dataset=mnist&model=compact&epochs=9&batch=8&limit=800&test_limit=8";
    let mut visit = Visit::new(query);
    visit.wait_for_state("ready", PATIENTLY);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    pad::draw(&mut visit);
    visit.wait_for_reading(PATIENTLY);
    assert!((visit.sum_of_probabilities() - 1.0).abs() < 1e-3);
    visit.page.click("start").unwrap();
    visit.wait_past_step(0, PATIENTLY);
    command_run(&mut visit);
    visit.assert_clean();
}

/// The button fills the settings, and what it promised is told as it came out.
#[test]
fn a_sprint_reaches_its_goal() {
    let mut visit = Visit::new("engine=cpu&model=classic&epochs=9");
    visit.wait_for_state("ready", PATIENTLY);
    let label = visit.page.text("sprint").unwrap();
    assert!(label.starts_with("99 % in about ") && label.ends_with(" s"), "{label}");
    visit.page.click("sprint").unwrap();
    visit.wait_for_state("finished", PATIENTLY);
    let address = visit.page.evaluate("location.search").unwrap();
    assert!(address.as_str().unwrap().contains("model=sprint&split=published&epochs=1"), "{address}");
    let told = visit.page.text("sprint-result").unwrap();
    let (reached, rest) = told.split_once(" % in ").unwrap();
    assert!(reached.parse::<f64>().unwrap() >= 99.0 && rest.ends_with(" s on this device."), "{told}");
    visit.assert_clean();
}

/// The card is measured, shown, copied or offered to be, and drawn.
#[test]
fn the_speed_of_the_device_is_measured() {
    let mut visit = Visit::new("engine=cpu");
    visit.wait_for_state("ready", PATIENTLY);
    visit.page.wait_for("document.querySelector(\"[data-testid='speed-card']\") && [1]", SOON).unwrap();
    visit.page.click("speed-card").unwrap();
    visit.page.click("measure").unwrap();
    let over = "document.querySelector(\"[data-testid='speed-result']\")?.dataset.over === 'true'";
    visit.page.wait_for(over, PATIENTLY).unwrap();
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
        let told = format!("{done}.test(document.querySelector(\"[data-testid='speed-told']\").innerText)");
        visit.page.wait_for(&told, SOON).unwrap();
    }
    visit.assert_clean();
}
