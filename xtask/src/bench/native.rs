//! Training on the command line: `inkling train --json`, built as it is released.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use inkling_core::spec::ModelId;
use serde_json::Value;
use tempfile::TempDir;

use super::figure::{Case, Figure, repeat};
use super::{chosen, peak};
use crate::{cargo, data, run, target_dir};

/// The released program and its images.
pub struct Release {
    program: PathBuf,
    mnist: PathBuf,
    out: TempDir,
}

/// A run to measure.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// As `--engine` takes it.
    pub engine: &'static str,
    pub model: ModelId,
    pub batch: usize,
    /// Training images.
    pub n_images: usize,
}

impl Work {
    /// On the CPU, at batch 128.
    pub fn on_cpu(model: ModelId) -> Self {
        Self { engine: "cpu", model, batch: 128, n_images: n_images(model) }
    }
}

impl Release {
    /// Builds it, for the CPU: a graphics card is not needed to measure the CPU engine.
    ///
    /// # Errors
    /// When it does not compile, or there is no MNIST.
    pub fn build() -> Result<Self> {
        Self::build_with(&["--no-default-features"])
    }

    /// Builds it for graphics cards too.
    ///
    /// # Errors
    /// As [`Release::build`].
    pub fn build_for_cards() -> Result<Self> {
        Self::build_with(&[])
    }

    fn build_with(features: &[&str]) -> Result<Self> {
        run(cargo().args(["build", "--release", "--package", "inkling-cli"]).args(features))?;
        Self::copied(&target_dir()?.join("release").join(program_name()))
    }

    /// A copy of a built program: a build meanwhile must not change what is measured.
    ///
    /// # Errors
    /// When it is not there, or there is no MNIST.
    pub fn copied(built: &Path) -> Result<Self> {
        let out = tempfile::tempdir()?;
        let program = out.path().join(program_name());
        fs::copy(built, &program).with_context(|| format!("{} is no program", built.display()))?;
        Ok(Self { program, mnist: data::bring()?, out })
    }

    /// Images a second of one epoch, the first step left out.
    ///
    /// # Errors
    /// When the run fails.
    pub fn images_per_second(&self, work: Work, more: &[&str]) -> Result<f64> {
        let Work { engine, model, batch, n_images } = work;
        let (batch, n_images) = (batch.to_string(), n_images.to_string());
        let mut train = Command::new(&self.program);
        train.args(["train", "--engine", engine, "--json", "--epochs", "1", "--batch", &batch, "--test-limit", "100"]);
        train.args(["--dataset", "mnist", "--split", "published", "--model", model.id(), "--train-limit", &n_images]);
        train.args(more).arg("--out").arg(self.out.path()).env("MNIST_DIR", &self.mnist);
        let output = train.output().context("cannot run inkling")?;
        if !output.status.success() {
            bail!("inkling train: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        pace(&String::from_utf8_lossy(&output.stdout)).context("inkling train tells no images a second")
    }
}

fn program_name() -> String {
    format!("inkling{}", std::env::consts::EXE_SUFFIX)
}

/// Training images: so many that a run takes some seconds on a machine of two cores.
pub fn n_images(model: ModelId) -> usize {
    match model {
        ModelId::Compact | ModelId::Sprint => 38_400,
        ModelId::Strided => 25_600,
        ModelId::Classic => 12_800,
        ModelId::Leaky => 7_680,
        ModelId::Wide => 1_536,
    }
}

/// The images a second of the last epoch in lines of JSON.
fn pace(lines: &str) -> Option<f64> {
    let events = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "epoch").find_map(|event| event["images_per_second"].as_f64())
}

/// Every network.
///
/// # Errors
/// When the program cannot be built.
pub fn measure(models: &[ModelId], n_rounds: usize) -> Result<Vec<Figure>> {
    let release = Release::build()?;
    let peak = peak::native();
    let models = chosen(models, ModelId::ALL);
    let cases = models.iter().map(|model| Case {
        figures: vec![Figure::new(
            format!("{model} natively, CPU engine"),
            format!("batch 128, {} images", n_images(*model)),
            "images/s",
        )],
        measure: Box::new(|| Ok(vec![release.images_per_second(Work::on_cpu(*model), &[])?])),
    });
    let mut figures = repeat(n_rounds, cases.collect());
    for (model, figure) in models.iter().zip(&mut figures) {
        if let Some(images_per_second) = figure.median() {
            figure.remark(&peak::remark(*model, images_per_second, Some(peak)));
        }
    }
    let peak = Figure::new("peak natively", "all cores, widest vectors", "GFLOP/s").with(vec![peak]);
    Ok([vec![peak], figures].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_of_the_last_epoch_counts() {
        let lines = "{\"event\":\"epoch\",\"images_per_second\":1.0}\n{\"event\":\"epoch\",\"images_per_second\":2.5}\n{\"event\":\"done\"}\n";
        assert_eq!(pace(lines), Some(2.5));
        assert_eq!(pace("nothing\n{\"event\":\"done\"}"), None);
    }
}
