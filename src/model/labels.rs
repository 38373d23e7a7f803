//! The page's text about a run: status, progress, engine, images and memory. Pure: it never changes a run.

use inkling_core::models::Memory;
use inkling_core::protocol::{DatasetReport, EngineKind, EngineReport, Phase, PoolReport, Progress, RunState};
use inkling_core::run::Run;
use inkling_core::spec::DatasetId;

use crate::model::model_status;
use crate::model::numbers::{bytes, count, duration, percent};

/// Bytes of memory above which a run gets a warning: phones and small graphics cards may not give a tab that much.
const LARGE: u64 = 600_000_000;

/// The run's status in a few words. It changes seldom enough to be read aloud by a screen reader.
pub fn status(run: &Run) -> String {
    match run.state {
        _ if model_status::is_evaluating(run) => "Evaluating the network on the test images…".into(),
        _ if model_status::is_measuring(run) => "Measuring the speed of this device…".into(),
        RunState::Loading => loading(run).into(),
        RunState::Ready => "Ready to train".into(),
        RunState::Training => training(run),
        RunState::Paused => format!("Paused in {}", epoch(run)),
        RunState::Finished => finished(run),
        RunState::Failed => "Something failed".into(),
    }
}

fn loading(run: &Run) -> &'static str {
    match run.progress.map(|progress| progress.phase) {
        Some(Phase::Engine) => "Looking for the fastest engine…",
        Some(Phase::Compile) => "Compiling shaders…",
        Some(Phase::SelfTest) => "Testing the engine…",
        Some(Phase::Fetch | Phase::Unpack | Phase::Data) => "Preparing the images…",
        _ => "Loading the engine…",
    }
}

fn training(run: &Run) -> String {
    match run.progress.map(|progress| progress.phase) {
        Some(Phase::FirstStep) => "Taking the first step…".into(),
        Some(Phase::Validate) => format!("Validating {}", epoch(run)),
        Some(Phase::Test) => "Evaluating on the test images…".into(),
        _ => format!("Training {}", epoch(run)),
    }
}

fn finished(run: &Run) -> String {
    match &run.summary {
        Some(summary) => {
            let accuracy = percent(summary.test.accuracy);
            let n_images = count(summary.test_images as u64);
            format!("Finished: {accuracy} of {n_images} test images read correctly{}", resumed(run))
        }
        None => format!("Stopped in {}", epoch(run)),
    }
}

/// A clause that says where the run resumed after the graphics card was lost. Empty if that did not happen.
fn resumed(run: &Run) -> String {
    let Some(last) = run.resumptions.last() else { return String::new() };
    let times = match run.resumptions.len() {
        1 => String::new(),
        n => format!("{n} times, most recently "),
    };
    let on_cpu = if last.engine == Some(EngineKind::Cpu) { " on the CPU" } else { "" };
    let step = count(last.n_steps as u64);
    format!(", after the graphics card was lost and the run resumed {times}from step {step}{on_cpu}")
}

/// A message about a run that has just resumed on another engine. `None` if the run never resumed.
pub fn resumed_message(run: &Run) -> Option<String> {
    let last = run.resumptions.last()?;
    let engine = match last.engine {
        Some(EngineKind::Cpu) => "on the CPU",
        _ => "on a new device",
    };
    Some(format!("The graphics card was lost. The run resumed from step {} {engine}.", count(last.n_steps as u64)))
}

/// The current epoch, such as `epoch 3 of 20`.
fn epoch(run: &Run) -> String {
    let epochs = run.plan.as_ref().map_or(0, |plan| plan.spec.recipe.epochs);
    format!("epoch {} of {epochs}", run.epoch())
}

/// The run's progress in figures. Empty when there is nothing to count.
pub fn progress(run: &Run) -> String {
    match (run.state, run.progress) {
        (RunState::Loading, Some(progress)) => counted(progress),
        (_, Some(progress)) if matches!(progress.phase, Phase::Validate | Phase::Test) => counted(progress),
        (RunState::Training | RunState::Paused | RunState::Finished, _) => steps(run),
        _ => String::new(),
    }
}

fn steps(run: &Run) -> String {
    let done = run.steps.n_steps();
    run.n_steps().map(|total| format!("Step {} of {}", count(done as u64), count(total as u64))).unwrap_or_default()
}

