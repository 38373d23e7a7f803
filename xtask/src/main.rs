//! `cargo xtask <command>`: parses the command line and calls the library. It never does the work itself.

use std::process::ExitCode;

use clap::Parser;
use xtask::tests::{self, Stage};
use xtask::{bench, data, shot, site};

/// Development tasks of Inkling. It downloads or builds everything it needs besides Rust.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Builds the page and serves it at http://127.0.0.1:8080, rebuilding when a source changes.
    Serve(site::Serve),
    /// Builds the static site in dist/, ready for any host and any sub-path.
    Build(site::Build),
    /// Runs all tests: format, clippy, unit, integration and browser tests, and tests on the graphics card.
    Test {
        /// Run this stage only.
        stage: Option<Stage>,
    },
    /// Measures the page and the command line, and prints one table.
    Bench(bench::Bench),
    /// Downloads MNIST into data/mnist/ unless it is on this machine, checks it, and prints its folder.
    Data,
    /// Takes a screenshot of a page.
    Shot(shot::Shot),
    /// Copies the data beside the page; Trunk calls this after each build.
    #[command(hide = true)]
    Stage,
}

fn main() -> ExitCode {
    let result = match Task::parse() {
        Task::Serve(options) => site::serve(&options),
        Task::Build(options) => site::build(&options),
        Task::Test { stage } => tests::pass(stage),
        Task::Bench(options) => bench::measure(&options),
        Task::Data => data::show(),
        Task::Shot(options) => shot::take(&options),
        Task::Stage => site::stage(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
