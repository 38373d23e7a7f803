//! What the page and its worker hold, asked of the browser's own engine, and beside it what its processes hold.

use anyhow::Result;
use browser_driver::Held;
use inkling_core::spec::ModelId;

use super::figure::Figure;
use super::process::resident;
use super::tab::Run;
use super::visit::{Site, Visit};
use crate::say;

/// What is held at one moment, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    /// Of the document and all its workers: JavaScript's heaps and WebAssembly's memories.
    pub page: Held,
    pub n_workers: usize,
    /// All processes of the browser; 0 where the system does not tell.
    pub browser: u64,
    /// The most that the process of the tab ever held; 0 where the system does not tell.
    pub tab_peak: u64,
}

impl Sample {
    /// Takes one, after a collection of garbage; the run must be held or over.
    ///
    /// # Errors
    /// When the browser does not answer.
    pub fn take(visit: &mut Visit) -> Result<Self> {
        let held = visit.page.held()?;
        let resident = resident(visit.browser.pid()).unwrap_or_default();
        let sum = |what: fn(&Held) -> u64| held.iter().map(what).sum();
        let page = Held { heap: sum(|it| it.heap), wasm: sum(|it| it.wasm), gpu_buffers: sum(|it| it.gpu_buffers) };
        Ok(Self { page, n_workers: held.len() - 1, browser: resident.now, tab_peak: resident.tab_peak })
    }

    /// What the page itself answers for: heaps and WebAssembly's memories, in MB.
    pub fn own_mb(&self) -> f64 {
        (self.page.heap + self.page.wasm) as f64 / 1e6
    }
}

/// After loading, and after a run of every network on the CPU engine; `wide` takes 20 steps of 32 images.
///
/// # Errors
/// When the page fails.
pub fn measure(site: &Site) -> Result<Vec<Figure>> {
    let mut figures = figures("page loaded, pad reads", &Sample::take(&mut Visit::ready(site, "engine=cpu")?)?);
    for model in ModelId::ALL {
        let batch = if *model == ModelId::Wide { 32 } else { 128 };
        let run = Run { engine: "cpu", model: *model, batch, n_images: 20 * batch };
        let mut visit = Visit::ready(site, &run.query())?;
        visit.run()?;
        figures.extend(self::figures(&format!("after 20 steps of {model}, {}", run.how()), &Sample::take(&mut visit)?));
    }
    Ok(figures)
}

fn figures(how: &str, sample: &Sample) -> Vec<Figure> {
    let mb = |bytes: u64| vec![bytes as f64 / 1e6];
    let heap = format!("of it WebAssembly {:.0} MB, which is also the most there was", sample.page.wasm as f64 / 1e6);
    let mut figures =
        vec![Figure::new("memory of page and worker", how, "MB").with(vec![sample.own_mb()]).beside(heap)];
    if sample.browser > 0 {
        let beside = format!("all of the browser now {:.0} MB", sample.browser as f64 / 1e6);
        figures.push(Figure::new("peak of the tab's process", how, "MB").with(mb(sample.tab_peak)).beside(beside));
    }
    figures.iter().for_each(|figure| say(format!("{}, {how}: {}; {}", figure.what, figure.told(), figure.beside)));
    figures
}
