//! Shows a run in the terminal: a progress bar and one line per epoch, or JSON lines. It never changes a run.

use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use inkling_core::protocol::{EngineReport, EpochReport, Event, RunPlan, RunSummary, StepReport};
use inkling_core::run::Run;
use serde_json::json;

/// Prints the events of a session: results to standard output, everything else to standard error.
pub struct Reporter {
    format: Format,
    /// The folder of the weights, to be named to the user.
    out: PathBuf,
    bar: ProgressBar,
}

/// How events are printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// Lines for people, with a progress bar.
    Text,
    /// JSON lines on standard output.
    Json,
    /// Only notes, such as that of a download.
    Quiet,
}

impl Reporter {
    /// A reporter of a run. `json`: print JSON lines; `out`: the folder that the weights are written to.
    pub fn new(json: bool, out: PathBuf) -> Self {
        Self::with_format(if json { Format::Json } else { Format::Text }, out)
    }

    /// A reporter that prints notes only: the caller prints the results.
    pub fn quiet() -> Self {
        Self::with_format(Format::Quiet, PathBuf::new())
    }

    fn with_format(format: Format, out: PathBuf) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = "{bar:30} step {pos}/{len} {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { format, out, bar }
    }

    /// Prints an event if it is of interest to the user. `run` includes it already.
    pub fn on_event(&self, event: &Event, run: &Run) {
        match event {
            _ if self.format == Format::Quiet => {}
            Event::Engine(engine) => self.note(&engine_line(engine)),
            Event::Dataset(dataset) => {
                self.note(&format!(
                    "data: {}, {} training and {} test images",
                    dataset.id, dataset.n_train, dataset.n_test
                ));
            }
            Event::Started(plan) => self.started(plan),
            Event::Stepped(steps) => steps.last().into_iter().for_each(|step| self.stepped(step)),
            Event::EpochEnded(epoch) => self.epoch(epoch),
            Event::Finished(summary) => self.finished(summary, run),
            _ => {}
        }
    }

    /// Prints a message to standard error, above the progress bar.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Removes the progress bar.
    pub fn end_progress(&self) {
        self.bar.finish_and_clear();
    }

    /// Reports where the weights were saved, and prints the evaluation of a complete run unless the output is JSON.
    pub fn saved(&self, path: &Path, interrupted: bool, run: &Run) {
        self.end_progress();
        let how = if interrupted { "stopped; the weights so far are in" } else { "the weights are in" };
        eprintln!("{how} {}", path.display());
        if let (Format::Text, false, Some(evaluation)) = (self.format, interrupted, &run.evaluation) {
            print_line!("{}", evaluation.result);
        }
    }

    fn started(&self, plan: &RunPlan) {
        self.note(&format!(
            "network: {}, {} parameters; weights go to {}",
            plan.spec.model,
            plan.parameters,
            self.out.display()
        ));
        if self.format == Format::Text {
            self.bar.set_length((plan.steps_per_epoch * plan.spec.recipe.epochs) as u64);
        }
    }

    fn stepped(&self, step: &StepReport) {
        self.bar.set_position(step.step as u64);
        self.bar.set_message(format!(
            "loss {:.4}  accuracy {:.4}  {:.0} images/s",
            step.running.loss, step.running.accuracy, step.images_per_second
        ));
    }

    fn epoch(&self, epoch: &EpochReport) {
        let line = if self.format == Format::Json { epoch_json(epoch) } else { epoch.to_string() };
        self.bar.suspend(|| print_line!("{line}"));
    }

    fn finished(&self, summary: &RunSummary, run: &Run) {
        let Some(plan) = &run.plan else { return };
        let line = if self.format == Format::Json {
            done_json(plan, summary)
        } else {
            let RunSummary { test_images, test_errors, test, elapsed_secs, .. } = summary;
            let percent = test.accuracy * 100.0;
            format!("{percent:.2} % right, {test_errors} errors on {test_images} test images, {elapsed_secs:.1} s")
        };
        self.bar.suspend(|| print_line!("{line}"));
    }
}

fn engine_line(engine: &EngineReport) -> String {
    let why =
        engine.fallback_reason.as_ref().map(|why| format!("; no graphics card, because {why}")).unwrap_or_default();
    format!("engine: {} ({}){why}", engine.kind.id(), engine.adapter)
}

fn epoch_json(epoch: &EpochReport) -> String {
    json!({
        "event": "epoch",
        "epoch": epoch.epoch,
        "epochs": epoch.epochs,
        "loss": epoch.training.loss,
        "accuracy": epoch.training.accuracy,
        "val_loss": epoch.validation.loss,
        "val_accuracy": epoch.validation.accuracy,
        "learning_rate": epoch.learning_rate,
        "images_per_second": epoch.images_per_second,
        "seconds": epoch.elapsed_secs,
    })
    .to_string()
}

fn done_json(plan: &RunPlan, summary: &RunSummary) -> String {
    json!({
        "event": "done",
        "model": plan.spec.model.id(),
        "parameters": plan.parameters,
        "test_images": summary.test_images,
        "test_errors": summary.test_errors,
        "test_accuracy": summary.test.accuracy,
        "test_loss": summary.test.loss,
        "seconds": summary.elapsed_secs,
    })
    .to_string()
}
