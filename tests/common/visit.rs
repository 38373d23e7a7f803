//! A visitor of the built site: the site on a server of its own, under a sub-path, in a Chromium of its own.
//! Only for the browser tests, which `cargo xtask test browser` runs with the site and the browser at hand.

use std::path::PathBuf;
use std::time::Duration;

use browser_driver::server::StaticServer;
use browser_driver::{Browser, Page};
use serde_json::Value;

/// Where a project's site lives on GitHub Pages: a page that needs the root of its host fails here.
const SUB_PATH: &str = "/inkling/";
/// For what takes a moment, on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(30);
/// For what the software adapter does: it compiles shaders on two cores.
pub const PATIENTLY: Duration = Duration::from_secs(240);

/// An open page, and what lives as long as it.
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

    /// The same on a host that lacks a file or a folder, such as `data/mnist`.
    pub fn without(missing: &str, query: &str) -> Self {
        Self::of(StaticServer::start_without(&folder(), SUB_PATH, missing).unwrap(), query)
    }

    /// The same, but the page and every worker run this script first.
    pub fn with_script(script: &str, query: &str) -> Self {
        let server = StaticServer::start_with_worker_script(&folder(), SUB_PATH, script).unwrap();
        Self::scripted(server, Some(script), query)
    }

    fn of(server: StaticServer, query: &str) -> Self {
        Self::scripted(server, None, query)
    }

    fn scripted(server: StaticServer, script: Option<&str>, query: &str) -> Self {
        let mut browser = Browser::launch(&told("INKLING_CHROME"), &[]).unwrap();
        let mut page = browser.page().unwrap();
        if let Some(script) = script {
            page.run_first(script).unwrap();
        }
        let site = server.url().to_owned();
        page.navigate(&format!("{site}?{query}")).unwrap();
        Self { page, site, browser, _server: server }
    }

    /// Ends the process that drives the graphics card, as a crash of a driver does.
    pub fn crash_gpu(&mut self) {
        self.browser.crash_gpu().unwrap();
    }

    /// Waits until something can be drawn.
    pub fn wait_for_pad(&mut self) {
        self.page.wait_for("document.querySelector(\"[data-testid='draw-pad']\") !== null", SOON).unwrap();
    }

    /// Waits for a state of the run; fails at once when the run fails and that was not what was waited for.
    pub fn wait_for_state(&mut self, state: &str, limit: Duration) {
        let reached =
            format!("['{state}', 'failed'].includes(document.querySelector(\"[data-testid='status']\").dataset.state)");
        self.page.wait_for(&reached, limit).unwrap();
        if state != "failed" && self.attribute("status", "data-state") == "failed" {
            panic!("the run failed: {}", self.page.text("error").unwrap_or_default());
        }
    }

    /// Waits until the run has done more than so many steps, and gives how many.
    pub fn wait_past_step(&mut self, n_steps: u64, limit: Duration) -> u64 {
        let past = format!("({STEPS_DONE}) > {n_steps} && ({STEPS_DONE})");
        self.page.wait_for(&past, limit).unwrap().as_u64().unwrap()
    }

    /// How many steps the page says were done.
    pub fn n_steps(&mut self) -> u64 {
        self.page.evaluate(STEPS_DONE).unwrap().as_u64().unwrap()
    }

    /// An attribute that must be there.
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

    /// The losses of the first steps, as the page tells them to scripts.
    pub fn first_losses(&mut self) -> Vec<f64> {
        numbers(&serde_json::from_str(&self.attribute("chart-loss", "data-losses")).unwrap())
    }

    /// Waits until the digit on the pad is read, by a network that may still be learning.
    pub fn wait_for_reading(&mut self, limit: Duration) {
        let read = "document.querySelector(\"[data-testid='prediction']\").dataset.digit !== ''";
        self.page.wait_for(read, limit).unwrap();
    }

    /// The sum of the ten probabilities, of one answer: the next one may come at any time.
    pub fn sum_of_probabilities(&mut self) -> f64 {
        let sum = "[...document.querySelectorAll(\"[data-testid^='probability-']\")]
            .reduce((sum, bar) => sum + Number(bar.dataset.value), 0)";
        self.page.evaluate(sum).unwrap().as_f64().unwrap()
    }

    /// Nothing went wrong unseen, and nothing was asked of any other host.
    pub fn assert_clean(&self) {
        assert_eq!(self.page.errors(), [""; 0], "the console is not clean");
        self.assert_at_home();
    }

    /// Nothing was asked of any other host, nor outside the site's folder.
    pub fn assert_at_home(&self) {
        let strangers: Vec<_> = self.page.requests().iter().filter(|request| !self.is_at_home(request)).collect();
        assert!(strangers.is_empty(), "requests that leave the site: {strangers:?}");
        assert!(self.page.requests().iter().any(|request| request.contains("worker")), "the worker was not seen");
    }

    fn is_at_home(&self, request: &str) -> bool {
        [self.site.as_str(), "data:", "blob:"].iter().any(|home| request.starts_with(home))
    }
}

/// The step that the page shows: "Step 1,234 of 5,678".
const STEPS_DONE: &str = "Number((document.querySelector(\"[data-testid='progress']\").innerText
    .match(/Step ([\\d,]+)/) ?? [0, '0'])[1].replaceAll(',', ''))";

fn folder() -> PathBuf {
    told("INKLING_SITE")
}

/// What `cargo xtask test browser` says in the environment.
fn told(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    value.unwrap_or_else(|| panic!("{name} is not set: run these tests with `cargo xtask test browser`")).into()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap_or(f64::NAN)).collect()
}
