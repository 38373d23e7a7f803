//! Which device runs the tensors, and the proof that it computes rightly.
//!
//! `auto` takes the graphics card when there is a real one and it passes the self-test, otherwise the CPU. A software
//! adapter counts as no card: the CPU engine is far faster there.

#[cfg(feature = "gpu")]
mod adapter;
#[cfg(feature = "gpu")]
mod selftest;

use burn::tensor::Device;
use inkling_kernels::Isa;

use crate::protocol::{EngineKind, EngineReport, Fault, Phase};
use crate::spec::EngineChoice;

/// A device with what is known of it.
#[derive(Clone)]
pub struct Engine {
    /// Without gradients; a training pass tracks what it needs.
    pub device: Device,
    pub report: EngineReport,
}

/// Opens the engine of this choice; `on` hears what is going on.
///
/// # Errors
/// When the choice cannot be had here. `auto` always can: it falls back to the CPU and says why.
pub async fn open(choice: EngineChoice, on: impl Fn(Phase)) -> Result<Engine, Fault> {
    match choice {
        EngineChoice::Cpu => Ok(cpu(None)),
        EngineChoice::Auto => Ok(match graphics(false, &on).await {
            Ok(engine) => engine,
            Err(reason) => cpu(Some(reason)),
        }),
        EngineChoice::WebGpu | EngineChoice::Gpu if choice != GRAPHICS => Err(Fault::new(
            format!("The engine \"{choice}\" does not exist here"),
            format!("Choose \"{GRAPHICS}\" or \"cpu\"."),
        )),
        EngineChoice::WebGpu | EngineChoice::Gpu => graphics(true, &on).await.map_err(|reason| {
            Fault::new(format!("The engine \"{choice}\" cannot be used: {reason}"), "Choose the engine \"cpu\".")
        }),
    }
}

/// How users ask for the graphics card here.
const GRAPHICS: EngineChoice = if cfg!(target_family = "wasm") { EngineChoice::WebGpu } else { EngineChoice::Gpu };

/// The CPU engine, with the reason why no graphics card was taken.
fn cpu(passed_over: Option<String>) -> Engine {
    let report = EngineReport { kind: EngineKind::Cpu, adapter: cpu_name(), software: false, passed_over };
    Engine { device: Device::flex(), report }
}

/// The instructions and threads that the kernels use, and natively the processor's own name.
fn cpu_name() -> String {
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

/// A build without the `gpu` feature, as the tests use it, knows no graphics card.
#[cfg(not(feature = "gpu"))]
async fn graphics(_: bool, _: &impl Fn(Phase)) -> Result<Engine, String> {
    Err("this program was built without graphics cards (feature \"gpu\")".into())
}

/// The graphics card, tested. `Err` says in words why not.
#[cfg(feature = "gpu")]
async fn graphics(allow_software: bool, on: &impl Fn(Phase)) -> Result<Engine, String> {
    on(Phase::Engine);
    let found = adapter::find().await?;
    if found.software && !allow_software {
        return Err(format!("the only adapter, {}, is a program and not a graphics card", found.name));
    }
    let device = adapter::open().await?;
    on(Phase::SelfTest);
    selftest::compare(&device, &Device::flex()).await?;
    let report = EngineReport { kind: adapter::KIND, adapter: found.name, software: found.software, passed_over: None };
    Ok(Engine { device, report })
}
