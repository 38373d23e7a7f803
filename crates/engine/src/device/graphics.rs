//! The engine of a graphics card: opened, its faster kernels chosen, its shaders compiled and tested.

mod adapter;
#[cfg_attr(not(target_family = "wasm"), path = "graphics/no_precompile.rs")]
mod precompile;

use std::hash::{DefaultHasher, Hash, Hasher};

use adapter::FoundAdapter;
use burn::tensor::Device;
use inkling_core::protocol::{EngineReport, EngineRequest, Kernels, Phase, Progress};
use inkling_core::spec::Recipe;

use super::selftest::{self, TestCase};
use super::{Engine, Limits, Prepared, Refused, Workload};
use crate::network::GpuContext;

/// Opens the graphics card and tests it with the requested network. A software adapter is accepted only if
/// `allow_software`.
pub(super) async fn open(
    request: EngineRequest,
    allow_software: bool,
    on_progress: &impl Fn(Progress),
) -> Result<Engine, Refused> {
    on_progress(begun(Phase::Engine));
    let found = adapter::find(allow_software).await?;
    let limits = Limits { total: None, tensor: Some(adapter::largest_buffer(&found)) };
    let device = adapter::open(&found).await?;
    let kernels = choose_kernels(&device, &found, request.kernels).await?;
    let report = EngineReport {
        kind: adapter::KIND,
        adapter: found.name,
        software: found.software,
        fallback_reason: None,
        work_per_sec: None,
        kernels,
    };
    let EngineRequest { untested, patches, .. } = request;
    let engine = Engine { device, report, limits, untested, patches, prepared: Prepared::default() };
    engine.compile_and_test(request.model, &Recipe::of(request.model), on_progress).await?;
    Ok(engine)
}

impl Engine {
    /// The self-test's cases for a workload, or `None` if the same kernels were tested before.
    pub(super) async fn test_cases(&self, (model, recipe): &Workload) -> Result<Option<Vec<TestCase>>, String> {
        // Of the recipe, only the optimizer decides which kernels run.
        let same_kernels = |(known, by): &Workload| known == model && by.optimizer == recipe.optimizer;
        if self.prepared.borrow().iter().any(same_kernels) {
            return Ok(None);
        }
        selftest::test_cases(*model, &self.device).await.map(Some)
    }

    pub(super) async fn self_test(
        &self,
        (model, recipe): &Workload,
        test_cases: Vec<TestCase>,
        on_progress: &impl Fn(Progress),
    ) -> Result<(), String> {
        let on_part = |done, total| on_progress(Progress { phase: Phase::SelfTest, done, total });
        selftest::check(*model, recipe, test_cases, &self.device, on_part).await
    }

    /// Compiles the shaders of training and prediction ahead of time where that is faster: in a browser.
    pub(super) async fn compile(&self, workload: &Workload, on_progress: &impl Fn(Progress)) -> Result<(), String> {
        if !self.patches {
            return Ok(());
        }
        on_progress(begun(Phase::Compile));
        let on_shader = |done, total| on_progress(Progress { phase: Phase::Compile, done, total });
        precompile::precompile(&self.device, std::slice::from_ref(workload), on_shader).await
    }
}

/// Measures whether the tiled kernels are faster on a graphics card, unless that is known from an earlier measurement,
/// and selects the faster ones. Software adapters never use tiles, which are of no use there.
async fn choose_kernels(
    device: &Device,
    found: &FoundAdapter,
    known: Option<Kernels>,
) -> Result<Option<Kernels>, String> {
    let adapter = hash(&found.name);
    let kernels = match known.filter(|known| known.adapter == adapter) {
        _ if found.software => None,
        Some(known) => Some(known),
        None => {
            let tiles = inkling_shaders::tiles_are_faster(&GpuContext::on(device).gpu).await?;
            Some(Kernels { adapter, tiles })
        }
    };
    inkling_shaders::Gpu::set_default_tiling(kernels.is_some_and(|kernels| kernels.tiles));
    Ok(kernels)
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// The progress at the start of a phase whose total is not known.
fn begun(phase: Phase) -> Progress {
    Progress { phase, done: 0, total: 0 }
}
