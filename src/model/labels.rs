//! What the page says about a run, in words and figures. Pure.

use inkling_core::models::Memory;
use inkling_core::protocol::{CrewReport, DatasetReport, EngineKind, EngineReport, Phase, Progress};
use inkling_core::run::{Run, State};
use inkling_core::spec::DatasetId;

use crate::model::model_status;

/// More than this, in bytes, is worth a warning: phones and small graphics cards may not give it to a tab.
const LARGE: u64 = 600_000_000;

/// What is going on, in a few words that change seldom enough to be read aloud.
pub fn status(run: &Run) -> String {
    match run.state {
        _ if model_status::is_judging(run) => "Judging the network on the test images…".into(),
        _ if model_status::is_measuring(run) => "Measuring how fast this device is…".into(),
        State::Loading => loading(run).into(),
        State::Ready => "Ready to train".into(),
        State::Training => training(run),
        State::Paused => format!("Paused in {}", epoch(run)),
        State::Finished => finished(run),
        State::Failed => "Something failed".into(),
    }
}

fn loading(run: &Run) -> &'static str {
    match run.progress.map(|progress| progress.phase) {
        Some(Phase::Engine) => "Looking for the fastest engine…",
        Some(Phase::Compile) => "Compiling shaders…",
        Some(Phase::SelfTest) => "Testing the engine…",
        Some(Phase::Fetch | Phase::Unpack | Phase::Data) => "Getting the images ready…",
        _ => "Loading the engine…",
    }
}

fn training(run: &Run) -> String {
    match run.progress.map(|progress| progress.phase) {
        Some(Phase::FirstStep) => "Taking the first step…".into(),
        Some(Phase::Validate) => format!("Validating {}", epoch(run)),
        Some(Phase::Test) => "Reading the test images…".into(),
        _ => format!("Training {}", epoch(run)),
    }
}

fn finished(run: &Run) -> String {
    match &run.summary {
        Some(summary) => {
            let read = percent(summary.test.accuracy);
            let n_images = count(summary.test_images as u64);
            format!("Finished: {read} of {n_images} test images read rightly{}", resumed(run))
        }
        None => format!("Stopped in {}", epoch(run)),
    }
}

/// That a run did not go through on one engine.
fn resumed(run: &Run) -> String {
    let Some(last) = run.resumptions.last() else { return String::new() };
    let times = match run.resumptions.len() {
        1 => String::new(),
        n => format!("{n} times, at last "),
    };
    let on_cpu = if last.engine == Some(EngineKind::Cpu) { " on the CPU" } else { "" };
    let step = count(last.n_steps as u64);
    format!(", after the graphics card was lost and the run went on {times}from step {step}{on_cpu}")
}

/// What to know of a run that just went on.
pub fn went_on(run: &Run) -> Option<String> {
    let last = run.resumptions.last()?;
    let engine = match last.engine {
        Some(EngineKind::Cpu) => "on the CPU",
        _ => "on a fresh device",
    };
    Some(format!("The graphics card was lost. The run went on from step {} {engine}.", count(last.n_steps as u64)))
}

/// The epoch that a run is in.
fn epoch(run: &Run) -> String {
    let epochs = run.plan.as_ref().map_or(0, |plan| plan.spec.recipe.epochs);
    format!("epoch {} of {epochs}", run.epoch())
}

/// How far what is going on has come, in figures. Empty when there is nothing to count.
pub fn progress(run: &Run) -> String {
    match (run.state, run.progress) {
        (State::Loading, Some(progress)) => counted(progress),
        (_, Some(progress)) if matches!(progress.phase, Phase::Validate | Phase::Test) => counted(progress),
        (State::Training | State::Paused | State::Finished, _) => steps(run),
        _ => String::new(),
    }
}

