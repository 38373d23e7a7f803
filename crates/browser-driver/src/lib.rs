//! A headless Chromium, driven over the DevTools protocol. It knows nothing of Inkling's page.
//!
//! [`Browser`] is the process, [`Page`] a tab: navigate, evaluate, wait for a condition, press, draw, look.
//! Everything is blocking and single-threaded: what arrives between two calls is read at the next call.

mod cdp;
mod input;
mod page;
mod seen;
mod worker;

pub mod server;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use cdp::Cdp;
use serde_json::json;
use tempfile::TempDir;

pub use input::Rect;
pub use page::{Page, Viewport};
pub use worker::Held;

/// What every launch says. WebGPU runs on the software adapter, so that it runs on any machine;
/// the browser makes no connection of its own, so that a test sees only the page's.
const FLAGS: [&str; 13] = [
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    // Containers often have a tiny /dev/shm.
    "--disable-dev-shm-usage",
    // A tab that is not in front would be slowed down.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--remote-debugging-port=0",
];

/// Flags for this machine's graphics card, also one without a screen; of two adapters that are named, the last counts.
pub const ON_CARD: &[&str] = if cfg!(target_os = "linux") {
    &[
        "--use-webgpu-adapter=default",
        "--enable-features=Vulkan,WebGPU",
        "--use-angle=vulkan",
        "--disable-vulkan-surface",
        "--ignore-gpu-blocklist",
        "--disable-gpu-watchdog",
    ]
} else {
    &["--use-webgpu-adapter=default", "--ignore-gpu-blocklist"]
};

/// Names under which Chromium is installed.
const NAMES: [&str; 4] = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
/// Where macOS keeps it.
const MAC_PATH: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
/// How long a start may take on a busy machine with two cores.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to shut down before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Finds Chromium: `$CHROME`, then the usual names on the `PATH`.
///
/// # Errors
/// Where there is none; the message holds the line that installs it.
pub fn find() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CHROME").map(PathBuf::from) {
        return which::which(&path)
            .with_context(|| format!("$CHROME says {}, which is not there; correct or unset it", path.display()));
    }
    NAMES
        .iter()
        .find_map(|name| which::which(name).ok())
        .or_else(|| Some(PathBuf::from(MAC_PATH)).filter(|path| path.exists()))
        .ok_or_else(|| anyhow!("the browser tests need Chromium; install it: sudo apt-get install -y chromium"))
}

/// A running Chromium with a profile of its own. Dropping it ends the process and deletes the profile.
pub struct Browser {
    child: Child,
    port: u16,
    control: Cdp,
    _profile: TempDir,
}

impl Browser {
    /// Starts `chrome` with the flags every launch has and some more.
    ///
    /// # Errors
    /// When it does not start; the message holds what it said.
    pub fn launch(chrome: &Path, flags: &[&str]) -> Result<Self> {
        let profile = tempfile::tempdir().context("no temporary folder for the browser's profile")?;
        let mut child = Command::new(chrome)
            .args(FLAGS)
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", chrome.display()))?;
        let opened = open_control(&mut child);
        let (port, control) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                end(&mut child);
                return Err(error.context(format!("{} did not start", chrome.display())));
            }
        };
        Ok(Self { child, port, control, _profile: profile })
    }

    /// Opens a tab with cookies and storage of its own.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn page(&mut self) -> Result<Page> {
        let context = self.control.call("Target.createBrowserContext", json!({}))?;
        let target = self.control.call(
            "Target.createTarget",
            json!({ "url": "about:blank", "browserContextId": context["browserContextId"] }),
        )?;
        let id = target["targetId"].as_str().context("the browser opened no tab")?;
        Page::attach(Cdp::connect(&format!("ws://127.0.0.1:{}/devtools/page/{id}", self.port))?)
    }

    /// Ends the process that drives the graphics card, as a crash of its driver does.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn crash_gpu(&mut self) -> Result<()> {
        self.control.call("Browser.crashGpuProcess", json!({}))?;
        Ok(())
    }

    /// The process, for whoever wants to measure it.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closed in the orderly way first, so that its helper processes and its profile go with it.
        let _ = self.control.call("Browser.close", json!({}));
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        end(&mut self.child);
    }
}

/// Kills the process, if it still runs, and waits for its end.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads the address that Chromium prints once it listens, and connects to it.
fn open_control(child: &mut Child) -> Result<(u16, Cdp)> {
    let stderr = child.stderr.take().context("the browser's messages are not piped")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || forward_lines(stderr, &sender));
    let address = listening_address(&lines)?;
    let port = port_of(&address).with_context(|| format!("no port in {address}"))?;
    Ok((port, Cdp::connect(&address)?))
}

/// Forwards lines as long as someone listens, and reads on to the end: a full pipe would stop the browser.
fn forward_lines(stderr: ChildStderr, sender: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = sender.send(line);
    }
}

fn listening_address(lines: &Receiver<String>) -> Result<String> {
    let deadline = Instant::now() + START_LIMIT;
    let mut said = Vec::new();
    loop {
        let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            bail!("it said: {}", said.join("\n"));
        };
        match line.strip_prefix("DevTools listening on ") {
            Some(address) => return Ok(address.trim().to_owned()),
            None => said.push(line),
        }
    }
}

/// The port in `ws://host:port/path`.
fn port_of(address: &str) -> Option<u16> {
    let authority = address.strip_prefix("ws://")?.split('/').next()?;
    authority.rsplit(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_read_from_the_address() {
        assert_eq!(port_of("ws://127.0.0.1:43211/devtools/browser/5f-1"), Some(43211));
        assert_eq!(port_of("http://127.0.0.1:43211/"), None);
        assert_eq!(port_of("ws://127.0.0.1/x"), None);
    }

    #[test]
    fn a_browser_that_ends_is_quoted() {
        let (sender, lines) = mpsc::channel();
        sender.send("cannot open display".to_owned()).unwrap();
        drop(sender);
        assert!(listening_address(&lines).unwrap_err().to_string().contains("cannot open display"));
    }
}
