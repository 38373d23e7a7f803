//! Selects the device that computes, states its memory limits, and tests that it computes correctly.
//!
//! `auto` selects the graphics card if there is a real one and it passes the self-test, otherwise the CPU. A software
//! adapter does not count as a card, because the CPU engine is far faster. This module never trains a user's network.

#[cfg_attr(not(feature = "gpu"), path = "device/no_graphics.rs")]
mod graphics;
#[cfg(any(feature = "gpu", test))]
mod selftest;

use std::cell::RefCell;
use std::rc::Rc;

use burn::tensor::{Device, Tensor};
use futures_util::future::join;
use inkling_core::models::Memory;
use inkling_core::protocol::{EngineKind, EngineReport, EngineRequest, Fault, Offer, Progress};
use inkling_core::spec::{EngineChoice, ModelId, Recipe, TrainSpec};
use inkling_kernels::Isa;

/// Whether this program runs in a browser.
const IN_BROWSER: bool = cfg!(target_family = "wasm");

/// A device that computes, its description and its limits.
#[derive(Clone)]
pub struct Engine {
    /// The device without automatic differentiation; the engine's backward pass is its own.
    pub device: Device,
    /// What the user is told about the engine.
    pub report: EngineReport,
    /// How much memory a run may need.
    pub limits: Limits,
    /// The user chose to skip the self-test of the graphics card.
    untested: bool,
    /// Shaders are compiled in parallel, by replaced methods of the browser (see `precompile`).
    patches: bool,
    /// Workloads whose shaders were compiled and passed the self-test.
    prepared: Prepared,
}

/// A network and the recipe that trains it: they decide which kernels run.
type Workload = (ModelId, Recipe);

type Prepared = Rc<RefCell<Vec<Workload>>>;

impl Engine {
    /// Prepares the device to train a network by a recipe: compiles the shaders, and tests that the device computes
    /// them correctly. `on_progress` receives the progress.
    ///
    /// # Errors
    /// When the device computes incorrectly, or has failed.
    pub async fn prepare(&self, model: ModelId, recipe: &Recipe, on_progress: impl Fn(Progress)) -> Result<(), Fault> {
        self.compile_and_test(model, recipe, on_progress).await.map_err(Refused::fault)
    }

    async fn compile_and_test(
        &self,
        model: ModelId,
        recipe: &Recipe,
        on_progress: impl Fn(Progress),
    ) -> Result<(), Refused> {
        match self.try_compile_and_test(model, recipe, on_progress).await {
            // The error of a lost device does not help the user, so another one replaces it.
            Err(_) if is_lost(&self.device).await => Err(Refused::lost()),
            result => result,
        }
    }

    async fn try_compile_and_test(
        &self,
        model: ModelId,
        recipe: &Recipe,
        on_progress: impl Fn(Progress),
    ) -> Result<(), Refused> {
        let workload = (model, recipe.clone());
        if self.report.kind == EngineKind::Cpu || self.prepared.borrow().contains(&workload) {
            return Ok(());
        }
        // The CPU computes the expected results while the browser compiles the shaders in other threads.
        let test_cases = async { if self.untested { Ok(None) } else { self.test_cases(&workload).await } };
        let (compiled, test_cases) = join(self.compile(&workload, &on_progress), test_cases).await;
        compiled?;
        let failed = |why| Refused { why, offer: Some(Offer::UseUntested) };
        if let Some(test_cases) = test_cases.map_err(failed)? {
            self.self_test(&workload, test_cases, &on_progress).await.map_err(failed)?;
        }
        self.prepared.borrow_mut().push(workload);
        Ok(())
    }
}

/// The fault that reports a lost device: one that no longer answers. It replaces the device's own error, a chain of
/// causes that does not help the user, and offers to open an engine again.
pub fn device_lost() -> Fault {
    Fault::new("The graphics card was lost", "Start again, or choose the engine \"cpu\".").offering(Offer::Reopen)
}

/// The reason why a graphics card is not used, and what the user may do instead of choosing the CPU.
struct Refused {
    why: String,
    offer: Option<Offer>,
}

/// Whether a device no longer answers.
async fn is_lost(device: &Device) -> bool {
    Tensor::<1>::from_data([0.0], device).into_data_async().await.is_err()
}

impl Refused {
    /// The refusal of a graphics card that was lost while it was prepared.
    fn lost() -> Self {
        Self { why: "the graphics card was lost while it was being prepared".into(), offer: Some(Offer::Reopen) }
    }

    fn fault(self) -> Fault {
        if self.offer == Some(Offer::Reopen) {
            return device_lost();
        }
        let what = format!("The engine \"{GRAPHICS}\" cannot be used: {}", self.why);
        Fault { offer: self.offer, ..Fault::new(what, "Choose the engine \"cpu\".") }
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self { why, offer: None }
    }
}

