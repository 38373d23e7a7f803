//! The command line beside Keras on the same machine: the same network, batch and number of images, in turns.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use inkling_core::spec::ModelId;

use super::chosen;
use super::figure::{Case, Figure, ratio, repeat};
use super::native::{Release, Work, n_images};
use crate::root;

/// Where both engines are held against each other when nothing was asked for.
const MODELS: [ModelId; 3] = [ModelId::Classic, ModelId::Compact, ModelId::Leaky];

/// Keras and ours in turns; says so where there is no Python to run it.
///
/// # Errors
/// When the command line cannot be built.
pub fn measure(python: Option<&Path>, models: &[ModelId], n_rounds: usize) -> Result<Vec<Figure>> {
    let Some(python) = python else {
        return Ok(vec![Figure::not_run("keras", "give --keras PYTHON, one that has TensorFlow and Keras")]);
    };
    let release = Release::build()?;
    let models = chosen(models, &MODELS);
    // Bending images is work that Keras is not asked to do.
    let ours = |model: ModelId| release.images_per_second(Work::on_cpu(model), &["--augment", "none"]);
    let cases = models.iter().flat_map(|model| {
        let how = format!("batch 128, {} images as they are", n_images(*model));
        let figure = |who: &str| vec![Figure::new(format!("{model} natively, {who}"), how.clone(), "images/s")];
        [
            Case { figures: figure("ours"), measure: Box::new(move || Ok(vec![ours(*model)?])) },
            Case { figures: figure("Keras"), measure: Box::new(move || Ok(vec![train(python, *model)?])) },
        ]
    });
    let figures = repeat(n_rounds, cases.collect());
    let with_ratio = |pair: &[Figure]| [pair, &[ratio(&pair[0], &pair[1]).beside("wanted: 1.2 × or more")]].concat();
    Ok(figures.chunks(2).flat_map(with_ratio).collect())
}

/// Images a second of Keras.
fn train(python: &Path, model: ModelId) -> Result<f64> {
    let mut train = Command::new(python);
    train.arg(root().join("benches/keras_pace.py")).args([model.id(), "128", &n_images(model).to_string()]);
    let output = train.output().with_context(|| format!("cannot run {}", python.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{}: {}", python.display(), said.lines().last().unwrap_or_default());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    said.lines().last().and_then(|line| line.parse().ok()).with_context(|| format!("Keras tells no number: {said}"))
}
