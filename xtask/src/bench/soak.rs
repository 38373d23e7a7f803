//! Memory leaks: memory after every epoch of long runs, and memory and workers left after many starts and stops. It
//! never fails by itself; the table contains the growth and the failures.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::chosen;
use super::figure::{Measurement, number};
use super::memory::Sample;
use super::visit::{LONG_TIMEOUT, Site, Visit};
use crate::report;

/// A run whose memory is sampled after every epoch.
struct Run {
    /// Its name in the table.
    what: &'static str,
    /// As in the page's address.
    engine: &'static str,
    model: ModelId,
    /// Batch size and limits, as in the page's address.
    more: &'static str,
    n_epochs: usize,
}

/// Runs that take a few minutes: larger ones on the CPU engine, smaller ones on the software adapter.
const RUNS: [Run; 4] = [
    Run {
        what: "50 epochs of compact, CPU engine, 1,280 images",
        engine: "cpu",
        model: ModelId::Compact,
        more: "batch=128&limit=1280&test_limit=200",
        n_epochs: 50,
    },
    Run {
        what: "2,000 steps of classic, CPU engine, batch 32, 40 epochs of 1,600 images",
        engine: "cpu",
        model: ModelId::Classic,
        more: "batch=32&limit=1600&test_limit=200",
        n_epochs: 40,
    },
    Run {
        what: "50 epochs of compact, WebGPU on a software adapter, 256 images",
        engine: "webgpu",
        model: ModelId::Compact,
        more: "batch=8&limit=256&test_limit=8",
        n_epochs: 50,
    },
    Run {
        what: "2,000 steps of classic, WebGPU on a software adapter, batch 1, 40 epochs of 50 images",
        engine: "webgpu",
        model: ModelId::Classic,
        more: "batch=1&limit=50&test_limit=8",
        n_epochs: 40,
    },
];

/// How often a run is started and stopped, after a first start and stop.
const N_STARTS: usize = 20;

/// Measures the long runs, then the starts, on both engines.
///
/// # Errors
/// None: failures are in the table.
pub fn measure(site: &Site, models: &[ModelId], wants: impl Fn(&str) -> bool) -> Result<Vec<Measurement>> {
    let mut measurements = vec![];
    let models = chosen(models, ModelId::ALL);
    for run in &RUNS {
        if !wants(run.engine) || !models.contains(&run.model) {
            measurements.push(Measurement::not_run(run.what, "not asked for"));
            continue;
        }
        measurements.extend(or_failure(run.what, run.curve(site).map(|curve| growth(run.what, &curve))));
    }
    for engine in ["cpu", "webgpu"].into_iter().filter(|engine| wants(engine)) {
        let what = format!("{N_STARTS} starts and stops of compact, {engine}");
        measurements.extend(or_failure(&what, starts(site, engine, &what)));
    }
    Ok(measurements)
}

/// The measurements, or a row that reports the failure.
fn or_failure(what: &str, measurements: Result<Vec<Measurement>>) -> Vec<Measurement> {
    measurements.unwrap_or_else(|error| {
        report(format!("{what}: failed: {error:#}"));
        vec![Measurement::not_run(what, super::figure::failure(1, &error))]
    })
}

impl Run {
    /// Trains, and samples memory after each epoch while the run is paused.
    fn curve(&self, site: &Site) -> Result<Vec<Sample>> {
        report(format!("soak: {}", self.what));
        let Self { engine, model, more, n_epochs, .. } = self;
        let query = format!("engine={engine}&dataset=mnist&model={model}&{more}&epochs={n_epochs}");
        let mut visit = Visit::ready(site, &query)?;
        visit.page.click("start")?;
        let mut curve = Vec::with_capacity(self.n_epochs);
        for epoch in 1..=self.n_epochs {
            let rows = "document.querySelectorAll(\"[data-testid='epoch-log'] [data-testid='epoch-row']\").length";
            visit.page.wait_for(&format!("{rows} >= {epoch}"), LONG_TIMEOUT)?;
            visit.hold()?;
            curve.push(Sample::take(&mut visit)?);
            visit.go_on()?;
            let Sample { page, browser, .. } = curve[epoch - 1];
            let own_mb = number(curve[epoch - 1].own_mb());
            report(format!(
                "epoch {epoch}: {own_mb} MB, {} GPU buffers, browser {} MB",
                page.gpu_buffers,
                browser / 1_000_000
            ));
        }
        visit.wait_for_state("finished")?;
        Ok(curve)
    }
}

