//! A tab: navigation, scripts, waiting for conditions, emulated devices, screenshots, and records of its requests and
//! errors. It never knows which page is open.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::cdp::{CALL_LIMIT, Cdp};
use super::event_log;

/// A script that runs in every document before its own scripts and records long tasks (over 50 ms) of the main thread.
const RECORD_LONG_TASKS: &str = "globalThis.__longTasks = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) globalThis.__longTasks.push(entry.duration);
    }).observe({ type: 'longtask', buffered: true });";

/// An expression that waits inside the page for `CONDITION`, at most `LIMIT` ms. It tests the condition at every change
/// of the document, and every 50 ms because a condition may depend on more than the document.
const WAIT: &str = "new Promise((done) => {
        let value = null, trouble = null;
        const holds = () => {
            try { value = (CONDITION); trouble = null; } catch (error) { value = null; trouble = String(error); }
            return Boolean(value);
        };
        const finish = () => {
            observer.disconnect(); clearInterval(again); clearTimeout(late);
            done({ held: Boolean(value), value: value instanceof Node ? true : value, trouble });
        };
        const look = () => { if (holds()) finish(); };
        const observer = new MutationObserver(look);
        const again = setInterval(look, 50);
        const late = setTimeout(() => { holds(); finish(); }, LIMIT);
        observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        look();
    })";

/// The size of the window and the kind of device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// Width in CSS pixels.
    pub width: u32,
    /// Height in CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel.
    pub scale: f64,
    /// Emulate a phone: touch input, and the page's viewport meta tag applies.
    pub mobile: bool,
}

/// A tab. It closes with the browser.
pub struct Page {
    /// The connection to the tab and its workers.
    pub(super) cdp: Cdp,
}

