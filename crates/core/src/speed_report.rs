//! A speed card: how fast an engine trains some networks, to be read and shared. Pure; it measures nothing.

mod picture;

pub use picture::{HEIGHT, WIDTH};

use crate::models;
use crate::protocol::{EngineKind, EngineReport, Pace};

/// Everything that a reader needs to compare two devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub engine: EngineReport,
    /// The network that takes least first.
    pub paces: Vec<Pace>,
    /// How many workers shared a step; on the command line there are threads instead, which the engine's name tells.
    pub workers: usize,
    /// The program around it: a browser, or the command line.
    pub program: String,
    /// Such as `2026-01-31`.
    pub date: String,
}

/// One network on a card.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    pub model: &'static str,
    pub images_per_second: f64,
    /// Floating-point operations a second, in billions: a multiply-add counts as two.
    pub gigaflops: f64,
    /// Until the very first step was done: with compiling shaders on a graphics card, with finding buffers on the CPU.
    pub first_step_secs: f64,
}

impl Card {
    /// Its networks, in order.
    pub fn rows(&self) -> Vec<Row> {
        self.paces.iter().map(row).collect()
    }

    /// What computed.
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

    /// What its figures are.
    pub fn method(&self) -> String {
        let batch = self.paces.first().map_or(0, |pace| pace.batch);
        format!("Whole training steps with Adam, {batch} synthetic digits each; medians, the first step apart.")
    }

    /// What is to be known before two cards are compared, if anything is.
    pub fn warning(&self) -> Option<&'static str> {
        self.engine.software.then_some("This adapter is a program that imitates a graphics card, not hardware.")
    }

    /// The whole card as lines of text.
    pub fn text(&self) -> String {
        let head = ["network", "images/s", "GFLOP/s", "first step"];
        let mut lines = vec![format!("Inkling speed card, {}", self.date), self.device(), self.program.clone()];
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

    /// Images a second, with the digits that count.
    pub fn images(self) -> String {
        short(self.images_per_second)
    }

    /// Billions of operations a second, with the digits that count.
    pub fn flops(self) -> String {
        short(self.gigaflops)
    }
}

fn row(pace: &Pace) -> Row {
    let Pace { model, images_per_second, first_step_secs, .. } = *pace;
    let operations = 2.0 * models::training_work(&models::layers(model));
    Row { model: model.id(), images_per_second, gigaflops: images_per_second * operations / 1e9, first_step_secs }
}

/// Whole numbers from a hundred on, one decimal below.
fn short(value: f64) -> String {
    if value < 99.95 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ModelId;

    pub fn card() -> Card {
        let engine = EngineReport {
            kind: EngineKind::Cpu,
            adapter: "WASM SIMD".into(),
            software: false,
            passed_over: None,
            work_per_sec: None,
            kernels: None,
        };
        let pace = |model, images_per_second| Pace {
            model,
            batch: 128,
            first_step_secs: 0.125,
            n_steps: 40,
            images_per_second,
        };
        let paces = vec![pace(ModelId::Compact, 2000.0), pace(ModelId::Classic, 34.56)];
        Card { engine, paces, workers: 2, program: "Chrome 156 on Linux".into(), date: "2026-11-21".into() }
    }

    #[test]
    fn a_card_tells_what_was_measured_on_what() {
        let told = card().text();
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[..3], ["Inkling speed card, 2026-11-21", "CPU: WASM SIMD, 2 workers", "Chrome 156 on Linux"]);
        assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>().join(" "), "network images/s GFLOP/s first step");
        assert!(lines[4].starts_with("compact ") && lines[4].contains(" 2000 "), "{told}");
        assert!(lines[5].contains(" 34.6 ") && lines[5].ends_with("0.12 s"), "{told}");
        assert!(lines[6].contains("128 synthetic digits"), "{told}");
    }

    #[test]
    fn operations_are_counted_from_the_layers() {
        let rows = card().rows();
        // Forward 1,861,312 multiply-adds, as many for the weights, and for the inputs all but the first layer's 97,344.
        let by_hand = 2.0 * (3.0 * 1_861_312.0 - 97_344.0) * 2000.0 / 1e9;
        assert!((rows[0].gigaflops - by_hand).abs() < 1e-9, "{} is not {by_hand}", rows[0].gigaflops);
    }

    #[test]
    fn a_program_that_imitates_a_card_is_named_as_one() {
        let mut card = card();
        assert_eq!(card.warning(), None);
        card.engine.software = true;
        assert!(card.text().contains("not hardware"));
        assert!(card.svg().contains("not hardware"));
    }
}
