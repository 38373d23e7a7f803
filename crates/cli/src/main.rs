//! The command line's program: parses, runs, and chooses the exit code (0 done, 1 failed, 2 wrong usage).

mod cli;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    match cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inkling: {error:#}");
            ExitCode::FAILURE
        }
    }
}
