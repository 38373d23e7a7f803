//! The program `inkling`: parses the arguments, runs the command and sets the exit code (0 success, 1 failure, 2 wrong
//! usage). It never computes or prints results itself; [`cli`] does.

mod cli;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{Result, anyhow};
use clap::Parser;

use crate::cli::Cli;

/// What the last panic said, and where.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("inkling: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command. A panic, ours or a dependency's, is an error in one line as any other.
fn run(cli: Cli) -> Result<()> {
    panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST_PANIC.lock() {
            let place = info.location().map(|location| format!(" ({location})")).unwrap_or_default();
            *last = format!("{}{place}", info.payload_as_str().unwrap_or("no reason was given"));
        }
    }));
    panic::catch_unwind(|| cli::run(cli)).unwrap_or_else(|_| {
        let reason = LAST_PANIC.lock().map(|last| last.clone()).unwrap_or_default();
        Err(anyhow!("internal error: {reason}; please report it with the command. What was saved before is intact"))
    })
}
