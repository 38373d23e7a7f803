//! A tab: what can be asked of it, waited for in it, and seen of it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::cdp::{CALL_LIMIT, Cdp};
use super::seen;

/// Runs in every document before its own scripts: keeps the tasks that blocked the main thread.
const KEEP_LONG_TASKS: &str = "globalThis.__longTasks = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) globalThis.__longTasks.push(entry.duration);
    }).observe({ type: 'longtask', buffered: true });";

/// Waits inside the page: looks again at every change of the document, and every 50 ms for what is not in it.
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

/// The size and kind of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewport {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Device pixels in a CSS pixel.
    pub scale: f64,
    /// A phone: touch, and the page's own viewport rules.
    pub mobile: bool,
}

/// A tab. Closing it is left to the browser.
pub struct Page {
    pub(super) cdp: Cdp,
}

impl Page {
    pub(super) fn attach(mut cdp: Cdp) -> Result<Self> {
        for domain in ["Page", "Runtime", "Network", "Log", "Inspector"] {
            cdp.call(&format!("{domain}.enable"), json!({}))?;
        }
        let workers = json!({ "autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true });
        cdp.call("Target.setAutoAttach", workers)?;
        cdp.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": KEEP_LONG_TASKS }))?;
        cdp.call("Emulation.setFocusEmulationEnabled", json!({ "enabled": true }))?;
        Ok(Self { cdp })
    }

    /// Goes to an address and waits until the document and what it links to has loaded.
    ///
    /// # Errors
    /// When the address cannot be reached.
    pub fn navigate(&mut self, url: &str) -> Result<()> {
        let n_loads = self.cdp.seen.n_loads;
        let answer = self.cdp.call("Page.navigate", json!({ "url": url }))?;
        if let Some(error) = answer["errorText"].as_str() {
            bail!("{url} cannot be reached: {error}");
        }
        self.cdp.read_until(CALL_LIMIT, |seen| seen.n_loads > n_loads).with_context(|| format!("{url} does not load"))
    }

    /// Loads the page again and waits as [`Page::navigate`] does.
    ///
    /// # Errors
    /// When it does not load.
    pub fn reload(&mut self) -> Result<()> {
        let n_loads = self.cdp.seen.n_loads;
        self.cdp.call("Page.reload", json!({}))?;
        self.cdp.read_until(CALL_LIMIT, |seen| seen.n_loads > n_loads).context("the page does not load again")
    }

    /// Runs a script in every document that loads from now on, before its own scripts.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn run_first(&mut self, script: &str) -> Result<()> {
        self.cdp.call("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script }))?;
        Ok(())
    }

    /// The value of a JavaScript expression; a promise is awaited.
    ///
    /// # Errors
    /// What the expression throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        self.evaluate_within(expression, CALL_LIMIT)
    }

    fn evaluate_within(&mut self, expression: &str, limit: Duration) -> Result<Value> {
        let params = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = self.cdp.call_within("Runtime.evaluate", params, limit)?;
        if let Some(details) = answer.get("exceptionDetails") {
            bail!("{} (in {})", seen::exception(details), shortened(expression));
        }
        Ok(answer["result"]["value"].clone())
    }

    /// Waits until a JavaScript expression is truthy, across reloads, and gives its value.
    /// An expression that throws (because something is not there yet) counts as false.
    ///
    /// # Errors
    /// When it is not within `limit`; the message holds what the page complained about.
    pub fn wait_for(&mut self, condition: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = WAIT.replace("LIMIT", &left.as_millis().to_string()).replace("CONDITION", condition);
            match self.evaluate_within(&wait, left + CALL_LIMIT) {
                Ok(answer) if answer["held"] == true => return Ok(answer["value"].clone()),
                // A reload ends the promise; the new document is asked again.
                Err(error) if !left.is_zero() && document_changed(&error) => {}
                Ok(answer) => bail!(self.too_late(condition, limit, &answer["trouble"])),
                Err(error) => return Err(error),
            }
        }
    }

    fn too_late(&self, condition: &str, limit: Duration, trouble: &Value) -> String {
        let mut told = format!("after {} s this still did not hold: {condition}", limit.as_secs_f32());
        if let Some(trouble) = trouble.as_str() {
            told += &format!("\n  it throws {trouble}");
        }
        self.errors().iter().fold(told, |told, error| told + "\n  the page says: " + error)
    }

