//! Browsers and graphics cards that are not as one would wish.

use std::time::Instant;

use super::pad;
use super::visit::{PATIENTLY, SOON, Visit};

/// Ten steps on whatever engine there is.
const RUN: &str = "dataset=mnist&model=compact&limit=320&test_limit=32&epochs=1&batch=32&seed=5&start=1";

/// A browser whose adapters lack `timestamp-query`, as Firefox's do, and whose devices refuse to have it.
const NO_TIMESTAMPS: &str = "
    const features = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'features').get;
    Object.defineProperty(GPUAdapter.prototype, 'features', { get() {
        return new Set([...features.call(this)].filter((name) => name !== 'timestamp-query'));
    } });
    const ask = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = function (descriptor) {
        if ([...(descriptor?.requiredFeatures ?? [])].includes('timestamp-query')) {
            return Promise.reject(new TypeError('timestamp-query is not supported'));
        }
        return ask.call(this, descriptor);
    };";

/// An adapter that passes for hardware.
const HARDWARE: &str = "
    Object.defineProperty(GPUAdapter.prototype, 'info', { get() {
        return { vendor: 'acme', architecture: 'one', description: '', isFallbackAdapter: false };
    } });";

/// A hardware adapter that opens no device: the method gets this body.
fn broken_device(body: &str) -> String {
    format!("{HARDWARE} GPUAdapter.prototype.requestDevice = function () {{ {body} }};")
}

fn broken_adapter(body: &str) -> String {
    format!("GPU.prototype.requestAdapter = function () {{ {body} }};")
}

#[test]
fn a_browser_without_timestamps_trains_on_webgpu() {
    let mut visit = Visit::with_script(NO_TIMESTAMPS, &format!("engine=webgpu&{RUN}"));
    visit.wait_for_state("finished", PATIENTLY);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    visit.assert_clean();
}

#[test]
fn an_adapter_or_a_device_that_cannot_be_had_leaves_the_cpu_and_says_why() {
    let never = "return new Promise(() => {});";
    let cases = [
        (broken_adapter(never), "did not answer within 3 s"),
        (broken_adapter("throw new Error('no luck');"), "no luck"),
        (broken_adapter("return Promise.resolve(null);"), "has no WebGPU adapter"),
        (broken_device(never), "did not answer within 3 s"),
        (broken_device("throw new Error('no luck');"), "no luck"),
        (broken_device("return Promise.resolve(null);"), "has no WebGPU device"),
    ];
    for (script, why) in cases {
        let began = Instant::now();
        let mut visit = Visit::with_script(&script, &format!("engine=auto&{RUN}"));
        visit.wait_for_pad();
        pad::draw(&mut visit);
        visit.wait_for_reading(SOON);
        visit.wait_for_state("finished", SOON);
        assert!(began.elapsed() < SOON, "{why}: the CPU was not ready in time");
        assert_eq!(visit.attribute("engine", "data-engine"), "cpu", "{why}");
        let told = visit.page.text("engine").unwrap();
        let told = format!("{told} {}", visit.page.evaluate("document.body.innerText").unwrap());
        assert!(told.contains(why), "{why} is not told");
        visit.assert_clean();
    }
}

/// Asked for by name, a card that cannot be had is a failure, with a remedy.
#[test]
fn webgpu_that_cannot_be_had_is_told() {
    let script = broken_adapter("throw new Error('no luck');");
    let mut visit = Visit::with_script(&script, "engine=webgpu");
    visit.wait_for_state("failed", PATIENTLY);
    let told = visit.page.text("error").unwrap();
    assert!(told.contains("no luck") && told.contains("Choose the engine \"cpu\""), "{told}");
}

/// A card that leaves the last workgroup of everything out.
const LEAVES_OUT: &str = "
    const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
    GPUComputePassEncoder.prototype.dispatchWorkgroups = function (x, y, z) {
        return dispatch.call(this, x > 1 ? x - 1 : x, y, z);
    };";

#[test]
fn a_card_that_computes_wrongly_is_refused_and_used_all_the_same_when_told_so() {
    let mut visit = Visit::with_script(LEAVES_OUT, "engine=webgpu&model=compact&dataset=mnist");
    visit.wait_for_state("failed", PATIENTLY);
    let told = visit.page.text("error").unwrap();
    assert!(told.contains("failed its self-test of compact") && told.contains("conv2d_1"), "{told}");
    visit.page.click("use-untested").unwrap();
    visit.wait_for_state("ready", PATIENTLY);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
}

/// Nobody asked for this card: the CPU trains, and the page says why.
#[test]
fn auto_passes_over_a_card_that_computes_wrongly() {
    let mut visit = Visit::with_script(&format!("{HARDWARE}{LEAVES_OUT}"), &format!("engine=auto&{RUN}"));
    visit.wait_for_state("finished", PATIENTLY);
    assert_eq!(visit.attribute("engine", "data-engine"), "cpu");
    let told = visit.page.text("engine-note").unwrap();
    assert!(told.contains("failed its self-test of compact") && told.contains("conv2d_1"), "{told}");
    visit.assert_clean();
}

/// A card that passes is taken, and the pad is read before it is open.
#[test]
fn auto_takes_a_card_and_reads_before_it_is_open() {
    let mut visit = Visit::with_script(HARDWARE, "engine=auto&dataset=mnist&model=compact");
    visit.wait_for_pad();
    pad::draw(&mut visit);
    visit.wait_for_reading(SOON);
    assert_eq!(visit.attribute("engine", "data-engine"), "", "the card is not open yet");
    visit.wait_for_state("ready", PATIENTLY);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    visit.assert_clean();
}

/// Three epochs of thirty steps on a software adapter.
const LONGER: &str = "dataset=mnist&model=compact&limit=960&test_limit=64&epochs=3&batch=32&seed=5&start=1";

#[test]
fn a_card_lost_in_mid_run_is_told_and_the_run_goes_on() {
    let mut visit = Visit::new(&format!("engine=webgpu&{LONGER}"));
    visit.wait_past_step(3, PATIENTLY);
    let losses = visit.first_losses();
    visit.crash_gpu();
    visit.page.wait_for("document.body.innerText.includes('The graphics card was lost')", SOON).unwrap();
    // The pad reads while there is no card.
    pad::draw(&mut visit);
    visit.wait_for_reading(SOON);
    visit.wait_for_state("finished", PATIENTLY);
    let told = visit.page.text("error").unwrap();
    assert!(told.contains("The run went on from step"), "{told}");
    assert!(!told.contains("panicked") && !told.contains("Caused by"), "{told}");
    let verdict = visit.page.text("status").unwrap();
    assert!(verdict.contains("after the graphics card was lost and the run went on"), "{verdict}");
    assert_eq!(visit.log("data-epoch"), [1.0, 2.0, 3.0]);
    assert_eq!(visit.n_steps(), 90);
    let again = visit.first_losses();
    assert_eq!(losses[..2], again[..2], "the same run");
}

/// A card that is lost while nothing is trained costs nothing.
#[test]
fn a_card_lost_while_idle_is_opened_again() {
    let mut visit = Visit::new("engine=webgpu&model=compact&dataset=mnist");
    visit.wait_for_state("ready", PATIENTLY);
    visit.crash_gpu();
    pad::draw(&mut visit);
    visit.wait_for_reading(SOON);
    visit.wait_for_state("ready", PATIENTLY);
}
