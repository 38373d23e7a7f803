//! Time to an accuracy in a tab: from Start to the end of the first epoch whose validation accuracy reaches it. It
//! includes loading the images, validation and display. It never measures the command line.

use anyhow::{Context, Result};
use serde_json::Value;

use super::figure::{Measurement, number};
use super::visit::{Site, Visit};
use crate::report;

/// The query of a run that learns quickly.
pub const SPRINT: &str = "engine=cpu&dataset=mnist&model=compact&batch=128&epochs=4";

/// Target accuracies on the validation images, as fractions.
const TARGETS: [f64; 3] = [0.97, 0.98, 0.99];

/// The end of an epoch.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// Since Start.
    elapsed_secs: f64,
    /// The best validation accuracy so far.
    accuracy: f64,
}

/// Trains once per round, each time with another seed, and measures the time to each target.
///
/// # Errors
/// When a run fails.
pub fn measure(site: &Site, query: &str, n_rounds: usize) -> Result<Vec<Measurement>> {
    let runs = (1..=n_rounds).map(|seed| epochs(site, &format!("{query}&seed={seed}"))).collect::<Result<Vec<_>>>()?;
    let measurements = TARGETS.map(|target| {
        let secs: Vec<f64> = runs.iter().filter_map(|run| time_to(run, target)).collect();
        let beside = format!("reached by {} of {n_rounds} seeds", secs.len());
        Measurement::new(format!("time to {:.0} % on the test images, in the tab", 100.0 * target), query, "s")
            .with(secs)
            .beside(beside)
    });
    Ok(measurements.to_vec())
}

/// Trains the run of a query, and returns its epochs.
fn epochs(site: &Site, query: &str) -> Result<Vec<Epoch>> {
    let mut visit = Visit::ready(site, query)?;
    visit.run()?;
    let recorded = visit.page.evaluate("globalThis.__bench.epochs")?;
    let epochs = recorded.as_array().context("the page tells no epochs")?.iter().map(epoch).collect::<Option<Vec<_>>>();
    let epochs = epochs.context("the page tells epochs without times")?;
    let line = epochs.iter().map(|epoch| format!("{} s {:.2} %", number(epoch.elapsed_secs), 100.0 * epoch.accuracy));
    report(format!("{query}: {}", line.collect::<Vec<_>>().join(", ")));
    Ok(epochs)
}

/// An epoch that the watching script recorded.
fn epoch(recorded: &Value) -> Option<Epoch> {
    Some(Epoch { elapsed_secs: recorded["ms"].as_f64()? / 1000.0, accuracy: recorded["accuracy"].as_f64()? })
}

/// Seconds until the end of the first epoch that reached the target; `None` if none did.
fn time_to(epochs: &[Epoch], target: f64) -> Option<f64> {
    epochs.iter().find(|epoch| epoch.accuracy >= target).map(|epoch| epoch.elapsed_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_epoch_that_is_good_enough_counts() {
        let epochs =
            [(5.0, 0.96), (10.0, 0.985), (15.0, 0.97)].map(|(elapsed_secs, accuracy)| Epoch { elapsed_secs, accuracy });
        assert_eq!([0.97, 0.98, 0.99].map(|target| time_to(&epochs, target)), [Some(10.0), Some(10.0), None]);
    }
}
