//! Training in a tab: images per second of the steps alone, and the time to the first step, as the page shows them. It
//! never measures validation.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::figure::{Case, Measurement, repeat};
use super::visit::{Site, Visit};
use super::{chosen, peak};

/// A training run to measure.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// As in the page's address: `cpu` or `webgpu`.
    pub engine: &'static str,
    /// The network.
    pub model: ModelId,
    /// Batch size.
    pub batch: usize,
    /// Number of training images. The defaults let a run take a few seconds on a machine of two cores.
    pub n_images: usize,
}

/// The networks that run on WebGPU by default: a software adapter is slow, and other networks show little more.
const ON_WEBGPU: [ModelId; 2] = [ModelId::Compact, ModelId::Classic];

impl Run {
    /// A run on the CPU, at the batch size of most published recipes.
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

    /// A run on WebGPU, for a software adapter: three steps, of which the first one compiles and is not measured.
    pub fn on_webgpu(model: ModelId) -> Self {
        Self { engine: "webgpu", model, batch: 32, n_images: 96 }
    }

    /// The query of the page's address for this run.
    pub fn query(&self) -> String {
        let Self { engine, model, batch, n_images } = self;
        format!(
            "engine={engine}&dataset=mnist&split=published&model={model}&batch={batch}&limit={n_images}&epochs=1&test_limit=200"
        )
    }

    /// The run's name in the table.
    pub fn what(&self) -> String {
        let adapter = if self.engine == "webgpu" { "WebGPU on a software adapter" } else { "CPU engine" };
        format!("{} in the tab, {adapter}", self.model)
    }

    /// Batch size and number of images, for the table.
    pub fn how(&self) -> String {
        format!("batch {}, {} images", self.batch, self.n_images)
    }

    /// Trains; returns the images per second of the training steps without the first one, and the seconds from Start to
    /// the first step.
    ///
    /// # Errors
    /// When the run fails.
    pub fn measure(&self, site: &Site) -> Result<[f64; 2]> {
        let mut visit = Visit::ready(site, &self.query())?;
        visit.run()?;
        Ok([visit.number("throughput", "data-images-per-second")?, visit.first_step_secs()?])
    }

    /// The case of this run, with two measurements: images per second, and seconds to the first step.
    pub fn case(self, site: &Site) -> Case<'_> {
        let first = format!("{}: from Start to the first step", self.what());
        let measurements =
            vec![Measurement::new(self.what(), self.how(), "images/s"), Measurement::new(first, self.how(), "s")];
        Case { measurements, measure: Box::new(move || Ok(self.measure(site)?.to_vec())) }
    }
}

/// Measures every network, or those in `models`, on those engines for which `wants` returns true, and the peak of
/// WebAssembly.
///
/// # Errors
/// When there is no Chromium.
pub fn measure(
    site: &Site,
    models: &[ModelId],
    wants: impl Fn(&str) -> bool,
    n_rounds: usize,
) -> Result<Vec<Measurement>> {
    let (plain, fused) = peak::in_browser()?;
    let on_cpu = chosen(models, ModelId::ALL).into_iter().map(Run::on_cpu);
    let on_webgpu = chosen(models, &ON_WEBGPU).into_iter().map(Run::on_webgpu);
    let runs: Vec<_> = on_cpu.chain(on_webgpu).filter(|run| wants(run.engine)).collect();
    let mut measurements = repeat(n_rounds, runs.iter().map(|run| run.case(site)).collect());
    for (run, measurements) in runs.iter().zip(measurements.chunks_mut(2)) {
        remark(run, measurements, plain.max(fused.unwrap_or(0.0)));
    }
    let peak = |what: &str, gflops| Measurement::new(what, "all cores, WebAssembly", "GFLOP/s").with(vec![gflops]);
    let mut peaks = vec![peak("peak of the tab, plain SIMD", plain)];
    peaks.extend(fused.map(|fused| peak("peak of the tab, relaxed SIMD", fused)));
    peaks.extend(measurements);
    let all = ModelId::ALL.iter().flat_map(|model| [Run::on_cpu(*model), Run::on_webgpu(*model)]);
    let not_run = all.filter(|run| !runs.iter().any(|each| (each.engine, each.model) == (run.engine, run.model)));
    peaks.extend(not_run.map(|run| Measurement::not_run(run.what(), "not asked for; --model names it")));
    Ok(peaks)
}

/// Adds remarks: GFLOP/s to the images per second, and the limit to the time of the first step.
fn remark(run: &Run, measurements: &mut [Measurement], peak: f64) {
    let on_cpu = run.engine == "cpu";
    if let Some(images_per_second) = measurements[0].median() {
        measurements[0].remark(&peak::remark(run.model, images_per_second, on_cpu.then_some(peak)));
    }
    if !on_cpu && run.model == ModelId::Classic {
        measurements[1].remark("limit 10 s");
    }
}
