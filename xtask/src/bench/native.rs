//! Training on the command line: `inkling train --json`, built with the release profile. It never measures a debug
//! build.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use inkling_core::spec::ModelId;
use serde_json::Value;
use tempfile::TempDir;

use super::figure::{Case, Measurement, repeat};
use super::{chosen, peak};
use crate::{cargo, data, run, target_dir};

/// The released program and its images.
pub struct Release {
    /// A copy of the executable.
    program: PathBuf,
    /// The folder of MNIST's files.
    mnist: PathBuf,
    /// The folder of saved weights, which also contains the program.
    out: TempDir,
}

/// A training run to measure.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The value of `--engine`.
    pub engine: &'static str,
    /// The network.
    pub model: ModelId,
    /// Batch size.
    pub batch: usize,
    /// Number of training images.
    pub n_images: usize,
}

impl Work {
    /// A run on the CPU at batch size 128.
    pub fn on_cpu(model: ModelId) -> Self {
        Self { engine: "cpu", model, batch: 128, n_images: n_images(model) }
    }
}

impl Release {
    /// Builds the program for the CPU only, which is enough to measure the CPU engine.
    ///
    /// # Errors
    /// When it does not compile, or MNIST is not available.
    pub fn build() -> Result<Self> {
        Self::build_with(&["--no-default-features"])
    }

    /// Builds the program for graphics cards too.
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

    /// Copies a built program, so that a build during the measurements does not replace it.
    ///
    /// # Errors
    /// When there is no such file, or MNIST is not available.
    pub fn copied(built: &Path) -> Result<Self> {
        let out = tempfile::tempdir()?;
        let program = out.path().join(program_name());
        fs::copy(built, &program).with_context(|| format!("{} is no program", built.display()))?;
        Ok(Self { program, mnist: data::ensure_mnist()?, out })
    }

    /// Trains one epoch; returns its images per second, without the first step. `more` are additional arguments.
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
        last_speed(&String::from_utf8_lossy(&output.stdout)).context("inkling train tells no images a second")
    }
}

fn program_name() -> String {
    format!("inkling{}", std::env::consts::EXE_SUFFIX)
}

/// Number of training images for which a run takes a few seconds on a machine of two cores.
pub fn n_images(model: ModelId) -> usize {
    match model {
        ModelId::Compact | ModelId::Sprint => 38_400,
        ModelId::Strided => 25_600,
        ModelId::Classic => 12_800,
        ModelId::Leaky => 7_680,
        ModelId::Wide => 1_536,
    }
}

/// The images per second of the last epoch in lines of JSON.
fn last_speed(lines: &str) -> Option<f64> {
    let events = lines.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events.filter(|event| event["event"] == "epoch").find_map(|event| event["images_per_second"].as_f64())
}

/// Measures every network, or those in `models`, and the peak of the machine.
///
/// # Errors
/// When the program cannot be built.
pub fn measure(models: &[ModelId], n_rounds: usize) -> Result<Vec<Measurement>> {
    let release = Release::build()?;
    let peak = peak::native();
    let models = chosen(models, ModelId::ALL);
    let cases = models.iter().map(|model| Case {
        measurements: vec![Measurement::new(
            format!("{model} natively, CPU engine"),
            format!("batch 128, {} images", n_images(*model)),
            "images/s",
        )],
        measure: Box::new(|| Ok(vec![release.images_per_second(Work::on_cpu(*model), &[])?])),
    });
    let mut measurements = repeat(n_rounds, cases.collect());
    for (model, measurement) in models.iter().zip(&mut measurements) {
        if let Some(images_per_second) = measurement.median() {
            measurement.remark(&peak::remark(*model, images_per_second, Some(peak)));
        }
    }
    let peak = Measurement::new("peak natively", "all cores, widest vectors", "GFLOP/s").with(vec![peak]);
    Ok([vec![peak], measurements].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_the_last_epoch_counts() {
        let lines = "{\"event\":\"epoch\",\"images_per_second\":1.0}\n{\"event\":\"epoch\",\"images_per_second\":2.5}\n{\"event\":\"done\"}\n";
        assert_eq!(last_speed(lines), Some(2.5));
        assert_eq!(last_speed("nothing\n{\"event\":\"done\"}"), None);
    }
}
