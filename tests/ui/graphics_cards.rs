//! Browser tests with WebGPU that is missing, faulty or lost.

use std::time::Instant;

use super::pad;
use super::visit::{LONG_TIMEOUT, SHORT_TIMEOUT, Visit};

/// Ten steps on any engine.
const RUN: &str = "dataset=mnist&model=compact&limit=320&test_limit=32&epochs=1&batch=32&seed=5&start=1";

/// A browser whose adapters lack `timestamp-query`, as Firefox's do, and whose devices reject it.
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

/// An adapter that claims to be hardware.
const HARDWARE: &str = "
    Object.defineProperty(GPUAdapter.prototype, 'info', { get() {
        return { vendor: 'acme', architecture: 'one', description: '', isFallbackAdapter: false };
    } });";

/// A hardware adapter that opens no device: `body` replaces its `requestDevice`.
fn broken_device(body: &str) -> String {
    format!("{HARDWARE} GPUAdapter.prototype.requestDevice = function () {{ {body} }};")
}

/// A browser that returns no adapter: `body` replaces its `requestAdapter`.
fn broken_adapter(body: &str) -> String {
    format!("GPU.prototype.requestAdapter = function () {{ {body} }};")
}

#[test]
fn a_browser_without_timestamps_trains_on_webgpu() {
    let mut visit = Visit::with_script(NO_TIMESTAMPS, &format!("engine=webgpu&{RUN}"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    visit.assert_clean();
}

#[test]
fn without_an_adapter_or_a_device_the_cpu_is_used_with_a_reason() {
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
        visit.wait_for_reading(SHORT_TIMEOUT);
        visit.wait_for_state("finished", SHORT_TIMEOUT);
        assert!(began.elapsed() < SHORT_TIMEOUT, "{why}: the CPU was not ready in time");
        assert_eq!(visit.attribute("engine", "data-engine"), "cpu", "{why}");
        let engine = visit.page.text("engine").unwrap();
        let text = format!("{engine} {}", visit.page.evaluate("document.body.innerText").unwrap());
        assert!(text.contains(why), "the page does not say: {why}");
        // Reasons are sentences: neither a debug chain nor a stack trace.
        assert!(!text.contains("JsValue") && !text.contains("wasm"), "{text}");
        visit.assert_clean();
    }
}

/// An unavailable card that the user chose by name is a failure, with a remedy.
#[test]
fn unavailable_webgpu_is_reported() {
    let script = broken_adapter("throw new Error('no luck');");
    let mut visit = Visit::with_script(&script, "engine=webgpu");
    visit.wait_for_state("failed", LONG_TIMEOUT);
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("no luck") && message.contains("Choose the engine \"cpu\""), "{message}");
}

/// A card that skips the last workgroup of every dispatch.
const SKIPS_LAST_WORKGROUP: &str = "
    const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
    GPUComputePassEncoder.prototype.dispatchWorkgroups = function (x, y, z) {
        return dispatch.call(this, x > 1 ? x - 1 : x, y, z);
    };";

#[test]
fn a_card_that_computes_wrongly_is_rejected_until_the_user_accepts_it() {
    let mut visit = Visit::with_script(SKIPS_LAST_WORKGROUP, "engine=webgpu&model=compact&dataset=mnist");
    visit.wait_for_state("failed", LONG_TIMEOUT);
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("failed its self-test of compact") && message.contains("conv2d_1"), "{message}");
    visit.page.click("use-untested").unwrap();
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
}

/// The user did not choose this card by name, so the CPU trains, and the page says why.
#[test]
fn auto_rejects_a_card_that_computes_wrongly() {
    let mut visit = Visit::with_script(&format!("{HARDWARE}{SKIPS_LAST_WORKGROUP}"), &format!("engine=auto&{RUN}"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "cpu");
    let message = visit.page.text("engine-note").unwrap();
    assert!(message.contains("failed its self-test of compact") && message.contains("conv2d_1"), "{message}");
    visit.assert_clean();
}

/// A card that passes its self-test is used. Before it is open, the drawing is predicted on the CPU.
#[test]
fn auto_uses_a_card_and_predicts_before_it_is_open() {
    let mut visit = Visit::with_script(HARDWARE, "engine=auto&dataset=mnist&model=compact");
    visit.wait_for_pad();
    pad::draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "", "the card is not open yet");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
    visit.assert_clean();
}