/// Measurements of the growth from the first epoch to the last: page and worker, browser, GPU buffers.
fn growth(what: &str, curve: &[Sample]) -> Vec<Measurement> {
    let own_mb: Vec<f64> = curve.iter().map(Sample::own_mb).collect();
    let browser_mb: Vec<f64> = curve.iter().map(|sample| sample.browser as f64 / 1e6).collect();
    let buffers = curve.iter().map(|sample| sample.page.gpu_buffers as f64).collect::<Vec<_>>();
    let growth_of = |name: &str, curve: &[f64]| {
        Measurement::new(format!("{name}: growth after the first epoch"), what, "%")
            .with(percent(curve))
            .beside(format!("limit 2 %; MB by epoch: {}", thinned(curve)))
    };
    let mut measurements = vec![growth_of("page and worker", &own_mb)];
    if browser_mb.iter().all(|mb| *mb > 0.0) {
        measurements.push(growth_of("all of the browser", &browser_mb));
    }
    if buffers.iter().any(|n| *n > 0.0) {
        let beside = format!("by epoch: {}", thinned(&buffers));
        measurements.push(
            Measurement::new("GPU buffers: growth after the first epoch", what, "%")
                .with(percent(&buffers))
                .beside(beside),
        );
    }
    measurements
}

/// The growth from the first value to the last in per cent; empty if there is none, or the first is not positive.
fn percent(curve: &[f64]) -> Vec<f64> {
    let ends = curve.first().zip(curve.last()).filter(|(first, _)| **first > 0.0);
    ends.map(|(first, last)| 100.0 * (last / first - 1.0)).into_iter().collect()
}

/// At most eleven values of a curve, evenly spaced from the first to the last, as text.
fn thinned(curve: &[f64]) -> String {
    let n = curve.len();
    let indices = if n <= 11 { (0..n).collect() } else { (0..=10).map(|i| i * (n - 1) / 10).collect::<Vec<_>>() };
    indices.into_iter().map(|index| number(curve[index])).collect::<Vec<_>>().join(", ")
}

/// Starts and stops a run again and again; measures the difference in workers and memory between the first stop and the
/// last.
fn starts(site: &Site, engine: &str, what: &str) -> Result<Vec<Measurement>> {
    let (batch, n_steps) = if engine == "cpu" { (128, 2) } else { (8, 1) };
    let query = format!("engine={engine}&dataset=mnist&model=compact&batch={batch}&limit=12800&test_limit=8&epochs=40");
    let mut visit = Visit::ready(site, &query)?;
    let mut samples = vec![];
    for start in 0..=N_STARTS {
        visit.page.click("start")?;
        visit.wait_for_state("training")?;
        visit.wait_past_step(n_steps)?;
        visit.page.click("stop")?;
        visit.wait_for_state("finished")?;
        samples.push(Sample::take(&mut visit)?);
        let Sample { page, n_workers, .. } = samples[start];
        let own_mb = number(samples[start].own_mb());
        report(format!("start {start}: {own_mb} MB, {n_workers} workers, {} GPU buffers", page.gpu_buffers));
    }
    let left_behind = |name: &str, count: fn(&Sample) -> f64| {
        let (first, last) = (count(&samples[0]), count(&samples[N_STARTS]));
        Measurement::new(format!("{name} left behind"), what, "").with(vec![last - first]).beside(format!(
            "{} after the first stop, {} after the last",
            number(first),
            number(last)
        ))
    };
    Ok(vec![
        left_behind("workers", |sample| sample.n_workers as f64),
        left_behind("GPU buffers", |sample| sample.page.gpu_buffers as f64),
        left_behind("MB of page and worker", Sample::own_mb),
        left_behind("MB of the browser", |sample| sample.browser as f64 / 1e6),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_from_the_first_epoch_to_the_last() {
        assert_eq!(percent(&[100.0, 150.0, 101.0]), [1.0000000000000009]);
        assert_eq!(percent(&[0.0, 1.0]), [0.0; 0]);
        assert_eq!(percent(&[]), [0.0; 0]);
    }

    #[test]
    fn long_curves_are_thinned_but_keep_their_ends() {
        let curve: Vec<f64> = (1..=50).map(f64::from).collect();
        let text = thinned(&curve);
        assert_eq!(text.split(", ").count(), 11);
        assert!(text.starts_with("1.00,") && text.ends_with("50.0"), "{text}");
        assert_eq!(thinned(&[1.0, 2.0]), "1.00, 2.00");
    }
}
