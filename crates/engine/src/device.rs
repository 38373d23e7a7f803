//! Which device runs the tensors, and the proof that it computes rightly.
//!
//! `auto` takes the graphics card when there is a real one and it passes the self-test, otherwise the CPU. A software
//! adapter counts as no card: the CPU engine is far faster there.

#[cfg(feature = "gpu")]
mod adapter;
#[cfg(all(feature = "gpu", target_family = "wasm"))]
mod rehearsal;
#[cfg(any(feature = "gpu", test))]
mod selftest;

use std::cell::RefCell;
#[cfg(feature = "gpu")]
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use burn::tensor::Device;
use futures_util::future::join;
use inkling_core::models::Memory;
use inkling_core::protocol::{EngineKind, EngineReport, EngineRequest, Fault, Offer, Progress};
#[cfg(feature = "gpu")]
use inkling_core::protocol::{Kernels, Phase};
use inkling_core::spec::{EngineChoice, ModelId, Recipe, TrainSpec};
use inkling_kernels::Isa;
#[cfg(feature = "gpu")]
use selftest::Question;

/// A device with what is known of it.
#[derive(Clone)]
pub struct Engine {
    /// Without gradients; a training pass tracks what it needs.
    pub device: Device,
    pub report: EngineReport,
    pub limits: Limits,
    /// Somebody asked for a card that is not tested.
    untested: bool,
    /// Shaders are compiled side by side, by a stand-in for the browser's methods.
    patches: bool,
    /// What its shaders were compiled for, and found right.
    prepared: Prepared,
}

type Prepared = Rc<RefCell<Vec<(ModelId, Recipe)>>>;

impl Engine {
    /// Gets ready to train a network by a recipe: compiles what they need, and tests that the device computes it
    /// rightly; `on` hears what is going on.
    ///
    /// # Errors
    /// When the device computes wrongly, or has failed.
    pub async fn prepare(&self, model: ModelId, recipe: &Recipe, on: impl Fn(Progress)) -> Result<(), Fault> {
        self.prove(model, recipe, on).await.map_err(Refused::fault)
    }

    async fn prove(&self, model: ModelId, recipe: &Recipe, on: impl Fn(Progress)) -> Result<(), Refused> {
        let play = (model, recipe.clone());
        if self.report.kind == EngineKind::Cpu || self.prepared.borrow().contains(&play) {
            return Ok(());
        }
        // The CPU works out what the card must come to while the shaders are compiled elsewhere.
        let questions = async { if self.untested { Ok(None) } else { self.questions(&play).await } };
        let (compiled, questions) = join(self.compile(&play, &on), questions).await;
        compiled?;
        let failed = |why| Refused { why, offer: Some(Offer::UseUntested) };
        if let Some(questions) = questions.map_err(failed)? {
            self.ask(&play, questions, &on).await.map_err(failed)?;
        }
        self.prepared.borrow_mut().push(play);
        Ok(())
    }

    async fn compile(&self, play: &(ModelId, Recipe), on: &impl Fn(Progress)) -> Result<(), String> {
        if self.patches { compile(&self.device, std::slice::from_ref(play), on).await } else { Ok(()) }
    }
}

#[cfg(feature = "gpu")]
impl Engine {
    /// What the card is to be asked; nothing where it was asked already.
    async fn questions(&self, (model, recipe): &(ModelId, Recipe)) -> Result<Option<Vec<Question>>, String> {
        // Only the optimizer of a recipe decides which kernels there are.
        let same = |(known, by): &(ModelId, Recipe)| known == model && by.optimizer == recipe.optimizer;
        if self.prepared.borrow().iter().any(same) {
            return Ok(None);
        }
        selftest::questions(*model, &self.device).await.map(Some)
    }

    async fn ask(
        &self,
        (model, recipe): &(ModelId, Recipe),
        questions: Vec<Question>,
        on: &impl Fn(Progress),
    ) -> Result<(), String> {
        let told = |done, total| on(Progress { phase: Phase::SelfTest, done, total });
        selftest::check(*model, recipe, questions, &self.device, told).await
    }
}