impl Page {
    /// Enables the protocol's events for a new tab.
    pub(super) fn attach(mut cdp: Cdp) -> Result<Self> {
        for domain in ["Page", "Runtime", "Network", "Log", "Inspector"] {
            cdp.call(&format!("{domain}.enable"), json!({}))?;
        }
        let workers = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        cdp.call("Target.setAutoAttach", workers)?;
        cdp.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": RECORD_LONG_TASKS }))?;
        cdp.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))?;
        Ok(Self { cdp })
    }

    /// Navigates to an address and waits for the document's `load` event.
    ///
    /// # Errors
    /// When the address cannot be reached, or does not load within 60 s.
    pub fn navigate(&mut self, url: &str) -> Result<()> {
        let n_loads = self.cdp.seen.n_loads;
        let answer = self.cdp.call("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("{url} cannot be reached: {error}");
        }
        self.cdp.read_until(CALL_LIMIT, |seen| seen.n_loads > n_loads).with_context(|| format!("{url} does not load"))
    }

    /// Reloads the page and waits for its `load` event.
    ///
    /// # Errors
    /// When it does not load within 60 s.
    pub fn reload(&mut self) -> Result<()> {
        let n_loads = self.cdp.seen.n_loads;
        self.cdp.call("Page.reload", json!({}))?;
        self.cdp.read_until(CALL_LIMIT, |seen| seen.n_loads > n_loads).context("the page does not load again")
    }

    /// Registers a script that runs in every document that loads from now on, before the document's own scripts.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn add_init_script(&mut self, script: &str) -> Result<()> {
        self.cdp.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }))?;
        Ok(())
    }

    /// Evaluates a JavaScript expression, awaits it if it is a promise, and returns its value as JSON.
    ///
    /// # Errors
    /// The exception that the expression throws, or no answer within 60 s.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        self.evaluate_within(expression, CALL_LIMIT)
    }

    fn evaluate_within(&mut self, expression: &str, limit: Duration) -> Result<Value> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.cdp.call_within("Runtime.evaluate", params, limit)?;
        if let Some(details) = answer.get("exceptionDetails") {
            bail!("{} (in {})", event_log::exception(details), shortened(expression));
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until a JavaScript expression is truthy, across reloads, and returns its value.
    /// An expression that throws (because something is not there yet) counts as false.
    ///
    /// # Errors
    /// When it is not truthy within `limit`; the message contains the page's errors.
    pub fn wait_for(&mut self, condition: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let remaining = deadline.saturating_duration_since(Instant::now());
            let wait = WAIT.replace("LIMIT", &remaining.as_millis().to_string()).replace("CONDITION", condition);
            match self.evaluate_within(&wait, remaining + CALL_LIMIT) {
                Ok(answer) if answer["held"] == true => return Ok(answer["value"].clone()),
                // A reload ends the promise; the wait starts again in the new document.
                Err(error) if !remaining.is_zero() && document_changed(&error) => {}
                Ok(answer) => bail!(self.too_late(condition, limit, &answer["trouble"])),
                Err(error) => return Err(error),
            }
        }
    }

    /// The error message of a condition that did not become true: `trouble` is its last exception, if it threw one.
    fn too_late(&self, condition: &str, limit: Duration, trouble: &Value) -> String {
        let mut message = format!("after {} s this still did not hold: {condition}", limit.as_secs_f32());
        if let Some(trouble) = trouble.as_str() {
            message += &format!("\n  it throws {trouble}");
        }
        self.errors().iter().fold(message, |message, error| message + "\n  the page says: " + error)
    }

    /// An attribute of the element with this `data-testid`; `None` when the element has no such attribute.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn attribute(&mut self, testid: &str, name: &str) -> Result<Option<String>> {
        let value = self.evaluate(&format!("{}.getAttribute({})", element(testid), json!(name)))?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// The rendered text (`innerText`) of the element with this `data-testid`.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn text(&mut self, testid: &str) -> Result<String> {
        let value = self.evaluate(&format!("{}.innerText", element(testid)))?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// The number of elements that match a CSS selector.
    ///
    /// # Errors
    /// When the selector is invalid.
    pub fn count(&mut self, selector: &str) -> Result<usize> {
        let n = self.evaluate(&format!("document.querySelectorAll({}).length", json!(selector)))?;
        n.as_u64().and_then(|n| usize::try_from(n).ok()).context("a count is a whole number")
    }

    /// Sets the size of the window and the kind of device; a phone also gets touch input.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn set_viewport(&mut self, viewport: Viewport) -> Result<()> {
        let Viewport { width, height, scale, mobile } = viewport;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.cdp.call("Emulation.setDeviceMetricsOverride", metrics)?;
        self.set_touch(mobile)
    }

    /// Enables or disables the emulation of a touch screen.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn set_touch(&mut self, enabled: bool) -> Result<()> {
        self.cdp.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": enabled, "maxTouchPoints": 1 }))?;
        Ok(())
    }

    /// Emulates the system's preferences for dark colours and reduced motion.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn prefer(&mut self, dark: bool, reduced_motion: bool) -> Result<()> {
        let features = json!([
            { "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } },
            { "name": "prefers-reduced-motion", "value": if reduced_motion { "reduce" } else { "no-preference" } },
        ]);
        self.cdp.call("Emulation.setEmulatedMedia", json!({ "features": features }))?;
        Ok(())
    }

    /// Takes a screenshot of the window, or of the whole page if `full`; returns the bytes of a PNG.
    ///
    /// # Errors
    /// When the browser does not take one.
    pub fn screenshot(&mut self, full: bool) -> Result<Vec<u8>> {
        let mut params = json!({ "format": "png", "captureBeyondViewport": full });
        if full {
            let size = self.cdp.call("Page.getLayoutMetrics", json!({}))?["cssContentSize"].clone();
            params["clip"] = json!({ "x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1 });
        }
        let answer = self.cdp.call("Page.captureScreenshot", params)?;
        let data = answer["data"].as_str().context("the browser took no picture")?;
        BASE64_STANDARD.decode(data).context("the picture is damaged")
    }

    /// Takes a screenshot as [`Page::screenshot`] does, and writes it to a file.
    ///
    /// # Errors
    /// When the browser takes no screenshot, or the file cannot be written.
    pub fn save_screenshot(&mut self, full: bool, path: &Path) -> Result<()> {
        let picture = self.screenshot(full)?;
        std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))
    }

    /// The addresses of all requests of the page and its workers so far, in order.
    pub fn requests(&self) -> &[String] {
        &self.cdp.seen.requests
    }

    /// All console errors and uncaught exceptions of the page and its workers so far.
    pub fn errors(&self) -> &[String] {
        &self.cdp.seen.errors
    }

    /// Names of all running workers, including workers of workers; a worker without a name is listed by its address.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn workers(&mut self) -> Result<Vec<String>> {
        // Any call reads the events that arrived before its answer.
        self.evaluate("0")?;
        Ok(self.cdp.seen.workers.iter().map(|worker| worker.name.clone()).collect())
    }

    /// Ends the first worker of this name by its own `close()`, so that the page gets no error event.
    ///
    /// # Errors
    /// When there is no worker of this name.
    pub fn end_worker(&mut self, name: &str) -> Result<()> {
        let worker = self.cdp.seen.workers.iter().find(|worker| worker.name == name);
        let session = worker.with_context(|| format!("there is no worker called {name}"))?.session.clone();
        let close = json!({ "expression": "self.close()" });
        self.cdp.call_in(Some(&session), "Runtime.evaluate", close, CALL_LIMIT)?;
        Ok(())
    }

    /// Durations in milliseconds of all tasks of over 50 ms on the main thread since the document loaded.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn long_tasks_ms(&mut self) -> Result<Vec<f64>> {
        let tasks = self.evaluate("globalThis.__longTasks")?;
        Ok(tasks.as_array().into_iter().flatten().filter_map(Value::as_f64).collect())
    }
}

/// A JavaScript expression for the element with this `data-testid`.
pub(super) fn element(testid: &str) -> String {
    format!("document.querySelector({})", json!(format!("[data-testid='{testid}']")))
}

/// Whether a call failed because the document was replaced during it.
pub(super) fn document_changed(error: &anyhow::Error) -> bool {
    let message = format!("{error:#}");
    ["navigated", "context was destroyed", "Cannot find context", "Promise was collected"]
        .iter()
        .any(|sign| message.contains(sign))
}

/// The beginning of an expression on one line, for error messages.
fn shortened(expression: &str) -> String {
    const N_CHARS: usize = 200;
    let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= N_CHARS { line } else { line.chars().take(N_CHARS).chain("…".chars()).collect() }
}
