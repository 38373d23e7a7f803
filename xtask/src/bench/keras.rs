//! Compares the command line with Keras on the same machine: same network, batch size and number of images, in turns.
//! It never installs Keras.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use inkling_core::spec::ModelId;

use super::chosen;
use super::figure::{Case, Measurement, ratio, repeat};
use super::native::{Release, Work, n_images};
use crate::root;

/// The networks to compare by default.
const MODELS: [ModelId; 3] = [ModelId::Classic, ModelId::Compact, ModelId::Leaky];

/// Measures our command line and Keras in turns, and their ratio. Without a Python that has Keras, the table says so.
///
/// # Errors
/// When the command line cannot be built.
pub fn measure(python: Option<&Path>, models: &[ModelId], n_rounds: usize) -> Result<Vec<Measurement>> {
    let Some(python) = python else {
        return Ok(vec![Measurement::not_run("keras", "give --keras PYTHON, one that has TensorFlow and Keras")]);
    };
    let release = Release::build()?;
    let models = chosen(models, &MODELS);
    // Augmentation is work that Keras does not do here.
    let ours = |model: ModelId| release.images_per_second(Work::on_cpu(model), &["--augment", "none"]);
    let cases = models.iter().flat_map(|model| {
        let how = format!("batch 128, {} images as they are", n_images(*model));
        let measurement =
            |who: &str| vec![Measurement::new(format!("{model} natively, {who}"), how.clone(), "images/s")];
        [
            Case { measurements: measurement("ours"), measure: Box::new(move || Ok(vec![ours(*model)?])) },
            Case { measurements: measurement("Keras"), measure: Box::new(move || Ok(vec![train(python, *model)?])) },
        ]
    });
    let measurements = repeat(n_rounds, cases.collect());
    let with_ratio =
        |pair: &[Measurement]| [pair, &[ratio(&pair[0], &pair[1]).beside("wanted: 1.2 × or more")]].concat();
    Ok(measurements.chunks(2).flat_map(with_ratio).collect())
}

/// Trains with Keras; returns its images per second.
fn train(python: &Path, model: ModelId) -> Result<f64> {
    let mut train = Command::new(python);
    train.arg(root().join("benches/keras_pace.py")).args([model.id(), "128", &n_images(model).to_string()]);
    let output = train.output().with_context(|| format!("cannot run {}", python.display()))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}: {}", python.display(), errors.lines().last().unwrap_or_default());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().last().and_then(|line| line.parse().ok()).with_context(|| format!("Keras tells no number: {text}"))
}