#[cfg(not(feature = "gpu"))]
impl Engine {
    async fn questions(&self, _: &(ModelId, Recipe)) -> Result<Option<()>, String> {
        Ok(None)
    }

    async fn ask(&self, _: &(ModelId, Recipe), (): (), _: &impl Fn(Progress)) -> Result<(), String> {
        Ok(())
    }
}

/// Why a graphics card is not used.
struct Refused {
    why: String,
    offer: Option<Offer>,
}

impl Refused {
    fn fault(self) -> Fault {
        let what = format!("The engine \"{GRAPHICS}\" cannot be used: {}", self.why);
        Fault { offer: self.offer, ..Fault::new(what, "Choose the engine \"cpu\".") }
    }
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self { why, offer: None }
    }
}

/// What an engine can hold, in bytes; `None` where nothing is known to be in the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Everything that a run needs.
    pub total: Option<u64>,
    /// The largest single array.
    pub tensor: Option<u64>,
}

impl Limits {
    /// WebAssembly addresses 4 GiB; a quarter of it is left to the images, to the program and to holes.
    const WASM: u64 = 3 << 30;

    fn cpu() -> Self {
        Self { total: cfg!(target_family = "wasm").then_some(Self::WASM), tensor: None }
    }

    /// Whether a run that needs so much can be tried.
    ///
    /// # Errors
    /// What is too large, and what to change.
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

/// Opens an engine; `on` hears what is going on.
///
/// # Errors
/// When the choice cannot be had here. `auto` always can: it falls back to the CPU and says why.
pub async fn open(request: EngineRequest, on: impl Fn(Progress)) -> Result<Engine, Fault> {
    let choice = request.choice;
    match choice {
        EngineChoice::Cpu => Ok(cpu(None)),
        EngineChoice::Auto => Ok(graphics(request, false, &on).await.unwrap_or_else(|refused| cpu(Some(refused.why)))),
        EngineChoice::WebGpu | EngineChoice::Gpu if choice != GRAPHICS => Err(Fault::new(
            format!("The engine \"{choice}\" does not exist here"),
            format!("Choose \"{GRAPHICS}\" or \"cpu\"."),
        )),
        EngineChoice::WebGpu | EngineChoice::Gpu => graphics(request, true, &on).await.map_err(Refused::fault),
    }
}

/// How users ask for the graphics card here.
const GRAPHICS: EngineChoice = if cfg!(target_family = "wasm") { EngineChoice::WebGpu } else { EngineChoice::Gpu };

/// The CPU engine, with the reason why no graphics card was taken.
fn cpu(passed_over: Option<String>) -> Engine {
    let report = EngineReport {
        kind: EngineKind::Cpu,
        adapter: cpu_name(),
        software: false,
        passed_over,
        work_per_sec: None,
        kernels: None,
    };
    let (device, limits) = (Device::flex(), Limits::cpu());
    Engine { device, report, limits, untested: false, patches: false, prepared: Prepared::default() }
}

/// The instructions and threads that the kernels use, and natively the processor's own name. In a browser a worker is one
/// thread, and who shows this knows how many there are.
fn cpu_name() -> String {
    if cfg!(target_family = "wasm") {
        return Isa::best().name().into();
    }
    let (vectors, threads) = (Isa::best().name(), inkling_kernels::n_threads());
    let threads = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
    let brand = brand().map(|brand| format!("{brand}, ")).unwrap_or_default();
    format!("{brand}{vectors}, {threads}")
}

/// What the processor calls itself.
#[cfg(target_arch = "x86_64")]
fn brand() -> Option<String> {
    use std::arch::x86_64::__cpuid;
    // Leaves 0x8000_0002 to 4 hold 48 letters, where the processor has them (Intel's manual, volume 2, CPUID).
    const LETTERS: std::ops::RangeInclusive<u32> = 0x8000_0002..=0x8000_0004;
    if __cpuid(0x8000_0000).eax < *LETTERS.end() {
        return None;
    }
    let words = LETTERS.map(__cpuid).flat_map(|leaf| [leaf.eax, leaf.ebx, leaf.ecx, leaf.edx]);
    let letters: Vec<u8> = words.flat_map(u32::to_le_bytes).take_while(|letter| *letter != 0).collect();
    Some(String::from_utf8_lossy(&letters).split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(not(target_arch = "x86_64"))]
fn brand() -> Option<String> {
    None
}

/// The small workers and a command line without the `gpu` feature, as the tests use it, know no graphics card.
#[cfg(not(feature = "gpu"))]
async fn graphics(_: EngineRequest, _: bool, _: &impl Fn(Progress)) -> Result<Engine, Refused> {
    Err("this program was built without graphics cards (feature \"gpu\")".to_owned().into())
}

/// The graphics card, tested with the network that is asked for; a program that imitates one only where that is allowed.
#[cfg(feature = "gpu")]
async fn graphics(request: EngineRequest, software: bool, on: &impl Fn(Progress)) -> Result<Engine, Refused> {
    on(begun(Phase::Engine));
    let found = adapter::find(software).await?;
    let limits = Limits { total: None, tensor: Some(adapter::largest_buffer(&found)) };
    let device = adapter::open(&found).await?;
    let kernels = choose_kernels(&device, &found, request.kernels).await?;
    let report = EngineReport {
        kind: adapter::KIND,
        adapter: found.name,
        software: found.software,
        passed_over: None,
        work_per_sec: None,
        kernels,
    };
    let EngineRequest { untested, patches, .. } = request;
    let engine = Engine { device, report, limits, untested, patches, prepared: Prepared::default() };
    engine.prove(request.model, &Recipe::of(request.model), on).await?;
    Ok(engine)
}

/// Finds out which kernels are faster on a card, unless that is known; a program that imitates one is known to have no use for
/// tiles.
#[cfg(feature = "gpu")]
async fn choose_kernels(
    device: &Device,
    found: &adapter::Found,
    known: Option<Kernels>,
) -> Result<Option<Kernels>, String> {
    let adapter = hash(&found.name);
    let kernels = match known.filter(|known| known.adapter == adapter) {
        _ if found.software => None,
        Some(known) => Some(known),
        None => {
            let tiles = inkling_shaders::tiles_win(&crate::network::Card::on(device).gpu).await?;
            Some(Kernels { adapter, tiles })
        }
    };
    inkling_shaders::Gpu::choose_tiles(kernels.is_some_and(|kernels| kernels.tiles));
    Ok(kernels)
}

#[cfg(feature = "gpu")]
fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Compiles what training and reading need, where that goes faster ahead of them: in a browser.
#[cfg(all(feature = "gpu", target_family = "wasm"))]
async fn compile(device: &Device, plays: &[(ModelId, Recipe)], on: &impl Fn(Progress)) -> Result<(), String> {
    on(begun(Phase::Compile));
    rehearsal::rehearse(device, plays, |done, total| on(Progress { phase: Phase::Compile, done, total })).await
}

#[cfg(not(all(feature = "gpu", target_family = "wasm")))]
async fn compile(_: &Device, _: &[(ModelId, Recipe)], _: &impl Fn(Progress)) -> Result<(), String> {
    Ok(())
}

/// Something whose end is not known.
#[cfg(feature = "gpu")]
fn begun(phase: Phase) -> Progress {
    Progress { phase, done: 0, total: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use inkling_core::models;
    use inkling_core::spec::ModelId;

    #[test]
    fn what_does_not_fit_is_refused_with_a_remedy() {
        let spec = TrainSpec::of(ModelId::Wide);
        let needs = models::memory(&models::layers(spec.model), spec.recipe.batch, spec.recipe.optimizer);
        assert_eq!(Limits::default().check(&needs, &spec), Ok(()));
        let small = |total, tensor| Limits { total, tensor }.check(&needs, &spec).unwrap_err().to_string();
        assert!(small(Some(100 << 20), None).contains("holds 100 MiB. Choose a smaller batch"));
        // 8,192 × 3,136 weights of 4 bytes are 98 MiB.
        assert!(small(Some(3 << 30), Some(64 << 20)).contains("98 MiB for its largest array"));
        assert_eq!(Limits { total: Some(3 << 30), tensor: Some(128 << 20) }.check(&needs, &spec), Ok(()));
    }
}
