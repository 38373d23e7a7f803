//! A visit to the built page: opens it in a new browser, observes it by a script, and queries the recorded times. It
//! never changes what the page does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use browser_driver::server::StaticServer;
use browser_driver::{Browser, Page};

/// Timeout of anything that the page does: on a software adapter, one step of a large network takes minutes.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(1200);

/// Timeout of something that takes a moment, on a busy machine.
const SHORT_TIMEOUT: Duration = Duration::from_secs(120);

/// A script that runs before the page's own scripts and records in `__bench` when things were first seen, in
/// milliseconds since the navigation.
const WATCH: &str = "(() => {
        const bench = globalThis.__bench = { first: {}, asked: [], answered: [], lifted: 0, started: 0, epochs: [] };
        const of = (id) => document.querySelector(`[data-testid='${id}']`);
        const note = (name, seen) => { if (seen) bench.first[name] ??= performance.now(); };
        const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (...given) {
            // A prediction request holds the 784 pixels of a drawing and is numbered from 1; other commands are
            // shorter.
            if (given[0].byteLength >= 784) bench.asked.push(performance.now());
            return post.apply(this, given);
        };
        addEventListener('pointerup', () => { bench.lifted = performance.now(); }, true);
        addEventListener('click', (event) => {
            if (event.target.closest(\"[data-testid='start'], [data-testid='sprint']\")) {
                bench.started = performance.now(); bench.epochs = []; delete bench.first.step;
            }
        }, true);
        let version = '0';
        const look = () => {
            const read = of('prediction');
            note('pad', of('draw-pad'));
            note('loss', (of('chart-loss')?.dataset.losses ?? '[]') !== '[]');
            note('ready', of('status')?.dataset.state === 'ready');
            note('read', read?.dataset.digit);
            if (bench.started) note('step', (of('chart-loss')?.dataset.losses ?? '[]') !== '[]');
            if (read && read.dataset.version !== version) {
                version = read.dataset.version;
                bench.answered.push({ version: Number(version), at: performance.now() });
            }
            const rows = document.querySelectorAll(\"[data-testid='epoch-log'] [data-testid='epoch-row']\");
            if (rows.length > bench.epochs.length)
                bench.epochs.push({
                    ms: performance.now() - bench.started,
                    accuracy: Math.max(...[...rows].map((row) => Number(row.dataset.valAccuracy))),
                });
        };
        new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
    })()";

/// The built page, and the adapter of the browser that visits it.
pub struct Site {
    /// The folder of the built page.
    pub folder: PathBuf,
    /// Whether the browser uses this machine's graphics card instead of the software adapter.
    pub on_card: bool,
}

/// An open page with its browser and its server.
pub struct Visit {
    /// The open page.
    pub page: Page,
    /// The browser of the page.
    pub browser: Browser,
    _server: StaticServer,
}

impl Visit {
    /// Opens the site with a query such as `engine=cpu`.
    ///
    /// # Errors
    /// When there is no Chromium, or the page does not load.
    pub fn open(site: &Site, query: &str) -> Result<Self> {
        let server = StaticServer::start(&site.folder, "/inkling/")?;
        let mut browser = Browser::launch(
            &browser_driver::find()?,
            if site.on_card { browser_driver::GRAPHICS_CARD_FLAGS } else { &[] },
        )?;
        let mut page = browser.page()?;
        page.add_init_script(WATCH)?;
        page.navigate(&format!("{}?{query}", server.url()))?;
        Ok(Self { page, browser, _server: server })
    }

    /// Opens the site as [`Visit::open`] does, and waits until a run can start.
    ///
    /// # Errors
    /// As [`Visit::open`], or when the page reports a failure.
    pub fn ready(site: &Site, query: &str) -> Result<Self> {
        let mut visit = Self::open(site, query)?;
        visit.wait_for_state("ready")?;
        Ok(visit)
    }

    /// Starts a run and waits for its end.
    ///
    /// # Errors
    /// When the run fails (with the page's message), or takes too long.
    pub fn run(&mut self) -> Result<()> {
        self.page.click("start")?;
        self.wait_for_state("finished")
    }

    /// Waits for a state of the run, such as `ready` or `finished`.
    ///
    /// # Errors
    /// When the run fails (with the page's message), or takes too long.
    pub fn wait_for_state(&mut self, state: &str) -> Result<()> {
        let now = "document.querySelector(\"[data-testid='status']\").dataset.state";
        let reached = self.page.wait_for(&format!("['{state}', 'failed'].includes({now}) && {now}"), LONG_TIMEOUT)?;
        if reached != state {
            bail!("the run failed: {}", self.page.text("error").unwrap_or_default().replace('\n', " "));
        }
        Ok(())
    }

    /// Pauses a run, unless it has finished.
    ///
    /// # Errors
    /// When it does not pause.
    pub fn hold(&mut self) -> Result<()> {
        // A script's click, because a button that is disabled by now ignores it.
        self.page.evaluate("document.querySelector(\"[data-testid='pause']\").click()")?;
        let now = "document.querySelector(\"[data-testid='status']\").dataset.state";
        self.page.wait_for(&format!("['paused', 'finished', 'failed'].includes({now})"), LONG_TIMEOUT)?;
        Ok(())
    }

    /// Resumes a run after [`Visit::hold`].
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn go_on(&mut self) -> Result<()> {
        self.page.evaluate("document.querySelector(\"[data-testid='resume']\").click()")?;
        Ok(())
    }

    /// Waits until the run has done more than `n_steps` steps.
    ///
    /// # Errors
    /// When it takes too long.
    pub fn wait_past_step(&mut self, n_steps: usize) -> Result<()> {
        let shown = "document.querySelector(\"[data-testid='progress']\").innerText.match(/Step ([\\d,]+)/)";
        self.page.wait_for(&format!("Number({shown}[1].replaceAll(',', '')) > {n_steps}"), LONG_TIMEOUT)?;
        Ok(())
    }

    /// The number in an attribute of the element with this `data-testid`.
    ///
    /// # Errors
    /// When there is no such element or attribute, or it is not a number.
    pub fn number(&mut self, testid: &str, name: &str) -> Result<f64> {
        let text = self.page.attribute(testid, name)?.with_context(|| format!("{testid} has no {name}"))?;
        text.parse().with_context(|| format!("{name} of {testid} is no number: {text:?}"))
    }

    /// Waits until an expression is a number other than 0, and returns it; `$` in the expression is the record of the
    /// watching script.
    ///
    /// # Errors
    /// When it does not become such a number within two minutes.
    pub fn noted(&mut self, expression: &str) -> Result<f64> {
        let value = self.page.wait_for(&expression.replace('$', "globalThis.__bench"), SHORT_TIMEOUT)?;
        value.as_f64().with_context(|| format!("{expression} is no number"))
    }

    /// Seconds from Start until the first step was shown.
    ///
    /// # Errors
    /// When no run was started.
    pub fn first_step_secs(&mut self) -> Result<f64> {
        Ok(self.noted("$.first.step - $.started")? / 1000.0)
    }
}