fn steps(run: &Run) -> String {
    let done = run.steps.last().map_or(0, |step| step.step);
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

/// Fraction done of what is going on, 0 to 1; `None` when it cannot be counted.
pub fn fraction(run: &Run) -> Option<f64> {
    match (run.state, run.progress) {
        (State::Loading, Some(Progress { done, total, .. })) if total > 0 => Some(done as f64 / total as f64),
        (State::Loading, _) => None,
        (State::Training, Some(Progress { phase: Phase::FirstStep, .. })) => None,
        (_, Some(Progress { done, total, .. })) if model_status::is_judging(run) || model_status::is_measuring(run) => {
            (total > 0).then(|| done as f64 / total as f64)
        }
        _ => Some(run.fraction_done()),
    }
}

/// The name of an engine, and on the CPU how many workers compute.
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

/// What to know when workers were lost.
pub fn lost_workers(crew: &CrewReport) -> Option<String> {
    let who = match crew.lost {
        0 => return None,
        1 => "A worker was lost".into(),
        n => format!("{n} workers were lost"),
    };
    Some(format!("{who}: the run goes on without, slower, and to the same result. The next run starts with all again."))
}

/// What to know about an engine besides its name: why not another, and what makes it slow.
pub fn engine_note(report: &EngineReport) -> Option<String> {
    if report.software {
        return Some("This adapter is a program, not hardware: the CPU engine is faster here.".into());
    }
    let why = report.passed_over.as_ref()?;
    Some(format!("WebGPU was not taken: {}.", why.trim_end_matches('.')))
}

/// Which images are in use, and how many.
pub fn images(report: &DatasetReport) -> String {
    let name = match &report.id {
        DatasetId::Mnist => "MNIST",
        DatasetId::Synthetic => "Synthetic digits",
        DatasetId::Dropped => "Own images",
        DatasetId::Folder(name) => name,
    };
    let validation = report.n_validation.map(|n| format!("{} to validate on, ", count(n as u64))).unwrap_or_default();
    let (train, test) = (count(report.n_train as u64), count(report.n_test as u64));
    format!("{name}: {train} images to learn from, {validation}{test} to be tested on")
}

/// What memory a run will take, and what time where that can be told.
pub fn needs(memory: &Memory, secs: Option<f64>) -> String {
    let time = secs.map(|secs| format!(" and {}", duration(secs))).unwrap_or_default();
    format!("A run takes about {} of memory{time}.", bytes(memory.total()))
}

/// A time to come, roughly.
fn duration(secs: f64) -> String {
    match secs {
        secs if secs < 90.0 => format!("{:.0} s", secs.max(1.0)),
        secs if secs < 5400.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.1} h", secs / 3600.0),
    }
}

/// Why that is much, if it is, and what to do.
pub fn much_memory(memory: &Memory) -> Option<String> {
    let Memory { weights, gradients, optimizer, activations, .. } = memory;
    (memory.total() > LARGE).then(|| {
        let (fixed, flowing) = (bytes(weights + gradients + optimizer), bytes(*activations));
        let remedy =
            if activations > &(LARGE / 4) { "A smaller batch needs less." } else { "A smaller network needs less." };
        format!(
            "That is large: {fixed} for the network, its gradients and the optimizer, {flowing} for a batch on its way \
             through. A phone or a small graphics card may not have it. {remedy}"
        )
    })
}

/// An estimate of bytes, with two digits that count.
pub fn bytes(n: u64) -> String {
    let mega = n as f64 / 1e6;
    let step = 10f64.powf((mega.max(1.0).log10().floor() - 1.0).max(0.0));
    let mega = (mega / step).round() * step;
    if mega >= 1000.0 { format!("{:.1} GB", mega / 1000.0) } else { format!("{mega:.0} MB") }
}

/// A whole number with its thousands apart: 12,800.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction in percent, with two decimals.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A probability that may be close to 1: never more certain than it is.
pub fn sure(probability: f32) -> String {
    let percent = 100.0 * f64::from(probability);
    if percent > 99.9 { format!("{:.2} %", percent.min(99.99)) } else { format!("{percent:.1} %") }
}

/// A time that is left, as a person would say it.
pub fn time_left(secs: f64) -> String {
    match secs {
        secs if !secs.is_finite() => String::new(),
        secs if secs < 1.0 => "almost done".into(),
        secs if secs < 90.0 => format!("{secs:.0} s left"),
        secs if secs < 5400.0 => format!("{:.0} min left", secs / 60.0),
        secs => format!("{:.1} h left", secs / 3600.0),
    }
}

/// Images a second: whole when there are many.
pub fn pace(images_per_second: f64) -> String {
    if images_per_second < 10.0 {
        format!("{images_per_second:.1} images/s")
    } else {
        format!("{} images/s", count(images_per_second.round() as u64))
    }
}

#[cfg(test)]
mod tests;
