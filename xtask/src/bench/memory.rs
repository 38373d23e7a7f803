//! Memory of the page and its workers, from the browser's JavaScript engine, and of the browser's processes, from the
//! operating system. It never samples a worker that is computing.

use anyhow::Result;
use browser_driver::HeapMemory;
use inkling_core::spec::ModelId;

use super::figure::Measurement;
use super::process::resident;
use super::tab::Run;
use super::visit::{Site, Visit};
use crate::report;

/// Memory at one moment, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// The sum over the document and all its workers: JavaScript's heaps, WebAssembly's memories, and GPU buffers.
    pub page: HeapMemory,
    /// Number of workers.
    pub n_workers: usize,
    /// Memory of all processes of the browser; 0 if the system does not report it.
    pub browser: u64,
    /// Peak memory of the tab's process so far; 0 if the system does not report it.
    pub tab_peak: u64,
}

impl Sample {
    /// Takes a sample after a garbage collection. The run must be paused or finished.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn take(visit: &mut Visit) -> Result<Self> {
        let held = visit.page.held()?;
        let resident = resident(visit.browser.pid()).unwrap_or_default();
        let sum = |what: fn(&HeapMemory) -> u64| held.iter().map(what).sum();
        let page = HeapMemory {
            heap: sum(|each| each.heap),
            wasm: sum(|each| each.wasm),
            gpu_buffers: sum(|each| each.gpu_buffers),
        };
        Ok(Self { page, n_workers: held.len() - 1, browser: resident.now, tab_peak: resident.tab_peak })
    }

    /// Memory that the page itself allocates: heaps and WebAssembly's memories, in MB.
    pub fn own_mb(&self) -> f64 {
        (self.page.heap + self.page.wasm) as f64 / 1e6
    }
}

/// Measures after loading the page, and after 20 training steps of every network on the CPU engine. The batch size is
/// 128, and 32 for `wide`.
///
/// # Errors
/// When the page fails.
pub fn measure(site: &Site) -> Result<Vec<Measurement>> {
    let mut measurements =
        measurements("page loaded, pad reads", &Sample::take(&mut Visit::ready(site, "engine=cpu")?)?);
    for model in ModelId::ALL {
        let batch = if *model == ModelId::Wide { 32 } else { 128 };
        let run = Run { engine: "cpu", model: *model, batch, n_images: 20 * batch };
        let mut visit = Visit::ready(site, &run.query())?;
        visit.run()?;
        measurements.extend(self::measurements(
            &format!("after 20 steps of {model}, {}", run.how()),
            &Sample::take(&mut visit)?,
        ));
    }
    Ok(measurements)
}

fn measurements(how: &str, sample: &Sample) -> Vec<Measurement> {
    let mb = |bytes: u64| vec![bytes as f64 / 1e6];
    let heap = format!("of it WebAssembly {:.0} MB, which is also the most there was", sample.page.wasm as f64 / 1e6);
    let mut measurements =
        vec![Measurement::new("memory of page and worker", how, "MB").with(vec![sample.own_mb()]).beside(heap)];
    if sample.browser > 0 {
        let beside = format!("all of the browser now {:.0} MB", sample.browser as f64 / 1e6);
        measurements
            .push(Measurement::new("peak of the tab's process", how, "MB").with(mb(sample.tab_peak)).beside(beside));
    }
    measurements.iter().for_each(|measurement| {
        report(format!("{}, {how}: {}; {}", measurement.what, measurement.told(), measurement.beside))
    });
    measurements
}