/// Three epochs of thirty steps on a software adapter.
const LONGER: &str = "dataset=mnist&model=compact&limit=960&test_limit=64&epochs=3&batch=32&seed=5&start=1";

#[test]
fn a_run_resumes_after_its_card_was_lost() {
    let mut visit = Visit::new(&format!("engine=webgpu&{LONGER}"));
    visit.wait_past_step(3, LONG_TIMEOUT);
    let losses = visit.first_losses();
    visit.crash_gpu();
    visit.page.wait_for("document.body.innerText.includes('The graphics card was lost')", SHORT_TIMEOUT).unwrap();
    // The drawing is predicted while there is no card.
    pad::draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    visit.wait_for_state("finished", LONG_TIMEOUT);
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("The run resumed from step"), "{message}");
    assert!(!message.contains("panicked") && !message.contains("Caused by"), "{message}");
    let status = visit.page.text("status").unwrap();
    assert!(status.contains("after the graphics card was lost and the run resumed"), "{status}");
    assert_eq!(visit.log("data-epoch"), [1.0, 2.0, 3.0]);
    assert_eq!(visit.n_steps(), 90);
    let again = visit.first_losses();
    assert_eq!(losses[..2], again[..2], "the same run");
}

/// The loss of a card while no run is in progress has no consequences.
#[test]
fn a_card_lost_while_idle_is_opened_again() {
    let mut visit = Visit::new("engine=webgpu&model=compact&dataset=mnist");
    visit.wait_for_state("ready", LONG_TIMEOUT);
    visit.crash_gpu();
    pad::draw(&mut visit);
    visit.wait_for_reading(SHORT_TIMEOUT);
    visit.wait_for_state("ready", LONG_TIMEOUT);
}

/// Opens a run on a graphics card and loses the card in the middle of it.
fn lose_card() -> Visit {
    let mut visit = Visit::new(&format!("engine=webgpu&{LONGER}"));
    visit.wait_past_step(3, LONG_TIMEOUT);
    visit.crash_gpu();
    visit.page.wait_for("document.body.innerText.includes('The graphics card was lost')", SHORT_TIMEOUT).unwrap();
    visit
}

#[test]
fn a_run_can_be_stopped_while_its_card_is_opened_again() {
    let mut visit = lose_card();
    visit.page.click("stop").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    let message = visit.page.text("error").unwrap();
    assert!(message.contains("The run was stopped"), "{message}");
    assert!(visit.n_steps() < 90, "the run did not end");
}

#[test]
fn a_run_resumes_on_the_engine_that_is_chosen_after_its_card_was_lost() {
    let mut visit = lose_card();
    visit.page.fill("engine-choice", "cpu").unwrap();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "cpu");
    assert_eq!(visit.n_steps(), 90);
    let status = visit.page.text("status").unwrap();
    assert!(status.contains("after the graphics card was lost"), "{status}");
}

#[test]
fn a_card_lost_while_its_shaders_compile_is_opened_again() {
    let mut visit = Visit::new(&format!("engine=webgpu&{RUN}"));
    let compiling = "/Shader \\d+ of/.test(document.body.innerText)";
    visit.page.wait_for(compiling, LONG_TIMEOUT).unwrap();
    visit.crash_gpu();
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "webgpu");
}

/// A worker whose program never arrives says nothing, not even that it failed.
#[test]
fn a_program_for_cards_that_does_not_load_leaves_the_cpu() {
    let silent = "
        if (globalThis.document) {
            const Native = Worker;
            globalThis.Worker = class extends Native {
                constructor(url, options) { super(String(url).includes('gpu') ? 'data:text/javascript,' : url, options); }
            };
        }";
    let mut visit = Visit::with_script(&format!("{HARDWARE} {silent}"), &format!("engine=auto&{RUN}"));
    visit.wait_for_state("finished", LONG_TIMEOUT);
    assert_eq!(visit.attribute("engine", "data-engine"), "cpu");
    let text = visit.page.evaluate("document.body.innerText").unwrap();
    assert!(text.as_str().unwrap().contains("could not be loaded"), "the reason is not shown");
}
