//! Training in a tab, as the page shows it: images a second of the steps alone, and the time to the first step.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::figure::{Case, Figure, repeat};
use super::visit::{Site, Visit};
use super::{chosen, peak};

/// A run to measure.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// As in the address.
    pub engine: &'static str,
    pub model: ModelId,
    pub batch: usize,
    /// Training images: so many that a run takes some seconds on a machine of two cores.
    pub n_images: usize,
}

/// What runs on WebGPU where nothing was asked for: a software adapter is slow, and the others tell little more.
const ON_WEBGPU: [ModelId; 2] = [ModelId::Compact, ModelId::Classic];

impl Run {
    /// On the CPU, at the batch of most published recipes.
    fn on_cpu(model: ModelId) -> Self {
        let n_images = match model {
            ModelId::Compact | ModelId::Sprint => 12_800,
            ModelId::Strided => 7_680,
            ModelId::Classic => 3_840,
            ModelId::Leaky => 2_560,
            ModelId::Wide => 384,
        };
        Self { engine: "cpu", model, batch: 128, n_images }
    }

    /// On WebGPU, which here is a software adapter: three steps, of which the first compiles and does not count.
    pub fn on_webgpu(model: ModelId) -> Self {
        Self { engine: "webgpu", model, batch: 32, n_images: 96 }
    }

    pub fn query(&self) -> String {
        let Self { engine, model, batch, n_images } = self;
        format!(
            "engine={engine}&dataset=mnist&split=published&model={model}&batch={batch}&limit={n_images}&epochs=1&test_limit=200"
        )
    }

    /// What the table calls it.
    pub fn what(&self) -> String {
        let adapter = if self.engine == "webgpu" { "WebGPU on a software adapter" } else { "CPU engine" };
        format!("{} in the tab, {adapter}", self.model)
    }

    pub fn how(&self) -> String {
        format!("batch {}, {} images", self.batch, self.n_images)
    }

    /// Images a second of the training steps, the first left out, and seconds from Start to the first step.
    ///
    /// # Errors
    /// When the run fails.
    pub fn measure(&self, site: &Site) -> Result<[f64; 2]> {
        let mut visit = Visit::ready(site, &self.query())?;
        visit.run()?;
        Ok([visit.number("throughput", "data-images-per-second")?, visit.first_step_secs()?])
    }

    /// The two figures of it, measured in rounds.
    pub fn case(self, site: &Site) -> Case<'_> {
        let first = format!("{}: from Start to the first step", self.what());
        let figures = vec![Figure::new(self.what(), self.how(), "images/s"), Figure::new(first, self.how(), "s")];
        Case { figures, measure: Box::new(move || Ok(self.measure(site)?.to_vec())) }
    }
}

/// Every network on both engines.
///
/// # Errors
/// When there is no Chromium.
pub fn measure(site: &Site, models: &[ModelId], wants: impl Fn(&str) -> bool, n_rounds: usize) -> Result<Vec<Figure>> {
    let (plain, fused) = peak::in_browser()?;
    let on_cpu = chosen(models, ModelId::ALL).into_iter().map(Run::on_cpu);
    let on_webgpu = chosen(models, &ON_WEBGPU).into_iter().map(Run::on_webgpu);
    let runs: Vec<_> = on_cpu.chain(on_webgpu).filter(|run| wants(run.engine)).collect();
    let mut figures = repeat(n_rounds, runs.iter().map(|run| run.case(site)).collect());
    for (run, figures) in runs.iter().zip(figures.chunks_mut(2)) {
        remark(run, figures, plain.max(fused.unwrap_or(0.0)));
    }
    let peak = |what: &str, gflops| Figure::new(what, "all cores, WebAssembly", "GFLOP/s").with(vec![gflops]);
    let mut peaks = vec![peak("peak of the tab, plain SIMD", plain)];
    peaks.extend(fused.map(|fused| peak("peak of the tab, relaxed SIMD", fused)));
    peaks.extend(figures);
    let all = ModelId::ALL.iter().flat_map(|model| [Run::on_cpu(*model), Run::on_webgpu(*model)]);
    let left_out = all.filter(|run| !runs.iter().any(|it| (it.engine, it.model) == (run.engine, run.model)));
    peaks.extend(left_out.map(|run| Figure::not_run(run.what(), "not asked for; --model names it")));
    Ok(peaks)
}

/// The arithmetic beside the images a second, the limit beside the first step.
fn remark(run: &Run, figures: &mut [Figure], peak: f64) {
    let on_cpu = run.engine == "cpu";
    if let Some(images_per_second) = figures[0].median() {
        figures[0].remark(&peak::remark(run.model, images_per_second, on_cpu.then_some(peak)));
    }
    if !on_cpu && run.model == ModelId::Classic {
        figures[1].remark("limit 10 s");
    }
}