fn counted(progress: Progress) -> String {
    const MEGA: u64 = 1_000_000;
    let Progress { phase, done, total } = progress;
    match phase {
        Phase::Fetch if total > 0 => format!("Fetching MNIST: {} of {} MB", done / MEGA, total / MEGA),
        Phase::Unpack => format!("Unpacking MNIST: {} of {} MB", done / MEGA, total / MEGA),
        Phase::Compile if total > 0 => format!("Shader {} of {}", count(done + 1), count(total)),
        Phase::Data | Phase::Validate | Phase::Test if total > 0 => {
            format!("{} of {} images", count(done), count(total))
        }
        _ => String::new(),
    }
}

/// Fraction of the current activity that is done, 0 to 1. `None` when it cannot be counted.
pub fn fraction(run: &Run) -> Option<f64> {
    match (run.state, run.progress) {
        (RunState::Loading, Some(Progress { done, total, .. })) if total > 0 => Some(done as f64 / total as f64),
        (RunState::Loading, _) => None,
        (RunState::Training, Some(Progress { phase: Phase::FirstStep, .. })) => None,
        (_, Some(Progress { done, total, .. }))
            if model_status::is_evaluating(run) || model_status::is_measuring(run) =>
        {
            (total > 0).then(|| done as f64 / total as f64)
        }
        _ => Some(run.fraction_done()),
    }
}

/// The name of an engine. For the CPU it includes the number of workers.
pub fn engine(report: &EngineReport, workers: usize) -> String {
    let kind = match report.kind {
        EngineKind::WebGpu => "WebGPU",
        EngineKind::Gpu => "GPU",
        EngineKind::Cpu => "CPU",
    };
    let name = if report.adapter.is_empty() { kind.into() } else { format!("{kind} · {}", report.adapter) };
    match (report.kind, workers) {
        (EngineKind::Cpu, 1) => format!("{name}, 1 worker"),
        (EngineKind::Cpu, n) => format!("{name}, {n} workers"),
        _ => name,
    }
}

/// A message about lost workers. `None` if there are none.
pub fn lost_workers(pool: &PoolReport) -> Option<String> {
    let loss = match pool.lost {
        0 => return None,
        1 => "A worker was lost".into(),
        n => format!("{n} workers were lost"),
    };
    Some(format!("{loss}: the run continues more slowly, with the same result. The next run uses all workers again."))
}

/// A remark about an engine: that it is slow, or why no graphics card is used. `None` if there is nothing to remark.
pub fn engine_note(report: &EngineReport) -> Option<String> {
    if report.software {
        return Some("This adapter is software, not hardware: the CPU engine is faster here.".into());
    }
    let why = report.fallback_reason.as_ref()?;
    Some(format!("WebGPU is not used: {}.", why.trim_end_matches('.')))
}

/// The name of the data set, and the sizes of its parts.
pub fn images(report: &DatasetReport) -> String {
    let name = match &report.id {
        DatasetId::Mnist => "MNIST",
        DatasetId::Synthetic => "Synthetic digits",
        DatasetId::UserFiles => "Your own images",
        DatasetId::Folder(name) => name,
    };
    let validation =
        report.n_validation.map(|n| format!("{} validation images, ", count(n as u64))).unwrap_or_default();
    let (train, test) = (count(report.n_train as u64), count(report.n_test as u64));
    format!("{name}: {train} training images, {validation}{test} test images")
}

/// The memory that a run needs. With `secs` also its expected duration, in seconds.
pub fn needs(memory: &Memory, secs: Option<f64>) -> String {
    let time = secs.map(|secs| format!(" and {}", duration(secs))).unwrap_or_default();
    format!("A run needs about {} of memory{time}.", bytes(memory.total()))
}

/// A warning about a run that needs much memory, with a remedy. `None` at or below 600 MB.
pub fn much_memory(memory: &Memory) -> Option<String> {
    let Memory { weights, gradients, optimizer, activations, .. } = memory;
    (memory.total() > LARGE).then(|| {
        let (network, batch) = (bytes(weights + gradients + optimizer), bytes(*activations));
        let remedy =
            if activations > &(LARGE / 4) { "A smaller batch needs less." } else { "A smaller network needs less." };
        format!(
            "That is a lot: {network} for the network, its gradients and the optimizer, {batch} for the activations of \
             a batch. A phone or a small graphics card may not have that much. {remedy}"
        )
    })
}

#[cfg(test)]
mod tests;