/// Memory limits of an engine in bytes; `None` where no limit is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Limit of all memory that a run needs.
    pub total: Option<u64>,
    /// Limit of the largest single array.
    pub tensor: Option<u64>,
}

impl Limits {
    /// WebAssembly addresses 4 GiB; a quarter of that is reserved for the images, the program and fragmentation.
    const WASM: u64 = 3 << 30;

    fn cpu() -> Self {
        Self { total: IN_BROWSER.then_some(Self::WASM), tensor: None }
    }

    /// Checks that the memory a run needs is within the limits.
    ///
    /// # Errors
    /// When it is not; the fault says what is too large and what to change.
    pub fn check(&self, needs: &Memory, spec: &TrainSpec) -> Result<(), Fault> {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let refused = |what: &str, needed: u64, limit: u64| {
            let batch = spec.recipe.batch;
            let what = format!(
                "The network \"{}\" at batch size {batch} needs {} MiB for {what}, but this engine holds {} MiB",
                spec.model,
                mib(needed),
                mib(limit)
            );
            Fault::new(what, "Choose a smaller batch, a smaller network, another engine, or the command line.")
        };
        match (self.total, self.tensor) {
            (Some(limit), _) if needs.total() > limit => Err(refused("a run", needs.total(), limit)),
            (_, Some(limit)) if needs.largest_tensor > limit => {
                Err(refused("its largest array", needs.largest_tensor, limit))
            }
            _ => Ok(()),
        }
    }
}

/// Opens the requested engine and, on a graphics card, prepares it for the requested network. `on_progress` receives
/// the progress.
///
/// # Errors
/// When the requested engine is not available here, or fails its self-test. `auto` never fails: it falls back to the
/// CPU, and its report says why.
pub async fn open(request: EngineRequest, on_progress: impl Fn(Progress)) -> Result<Engine, Fault> {
    let choice = request.choice;
    match choice {
        EngineChoice::Cpu => Ok(cpu(None)),
        EngineChoice::Auto => {
            let card = graphics::open(request, false, &on_progress).await;
            Ok(card.unwrap_or_else(|refused| cpu(Some(refused.why))))
        }
        EngineChoice::WebGpu | EngineChoice::Gpu if choice != GRAPHICS => Err(Fault::new(
            format!("The engine \"{choice}\" does not exist here"),
            format!("Choose \"{GRAPHICS}\" or \"cpu\"."),
        )),
        EngineChoice::WebGpu | EngineChoice::Gpu => {
            graphics::open(request, true, &on_progress).await.map_err(Refused::fault)
        }
    }
}

/// The choice that selects the graphics card on this platform.
const GRAPHICS: EngineChoice = if IN_BROWSER { EngineChoice::WebGpu } else { EngineChoice::Gpu };

/// The CPU engine. `fallback_reason` is the reason why no graphics card was selected, if one was tried.
fn cpu(fallback_reason: Option<String>) -> Engine {
    let report = EngineReport {
        kind: EngineKind::Cpu,
        adapter: cpu_name(),
        software: false,
        fallback_reason,
        work_per_sec: None,
        kernels: None,
    };
    let (device, limits) = (Device::flex(), Limits::cpu());
    Engine { device, report, limits, untested: false, patches: false, prepared: Prepared::default() }
}

/// The SIMD instructions that the kernels use; natively also the processor's name and the number of threads. In a
/// browser each worker is one thread, and the page knows the number of workers.
fn cpu_name() -> String {
    if IN_BROWSER {
        return Isa::best().name().into();
    }
    let (vectors, threads) = (Isa::best().name(), inkling_kernels::n_threads());
    let threads = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
    let brand = inkling_kernels::cpu_brand().map(|brand| format!("{brand}, ")).unwrap_or_default();
    format!("{brand}{vectors}, {threads}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::models;
    use inkling_core::spec::ModelId;

    #[test]
    fn runs_beyond_the_limits_are_refused_with_a_remedy() {
        let spec = TrainSpec::of(ModelId::Wide);
        let needs = models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        assert_eq!(Limits::default().check(&needs, &spec), Ok(()));
        let fault = |total, tensor| Limits { total, tensor }.check(&needs, &spec).unwrap_err().to_string();
        assert!(fault(Some(100 << 20), None).contains("holds 100 MiB. Choose a smaller batch"));
        // 8,192 × 3,136 weights of 4 bytes are 98 MiB.
        assert!(fault(Some(3 << 30), Some(64 << 20)).contains("98 MiB for its largest array"));
        assert_eq!(Limits { total: Some(3 << 30), tensor: Some(128 << 20) }.check(&needs, &spec), Ok(()));
    }
}
