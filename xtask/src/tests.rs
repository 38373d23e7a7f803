//! `cargo xtask test`: runs all tests in stages, the quick ones first, and stops at the first failure. It never repairs
//! anything.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::tools::{WASM, add_wasm_target};
use crate::{cargo, report, run, site, target_dir};

/// Cargo's arguments for the tests that need Chromium: of the page, of the networks in a browser, and of the driver
/// itself. They exclude the shaders, as those of the unit tests do: Cargo compiles burn with the features of all
/// selected packages, and other features would compile it again.
const BROWSER_TESTS: [&str; 10] = [
    "--workspace",
    "--exclude",
    "inkling-shaders",
    "--no-default-features",
    "--test",
    "ui",
    "--test",
    "browser",
    "--test",
    "golden_page",
];

/// Cargo's arguments for tests on the CPU: without wgpu they are built in half the time. Clippy checks the code for
/// graphics cards all the same, and the browser tests run it.
const CPU_ONLY: [&str; 4] = ["--workspace", "--exclude", "inkling-shaders", "--no-default-features"];

/// Cargo's arguments for the only test binary that uses graphics cards natively.
const GRAPHICS_CARD_FLAGS: [&str; 9] =
    ["test", "-p", "inkling-golden", "--features", "gpu", "--test", "card", "--", "--ignored"];

/// A stage of the tests that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stage {
    /// Format, and clippy with warnings denied, for the host and for the browser.
    Lint,
    /// Unit and integration tests.
    Unit,
    /// Browser tests: the built site in a headless Chromium.
    Browser,
    /// The kernels for graphics cards natively, on this machine's card or a software adapter.
    Card,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Lint => "lint",
            Self::Unit => "unit and integration tests",
            Self::Browser => "browser tests",
            Self::Card => "tests on the graphics card",
        }
    }

    fn pass(self) -> Result<()> {
        match self {
            Self::Lint => lint(),
            Self::Unit => run(cargo().arg("test").args(CPU_ONLY)),
            Self::Browser => test_in_browser(),
            Self::Card => run(cargo().args(GRAPHICS_CARD_FLAGS)),
        }
    }
}

/// Runs one stage, or all of them.
///
/// # Errors
/// The first failure.
pub fn pass(only: Option<Stage>) -> Result<()> {
    let stages = only.map_or_else(|| Stage::value_variants().to_vec(), |stage| vec![stage]);
    if stages.contains(&Stage::Browser) {
        // A missing browser must be reported now, not after half an hour of builds.
        let chrome = browser_driver::find()?;
        report(format!("The browser tests will run in {}", chrome.display()));
    }
    if stages.contains(&Stage::Card) {
        check_graphics_driver()?;
    }
    let began = Instant::now();
    for stage in &stages {
        timed(stage.name(), || stage.pass())?;
    }
    let names: Vec<_> = stages.iter().map(|stage| stage.name()).collect();
    report(format!("All passed in {}: {}", elapsed(began), names.join(", ")));
    Ok(())
}

/// Checks that Linux has a Vulkan driver, without which the first test would panic.
fn check_graphics_driver() -> Result<()> {
    /// Folders of the drivers' manifests (Vulkan's loader, "Driver Discovery").
    const FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some());
    let described = |folder: &&str| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if cfg!(target_os = "linux") && !named && !FOLDERS.iter().any(described) {
        bail!(
            "the tests on the graphics card need a Vulkan driver; this one imitates a card: sudo apt-get install -y mesa-vulkan-drivers"
        );
    }
    Ok(())
}

/// Runs a piece of work, and prints when it starts and how long it took.
fn timed(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    report(format!("{name} …"));
    let began = Instant::now();
    work().with_context(|| format!("{name}: failed after {}", elapsed(began)))?;
    report(format!("{name}: passed in {}", elapsed(began)));
    Ok(())
}

fn elapsed(began: Instant) -> String {
    let secs = began.elapsed().as_secs();
    format!("{} min {:02} s", secs / 60, secs % 60)
}

fn lint() -> Result<()> {
    add_wasm_target()?;
    timed("format", || run(cargo().args(["fmt", "--all", "--check"])).context("`cargo fmt --all` puts it right"))?;
    timed("clippy for this machine", || run(&mut clippy(&["--workspace", "--all-targets"])))?;
    // They are not among "all targets", because a plain `cargo test` must not run them.
    timed("clippy for the browser tests", || run(&mut clippy(&BROWSER_TESTS)))?;
    for (package, feature) in [("inkling", ""), ("inkling-worker", ""), ("inkling-worker", "relaxed")] {
        timed(format!("clippy for the wasm of {package} {feature}").trim_end(), || {
            run(&mut clippy_for_wasm(package, feature))
        })?;
    }
    Ok(())
}

fn clippy(arguments: &[&str]) -> Command {
    let mut clippy = cargo();
    clippy.arg("clippy").args(arguments).args(["--", "-D", "warnings"]);
    clippy
}

fn clippy_for_wasm(package: &str, feature: &str) -> Command {
    let mut clippy = clippy(&["--target", WASM, "--package", package, "--features", feature, "--lib", "--bins"]);
    // RUSTFLAGS would replace the flags in .cargo/config.toml.
    clippy.env_remove("RUSTFLAGS");
    clippy
}

/// Builds the site as it is published, and runs the browser tests with it.
fn test_in_browser() -> Result<()> {
    let site: PathBuf = target_dir()?.join("site/test");
    timed("building the site", || site::build_into(&site))?;
    let golden: PathBuf = target_dir()?.join("site/golden");
    timed("building the page of golden files", || site::build_golden_into(&golden))?;
    let mut tests = cargo();
    tests.arg("test").args(BROWSER_TESTS);
    tests.env("INKLING_SITE", &site).env("INKLING_GOLDEN", &golden).env("INKLING_CHROME", browser_driver::find()?);
    run(&mut tests)
}
