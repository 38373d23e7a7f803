//! `inkling speed`: measures this machine's engine over the same session as the page, and prints the same speed report.
//! It never loads images or weights.

use std::cell::RefCell;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use inkling_core::data::Dataset;
use inkling_core::protocol::{Command, Event, Fault};
use inkling_core::receipts;
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, ModelId};
use inkling_core::speed_report::SpeedReport;
use inkling_engine::session::{Host, Session};

use super::SpeedArgs;

/// Prints the speed report of an engine.
///
/// # Errors
/// When the engine is not available, or fails.
pub async fn run(args: SpeedArgs) -> Result<()> {
    let mut session = Session::new(SpeedHost { began: Instant::now(), run: RefCell::default() });
    session.handle(Command::Open(args.engine.request(ModelId::Compact))).await;
    session.host().check()?;
    session.handle(Command::Measure { workers: 1 }).await;
    while session.is_busy() {
        session.advance().await;
    }
    session.host().check()?;
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

/// The session's host during a speed measurement: it offers no images and no weights, because none are needed.
struct SpeedHost {
    began: Instant,
    run: RefCell<Run>,
}

impl SpeedHost {
    fn check(&self) -> Result<()> {
        match &self.run.borrow().fault {
            Some(fault) => bail!("{}", fault.to_string().trim_end()),
            None => Ok(()),
        }
    }
}

impl Host for SpeedHost {
    fn emit(&self, event: Event) {
        self.run.borrow_mut().apply(&event);
    }

    fn now_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    async fn pretrained(&self, _: ModelId) -> Option<Vec<u8>> {
        None
    }

    async fn dataset(&self, _: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        Err(Fault::new("A measurement takes no images from elsewhere", ""))
    }
}
