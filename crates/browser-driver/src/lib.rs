//! Drives a headless Chromium over the Chrome DevTools Protocol, and serves it folders. It never knows anything about
//! Inkling's page.
//!
//! [`Browser`] is the process, [`Page`] a tab: navigate, evaluate, wait for a condition, click, draw, take a
//! screenshot. All calls block, and there is a single thread: events that arrive between two calls are read during the
//! next call.

mod cdp;
mod event_log;
mod input;
mod page;
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
pub use worker::HeapMemory;

/// Flags of every launch. WebGPU runs on the software adapter SwiftShader, so that it runs on any machine. The browser
/// makes no connections of its own, so that a test sees only those of the page.
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
    // Chromium slows down tabs in the background.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--remote-debugging-port=0",
];

/// Additional flags that select this machine's graphics card, also on a machine without a screen. Of two
/// `--use-webgpu-adapter` flags Chromium uses the last, so these override the software adapter.
pub const GRAPHICS_CARD_FLAGS: &[&str] = if cfg!(target_os = "linux") {
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

/// Usual names of Chromium's executable.
const NAMES: [&str; 4] = ["chromium", "google-chrome", "google-chrome-stable", "chromium-browser"];
/// Chrome's executable on macOS.
const MAC_PATH: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
/// Timeout of the start, long enough for a busy machine with two cores.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long Chromium may take to shut down before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Finds Chromium: `$CHROME`, then the usual names on the `PATH`, then macOS's usual path.
///
/// # Errors
/// When Chromium is not installed (the message contains the command that installs it), or `$CHROME` is not an
/// executable.
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

/// A running Chromium with a new, empty profile. Dropping it ends the process and deletes the profile.
pub struct Browser {
    child: Child,
    /// The port of the DevTools protocol.
    port: u16,
    /// The connection to the browser as a whole.
    control: Cdp,
    _profile: TempDir,
}

impl Browser {
    /// Starts the executable `chrome` with the flags of every launch and then `flags`.
    ///
    /// # Errors
    /// When it does not start; the message contains its standard error.
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

    /// Opens a tab with separate cookies and storage.
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

    /// Crashes the browser's GPU process, as a crash of the graphics driver does.
    ///
    /// # Errors
    /// When the browser is gone.
    pub fn crash_gpu(&mut self) -> Result<()> {
        self.control.call("Browser.crashGpuProcess", json!({}))?;
        Ok(())
    }

    /// The process id of the browser, for measurements.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // An orderly close also ends the helper processes and releases the profile.
        let _ = self.control.call("Browser.close", json!({}));
        let deadline = Instant::now() + STOP_LIMIT;
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(10));
        }
        end(&mut self.child);
    }
}

/// Kills the process if it still runs, and waits for its end.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Reads the DevTools address from Chromium's standard error and connects to it; returns the port and the connection.
fn open_control(child: &mut Child) -> Result<(u16, Cdp)> {
    let stderr = child.stderr.take().context("the browser's messages are not piped")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || forward_lines(stderr, &sender));
    let address = listening_address(&lines)?;
    let port = port_of(&address).with_context(|| format!("no port in {address}"))?;
    Ok((port, Cdp::connect(&address)?))
}

/// Forwards lines to the receiver. Keeps reading after the receiver is gone, because a full pipe would block the
/// browser.
fn forward_lines(stderr: ChildStderr, sender: &Sender<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = sender.send(line);
    }
}

/// Waits for the line with the DevTools address, and returns the address. The error quotes all other lines.
fn listening_address(lines: &Receiver<String>) -> Result<String> {
    let deadline = Instant::now() + START_LIMIT;
    let mut other_lines = Vec::new();
    loop {
        let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) else {
            bail!("it said: {}", other_lines.join("\n"));
        };
        match line.strip_prefix("DevTools listening on ") {
            Some(address) => return Ok(address.trim().to_owned()),
            None => other_lines.push(line),
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
    fn messages_of_a_browser_that_ends_early_are_quoted() {
        let (sender, lines) = mpsc::channel();
        sender.send("cannot open display".to_owned()).unwrap();
        drop(sender);
        assert!(listening_address(&lines).unwrap_err().to_string().contains("cannot open display"));
    }
}
