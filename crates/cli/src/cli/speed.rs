//! `inkling speed`: measures this machine's engine over the same session as the page, and prints the same speed report.
//! It never loads images or weights.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use inkling_core::protocol::Command;
use inkling_core::receipts;
use inkling_core::spec::ModelId;
use inkling_core::speed_report::SpeedReport;

use super::SpeedArgs;
use super::report::Reporter;
use super::session::TerminalSession;

/// Prints the speed report of an engine.
///
/// # Errors
/// When the engine is not available, or fails.
pub async fn run(args: SpeedArgs) -> Result<()> {
    let mut session = TerminalSession::new(Reporter::quiet());
    session.request(Command::Open(args.engine.request(ModelId::Compact))).await?;
    session.run(Command::Measure { workers: 1 }).await?;
    let run = session.host().run.borrow();
    let engine = run.engine.clone().context("no engine was opened")?;
    let speed = run.speed.clone().context("nothing was measured")?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let date = receipts::iso_day(since.map_or(0, |since| since.as_secs()));
    let report = SpeedReport { engine, speeds: speed.speeds, workers: speed.workers, program: program(), date };
    print_line!("{}", report.text());
    Ok(())
}

/// This program as the report names it: version, operating system and architecture.
fn program() -> String {
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!("inkling {} on {os} ({architecture})", env!("CARGO_PKG_VERSION"))
}
