//! A visit to the built site: a Chromium with the page open, and a server that serves the site under a sub-path. Only
//! for the browser tests, which `cargo xtask test browser` runs with a built site and a browser.

use std::path::PathBuf;
use std::time::Duration;

use browser_driver::server::StaticServer;
use browser_driver::{Browser, Page};
use serde_json::Value;

/// The path of a project's site on GitHub Pages. A page that needs the root of its host fails here.
const SUB_PATH: &str = "/inkling/";
/// Timeout for what takes a moment, even on a busy machine.
pub const SHORT_TIMEOUT: Duration = Duration::from_secs(30);
/// Timeout for the software adapter, which compiles shaders on two cores.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(240);

/// An open page, with its browser and its server.
pub struct Visit {
    pub page: Page,
    site: String,
    browser: Browser,
    _server: StaticServer,
}

impl Visit {
    /// Opens the page with a query such as `engine=cpu&start=1`.
    pub fn new(query: &str) -> Self {
        Self::of(StaticServer::start(&folder(), SUB_PATH).unwrap(), query)
    }

    /// The same, on a server that lacks a file or a folder, such as `data/mnist`.
    pub fn without(missing: &str, query: &str) -> Self {
        Self::of(StaticServer::start_without(&folder(), SUB_PATH, missing).unwrap(), query)
    }

    /// The same, but the page and every worker first run this script.
    pub fn with_script(script: &str, query: &str) -> Self {
        let server = StaticServer::start_with_worker_script(&folder(), SUB_PATH, script).unwrap();
        Self::scripted(server, Some(script), query)
    }

    fn of(server: StaticServer, query: &str) -> Self {
        Self::scripted(server, None, query)
    }

    fn scripted(server: StaticServer, script: Option<&str>, query: &str) -> Self {
        let mut browser = Browser::launch(&path_from("INKLING_CHROME"), &[]).unwrap();
        let mut page = browser.page().unwrap();
        if let Some(script) = script {
            page.add_init_script(script).unwrap();
        }
        let site = server.url().to_owned();
        page.navigate(&format!("{site}?{query}")).unwrap();
        Self { page, site, browser, _server: server }
    }

    /// Kills the browser's GPU process, as the crash of a driver does.
    pub fn crash_gpu(&mut self) {
        self.browser.crash_gpu().unwrap();
    }

    /// Waits until the pad is shown.
    pub fn wait_for_pad(&mut self) {
        self.page.wait_for("document.querySelector(\"[data-testid='draw-pad']\") !== null", SHORT_TIMEOUT).unwrap();
    }

    /// Waits for a state of the run. Panics at once when the run fails, unless that is the state to wait for.
    pub fn wait_for_state(&mut self, state: &str, limit: Duration) {
        let reached =
            format!("['{state}', 'failed'].includes(document.querySelector(\"[data-testid='status']\").dataset.state)");
        self.page.wait_for(&reached, limit).unwrap();
        if state != "failed" && self.attribute("status", "data-state") == "failed" {
            panic!("the run failed: {}", self.page.text("error").unwrap_or_default());
        }
    }

    /// Waits until the run has done more than `n_steps` steps. Returns their number.
    pub fn wait_past_step(&mut self, n_steps: u64, limit: Duration) -> u64 {
        let past = format!("({STEPS_DONE}) > {n_steps} && ({STEPS_DONE})");
        self.page.wait_for(&past, limit).unwrap().as_u64().unwrap()
    }

    /// The number of steps that the page shows.
    pub fn n_steps(&mut self) -> u64 {
        self.page.evaluate(STEPS_DONE).unwrap().as_u64().unwrap()
    }

    /// An attribute that must exist.
    pub fn attribute(&mut self, testid: &str, name: &str) -> String {
        let value = self.page.attribute(testid, name).unwrap();
        value.unwrap_or_else(|| panic!("{testid} has no {name}"))
    }

    /// An attribute that is a number.
    pub fn number(&mut self, testid: &str, name: &str) -> f64 {
        let text = self.attribute(testid, name);
        text.parse().unwrap_or_else(|_| panic!("{name} of {testid} is no number: {text:?}"))
    }

    /// One attribute of every row of the log, as numbers.
    pub fn log(&mut self, name: &str) -> Vec<f64> {
        let rows = format!(
            "[...document.querySelectorAll(\"[data-testid='epoch-log'] [data-testid='epoch-row']\")]
                .map((row) => Number(row.getAttribute('{name}') ?? NaN))"
        );
        numbers(&self.page.evaluate(&rows).unwrap())
    }

    /// The losses of the first steps, from the attribute of the loss chart.
    pub fn first_losses(&mut self) -> Vec<f64> {
        numbers(&serde_json::from_str(&self.attribute("chart-loss", "data-losses")).unwrap())
    }

    /// Waits until the page shows a prediction for the drawing.
    pub fn wait_for_reading(&mut self, limit: Duration) {
        let read = "document.querySelector(\"[data-testid='prediction']\").dataset.digit !== ''";
        self.page.wait_for(read, limit).unwrap();
    }

    /// The sum of the ten probabilities. They are read in one script, because the next prediction may arrive at any
    /// time.
    pub fn sum_of_probabilities(&mut self) -> f64 {
        let sum = "[...document.querySelectorAll(\"[data-testid^='probability-']\")]
            .reduce((sum, bar) => sum + Number(bar.dataset.value), 0)";
        self.page.evaluate(sum).unwrap().as_f64().unwrap()
    }

    /// Asserts that the console has no errors, and that no request left the site.
    pub fn assert_clean(&self) {
        assert_eq!(self.page.errors(), [""; 0], "the console is not clean");
        self.assert_at_home();
    }

    /// Asserts that no request went to another host or outside the site's folder.
    pub fn assert_at_home(&self) {
        let foreign: Vec<_> = self.page.requests().iter().filter(|request| !self.is_at_home(request)).collect();
        assert!(foreign.is_empty(), "requests that leave the site: {foreign:?}");
        assert!(self.page.requests().iter().any(|request| request.contains("worker")), "the worker was not seen");
    }

    fn is_at_home(&self, request: &str) -> bool {
        [self.site.as_str(), "data:", "blob:"].iter().any(|home| request.starts_with(home))
    }
}

/// A script for the number of the step that the page shows: "Step 1,234 of 5,678".
const STEPS_DONE: &str = "Number((document.querySelector(\"[data-testid='progress']\").innerText
    .match(/Step ([\\d,]+)/) ?? [0, '0'])[1].replaceAll(',', ''))";

fn folder() -> PathBuf {
    path_from("INKLING_SITE")
}

/// A path that `cargo xtask test browser` passes in this environment variable.
fn path_from(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: run these tests with `cargo xtask test browser`")).into()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}