    /// An attribute of the element with this `data-testid`; none when the element has no such attribute.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn attribute(&mut self, testid: &str, name: &str) -> Result<Option<String>> {
        let value = self.evaluate(&format!("{}.getAttribute({})", element(testid), json!(name)))?;
        Ok(value.as_str().map(str::to_owned))
    }

    /// The text of the element with this `data-testid`, as it is rendered.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn text(&mut self, testid: &str) -> Result<String> {
        let value = self.evaluate(&format!("{}.innerText", element(testid)))?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// How many elements match a CSS selector.
    ///
    /// # Errors
    /// When the selector is not one.
    pub fn count(&mut self, selector: &str) -> Result<usize> {
        let n = self.evaluate(&format!("document.querySelectorAll({}).length", json!(selector)))?;
        n.as_u64().and_then(|n| usize::try_from(n).ok()).context("a count is a whole number")
    }

    /// Sets the window's size; a phone also gets touch.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn set_viewport(&mut self, viewport: Viewport) -> Result<()> {
        let Viewport { width, height, scale, mobile } = viewport;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile });
        self.cdp.call("Emulation.setDeviceMetricsOverride", metrics)?;
        self.set_touch(mobile)
    }

    /// Gives the page a touch screen, or takes it away.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn set_touch(&mut self, enabled: bool) -> Result<()> {
        self.cdp.call("Emulation.setTouchEmulationEnabled", json!({ "enabled": enabled, "maxTouchPoints": 1 }))?;
        Ok(())
    }

    /// Sets what the system prefers: dark colours, little motion.
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

    /// A picture of the window, or of the whole page, as PNG.
    ///
    /// # Errors
    /// When the browser takes none.
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

    /// Writes [`Page::screenshot`] to a file.
    ///
    /// # Errors
    /// When there is no picture, or no room for it.
    pub fn save_screenshot(&mut self, full: bool, path: &Path) -> Result<()> {
        let picture = self.screenshot(full)?;
        std::fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Everything the page and its workers asked for so far.
    pub fn requests(&self) -> &[String] {
        &self.cdp.seen.requests
    }

    /// Errors on the console and uncaught exceptions so far, of the page and its workers.
    pub fn errors(&self) -> &[String] {
        &self.cdp.seen.errors
    }

    /// Names of the workers that run, those of workers too; the address of one without a name.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn workers(&mut self) -> Result<Vec<String>> {
        // What arrived before the answer is noted by then.
        self.evaluate("0")?;
        Ok(self.cdp.seen.workers.iter().map(|worker| worker.name.clone()).collect())
    }

    /// Ends the first worker of this name from within, so that nobody is told of it.
    ///
    /// # Errors
    /// When there is none.
    pub fn end_worker(&mut self, name: &str) -> Result<()> {
        let worker = self.cdp.seen.workers.iter().find(|worker| worker.name == name);
        let session = worker.with_context(|| format!("there is no worker called {name}"))?.session.clone();
        let close = json!({ "expression": "self.close()" });
        self.cdp.call_in(Some(&session), "Runtime.evaluate", close, CALL_LIMIT)?;
        Ok(())
    }

    /// Tasks of over 50 ms on the main thread since the page loaded, in milliseconds.
    ///
    /// # Errors
    /// When there is no page.
    pub fn long_tasks_ms(&mut self) -> Result<Vec<f64>> {
        let tasks = self.evaluate("globalThis.__longTasks")?;
        Ok(tasks.as_array().into_iter().flatten().filter_map(Value::as_f64).collect())
    }
}

/// A JavaScript expression for the element with this `data-testid`.
pub(super) fn element(testid: &str) -> String {
    format!("document.querySelector({})", json!(format!("[data-testid='{testid}']")))
}

pub(super) fn document_changed(error: &anyhow::Error) -> bool {
    let told = format!("{error:#}");
    ["navigated", "context was destroyed", "Cannot find context", "Promise was collected"]
        .iter()
        .any(|sign| told.contains(sign))
}

fn shortened(expression: &str) -> String {
    const N_CHARS: usize = 200;
    let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= N_CHARS { line } else { line.chars().take(N_CHARS).chain("…".chars()).collect() }
}
