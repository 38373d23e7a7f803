//! The program `inkling`: parses the arguments, runs the command and sets the exit code (0 success, 1 failure, 2 wrong
//! usage). It never computes or prints results itself; [`cli`] does.

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
