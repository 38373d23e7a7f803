//! Time to an accuracy in a tab: from Start to the end of the first epoch whose validation reaches it. Loading the images,
//! validating and showing are in it.

use anyhow::{Context, Result};
use serde_json::Value;

use super::figure::{Figure, number};
use super::visit::{Site, Visit};
use crate::say;

/// A run that is quick to learn.
pub const SPRINT: &str = "engine=cpu&dataset=mnist&model=compact&batch=128&epochs=4";

/// What is waited for, as shares of the images for validation.
const WANTED: [f64; 3] = [0.97, 0.98, 0.99];

/// The end of an epoch.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    secs: f64,
    accuracy: f64,
}

/// Runs once in each round, each time with another seed.
///
/// # Errors
/// When a run fails.
pub fn measure(site: &Site, query: &str, n_rounds: usize) -> Result<Vec<Figure>> {
    let runs = (1..=n_rounds).map(|seed| epochs(site, &format!("{query}&seed={seed}"))).collect::<Result<Vec<_>>>()?;
    let figures = WANTED.map(|wanted| {
        let secs: Vec<f64> = runs.iter().filter_map(|run| time_to(run, wanted)).collect();
        let beside = format!("reached by {} of {n_rounds} seeds", secs.len());
        Figure::new(format!("time to {:.0} % on the test images, in the tab", 100.0 * wanted), query, "s")
            .with(secs)
            .beside(beside)
    });
    Ok(figures.to_vec())
}

fn epochs(site: &Site, query: &str) -> Result<Vec<Epoch>> {
    let mut visit = Visit::ready(site, query)?;
    visit.run()?;
    let told = visit.page.evaluate("globalThis.__bench.epochs")?;
    let epochs = told.as_array().context("the page tells no epochs")?.iter().map(epoch).collect::<Option<Vec<_>>>();
    let epochs = epochs.context("the page tells epochs without times")?;
    let line = epochs.iter().map(|epoch| format!("{} s {:.2} %", number(epoch.secs), 100.0 * epoch.accuracy));
    say(format!("{query}: {}", line.collect::<Vec<_>>().join(", ")));
    Ok(epochs)
}

fn epoch(told: &Value) -> Option<Epoch> {
    Some(Epoch { secs: told["ms"].as_f64()? / 1000.0, accuracy: told["accuracy"].as_f64()? })
}

/// Seconds until the first epoch that was as good as wanted.
fn time_to(epochs: &[Epoch], wanted: f64) -> Option<f64> {
    epochs.iter().find(|epoch| epoch.accuracy >= wanted).map(|epoch| epoch.secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_epoch_that_is_good_enough_counts() {
        let epochs = [(5.0, 0.96), (10.0, 0.985), (15.0, 0.97)].map(|(secs, accuracy)| Epoch { secs, accuracy });
        assert_eq!([0.97, 0.98, 0.99].map(|wanted| time_to(&epochs, wanted)), [Some(10.0), Some(10.0), None]);
    }
}
