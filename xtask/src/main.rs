//! `cargo xtask <command>`: reads the command line and calls the library.

use std::process::ExitCode;

use clap::Parser;
use xtask::tests::{self, Stage};
use xtask::{bench, data, shot, site};

/// Set-up and chores of Inkling. Everything it needs besides Rust it gets by itself.
#[derive(Parser)]
#[command(name = "cargo xtask")]
enum Task {
    /// Builds the page and serves it at http://127.0.0.1:8080, rebuilding when a source changes.
    Serve(site::Serve),
    /// Builds the static site in dist/, ready for any host and any sub-path.
    Build(site::Build),
    /// Passes every test: format, clippy, unit, integration and browser tests.
    Test {
        /// Run this stage only.
        stage: Option<Stage>,
    },
    /// Measures the page and the command line, and prints one table.
    Bench(bench::Bench),
    /// Brings MNIST into data/mnist/, checks it, and says where it is.
    Data,
    /// Takes a picture of a page.
    Shot(shot::Shot),
    /// Puts the data beside the page; Trunk calls this after each build.
    #[command(hide = true)]
    Stage,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Serve(options) => site::serve(&options),
        Task::Build(options) => site::build(&options),
        Task::Test { stage } => tests::pass(stage),
        Task::Bench(options) => bench::measure(&options),
        Task::Data => data::show(),
        Task::Shot(options) => shot::take(&options),
        Task::Stage => site::stage_data(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
