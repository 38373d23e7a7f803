//! The speed report: training speed of an engine with several networks, as text and SVG. It
//! never measures anything itself.

mod picture;

pub use picture::{HEIGHT, WIDTH};

use crate::models;
use crate::protocol::{EngineKind, EngineReport, ModelSpeed};

/// The measured speeds with what is needed to compare two devices.
#[derive(Clone, Debug, PartialEq)]
pub struct SpeedReport {
    /// The engine that was measured.
    pub engine: EngineReport,
    /// One entry per network, in order of increasing work.
    pub speeds: Vec<ModelSpeed>,
    /// Number of workers that shared a step. The command line uses threads instead and names them in
    /// [`EngineReport::adapter`].
    pub workers: usize,
    /// The program that ran the engine: the browser, or the command line.
    pub program: String,
    /// The day of the measurement, such as `2026-01-31`.
    pub date: String,
}

/// The speed of one network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// The id of the network.
    pub model: &'static str,
    /// Training images per second.
    pub images_per_second: f64,
    /// Billions of floating-point operations per second; a multiply-add counts as two.
    pub gigaflops: f64,
    /// Seconds until the first step was done, including compiling shaders (graphics cards) or allocating buffers (CPU).
    pub first_step_secs: f64,
}

impl SpeedReport {
    /// One row per network, in the order of `speeds`.
    pub fn rows(&self) -> Vec<Row> {
        self.speeds.iter().map(row).collect()
    }

    /// The device that computed, such as `CPU: WASM SIMD, 2 workers`.
    pub fn device(&self) -> String {
        let kind = match self.engine.kind {
            EngineKind::WebGpu => "WebGPU",
            EngineKind::Gpu => "GPU",
            EngineKind::Cpu => "CPU",
        };
        let name =
            if self.engine.adapter.is_empty() { kind.into() } else { format!("{kind}: {}", self.engine.adapter) };
        if self.workers > 1 { format!("{name}, {} workers", self.workers) } else { name }
    }

    /// How the speeds were measured, as a sentence.
    pub fn method(&self) -> String {
        let batch = self.speeds.first().map_or(0, |speed| speed.batch);
        format!("Whole training steps with Adam, {batch} synthetic digits each; medians, the first step apart.")
    }

    /// A caveat for comparing two reports: set when the adapter is software.
    pub fn warning(&self) -> Option<&'static str> {
        self.engine.software.then_some("This adapter is a program that imitates a graphics card, not hardware.")
    }

    /// The whole report as lines of text.
    pub fn text(&self) -> String {
        let head = ["network", "images/s", "GFLOP/s", "first step"];
        let mut lines = vec![format!("Inkling speed report, {}", self.date), self.device(), self.program.clone()];
        lines.extend(self.warning().map(String::from));
        lines.push(format!("{:<10}{:>10}{:>10}{:>12}", head[0], head[1], head[2], head[3]));
        lines.extend(self.rows().into_iter().map(Row::line));
        lines.push(self.method());
        lines.join("\n")
    }
}

impl Row {
    fn line(self) -> String {
        let Self { model, first_step_secs, .. } = self;
        format!("{model:<10}{:>10}{:>10}{first_step_secs:>10.2} s", self.images(), self.flops())
    }

    /// Images per second, rounded for display.
    pub fn images(self) -> String {
        rounded(self.images_per_second)
    }

    /// Billions of operations per second, rounded for display.
    pub fn flops(self) -> String {
        rounded(self.gigaflops)
    }
}

fn row(speed: &ModelSpeed) -> Row {
    let ModelSpeed { model, images_per_second, first_step_secs, .. } = *speed;
    let gigaflops = models::training_gflops(model, images_per_second);
    Row { model: model.id(), images_per_second, gigaflops, first_step_secs }
}

/// Rounds to an integer from 100 on, and to one decimal below 100.
fn rounded(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ModelId;

    pub fn report() -> SpeedReport {
        let engine = EngineReport {
            kind: EngineKind::Cpu,
            adapter: "WASM SIMD".into(),
            software: false,
            fallback_reason: None,
            work_per_sec: None,
            kernels: None,
        };
        let speed = |model, images_per_second| ModelSpeed {
            model,
            batch: 128,
            first_step_secs: 0.125,
            n_steps: 40,
            images_per_second,
        };
        let speeds = vec![speed(ModelId::Compact, 2000.0), speed(ModelId::Classic, 34.56)];
        SpeedReport { engine, speeds, workers: 2, program: "Chrome 156 on Linux".into(), date: "2026-11-21".into() }
    }

    #[test]
    fn the_text_holds_device_and_speeds() {
        let text = report().text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[..3],
            ["Inkling speed report, 2026-11-21", "CPU: WASM SIMD, 2 workers", "Chrome 156 on Linux"]
        );
        assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>().join(" "), "network images/s GFLOP/s first step");
        assert!(lines[4].starts_with("compact ") && lines[4].contains(" 2000 "), "{text}");
        assert!(lines[5].contains(" 34.6 ") && lines[5].ends_with("0.12 s"), "{text}");
        assert!(lines[6].contains("128 synthetic digits"), "{text}");
    }

    #[test]
    fn operations_are_counted_from_the_layers() {
        let rows = report().rows();
        // 1,861,312 multiply-adds forward, the same number for the gradients of the weights, and the same without the
        // first layer's 97,344 for the gradients of the inputs.
        let by_hand = 2.0 * (3.0 * 1_861_312.0 - 97_344.0) * 2000.0 / 1e9;
        assert!((rows[0].gigaflops - by_hand).abs() < 1e-9, "{} is not {by_hand}", rows[0].gigaflops);
    }

    #[test]
    fn a_software_adapter_adds_a_warning() {
        let mut report = report();
        assert_eq!(report.warning(), None);
        report.engine.software = true;
        assert!(report.text().contains("not hardware"));
        assert!(report.svg().contains("not hardware"));
    }
}
