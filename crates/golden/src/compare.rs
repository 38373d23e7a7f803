//! Compares a network with Keras: logits, loss, every gradient, and every array after three steps of SGD and of Adam.
//! The native test and the page in a browser share it. It never runs Keras: the expected values are in `keras/*.json`.

use std::fmt::{self, Display};
use std::rc::Rc;

use burn::tensor::{Device, Tensor, Transaction};
use inkling_core::data::Split;
use inkling_core::spec::{ModelId, OptimizerId, Recipe, Schedule};
use inkling_engine::batch::Batch;
use inkling_engine::network::{Array, Backend, DropoutKey};
use inkling_engine::train::{Trainer, read_metrics};
use serde_json::Value;

/// Tolerance of root mean square differences, relative to the root mean square of the expected array. The project
/// requires 1e-4.
pub const TOLERANCE: f64 = 1e-4;
/// Learning rate of the SGD steps in the files.
const SGD_RATE: f64 = 1e-2;
/// Learning rate of the Adam steps in the files.
const ADAM_RATE: f64 = 1e-3;
const N_IMAGES: usize = 8;

/// A pseudo-random number from 0 to 1 that depends only on the indices of the array and of the element; the same
/// function as in `make.py`.
fn unit(array: u32, element: u32) -> f64 {
    let mut h =
        element.wrapping_mul(0x9E37_79B1).wrapping_add(array.wrapping_mul(0x85EB_CA77)).wrapping_add(0x27D4_EB2F);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    f64::from((h ^ (h >> 15)) >> 8) / f64::from(1u32 << 24)
}

/// The initial values of the network's array with this index, as `make.py` sets them.
fn array(index: usize, name: &str, shape: &[usize]) -> Array {
    let limit = |shape: &[usize]| {
        let area: usize = shape[2..].iter().product();
        (6.0 / ((shape[0] + shape[1]) * area) as f64).sqrt()
    };
    let value = |u: f64| match name.rsplit('.').next() {
        Some("kernel") => (2.0 * u - 1.0) * limit(shape),
        Some("gamma" | "moving_variance") => 0.5 + u,
        _ => (2.0 * u - 1.0) * 0.1,
    };
    let n: usize = shape.iter().product();
    let values = (0..n as u32).map(|i| value(unit(index as u32, i)) as f32).collect();
    Array { name: name.into(), shape: shape.to_vec(), values }
}

/// The images and labels of `make.py`: sparse noise in the middle 20×20 pixels.
fn split(model: ModelId) -> Split {
    let first = if matches!(model, ModelId::Strided | ModelId::Leaky) { 1020 } else { 1000 };
    let pixel = |i: u32| {
        let (row, column) = (i / 28 % 28, i % 28);
        let inside = (4..24).contains(&row) && (4..24).contains(&column) && unit(first + 1, i) >= 0.5;
        if inside { (unit(first, i) * 256.0) as u8 } else { 0 }
    };
    let images = (0..N_IMAGES as u32 * 784).map(pixel).collect();
    Split { images, labels: (0..N_IMAGES as u8).map(|n| (3 * n + 1) % 10).collect() }
}

/// The batch of 8 images of `make.py` for a model.
pub fn batch(model: ModelId, device: &Device) -> Batch {
    Batch::gather(&split(model), &(0..N_IMAGES).collect::<Vec<_>>(), device)
}

/// Keras's results for one model: the content of `keras/<model>.json`.
pub struct Golden(pub Value);

impl Golden {
    /// The results for a model.
    ///
    /// # Panics
    /// For `sprint`, which is not published and was not computed with Keras.
    pub fn of(model: ModelId) -> Self {
        let text = match model {
            ModelId::Compact => include_str!("../keras/compact.json"),
            ModelId::Strided => include_str!("../keras/strided.json"),
            ModelId::Leaky => include_str!("../keras/leaky.json"),
            ModelId::Classic => include_str!("../keras/classic.json"),
            ModelId::Wide => include_str!("../keras/wide.json"),
            ModelId::Sprint => unreachable!("Keras knows nothing of our own network"),
        };
        Self(serde_json::from_str(text).unwrap())
    }

    /// Names and shapes of the network's arrays, in order. `kind`: `trained`, or `running` for running statistics.
    ///
    /// # Panics
    /// When the file has no such list.
    pub fn slots(&self, kind: &str) -> Vec<(String, Vec<usize>)> {
        serde_json::from_value(self.0[kind].clone()).unwrap()
    }

    fn arrays(&self) -> Vec<Array> {
        let all = [self.slots("trained"), self.slots("running")].concat();
        all.iter().enumerate().map(|(index, (name, shape))| array(index, name, shape)).collect()
    }
}

/// All numbers of a nested list, flattened.
fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map_or_else(|| vec![value.as_f64().unwrap()], |all| all.iter().flat_map(numbers).collect())
}

/// Up to 24 elements, evenly spaced over the array.
fn samples(values: &[f32]) -> Vec<f64> {
    let n = values.len().min(24);
    (0..n).map(|k| f64::from(values[if n < 24 { k } else { k * values.len() / 24 }])).collect()
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Root mean square difference of an array's samples from Keras's samples, relative to the root mean square of Keras's
/// array or to `floor`, whichever is larger.
fn distance(golden: &Value, values: &[f32], floor: f64) -> f64 {
    let expected: Vec<f64> = serde_json::from_value(golden["samples"].clone()).unwrap();
    let ours = samples(values);
    assert_eq!(ours.len(), expected.len());
    let rms = (golden["norm"].as_f64().unwrap() / (values.len() as f64).sqrt()).max(floor);
    norm(ours.iter().zip(&expected).map(|(a, b)| a - b)) / (expected.len() as f64).sqrt() / rms
}

/// The norm of the difference, relative to the norm of `expected`.
///
/// # Panics
/// When the lengths differ.
pub fn relative(ours: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    norm(ours.iter().zip(expected).map(|(a, b)| a - b)) / norm(expected.iter().copied())
}

/// The device and the kernels that compute.
pub struct ComputeConfig {
    /// The device.
    pub device: Device,
    /// What computes instead of our kernels for the device; `None` for these.
    pub backend: Option<Rc<dyn Backend>>,
}

/// Compares everything that the file of a model contains.
///
/// # Errors
/// When a result differs from Keras's by more than its tolerance; the message names the first such result.
pub async fn check(model: ModelId, way: &ComputeConfig) -> Result<(), String> {
    let golden = Golden::of(model);
    let batch = batch(model, &way.device);
    let trainer = trainer(&golden, way, OptimizerId::Sgd)?;
    check_forward(&golden, &trainer, &batch).await?;
    check_gradients(&golden, &trainer, &batch).await?;
    check_sgd(&golden, trainer, &batch).await?;
    check_adam(&golden, self::trainer(&golden, way, OptimizerId::Adam)?, &batch).await
}

fn trainer(golden: &Golden, way: &ComputeConfig, optimizer: OptimizerId) -> Result<Trainer, String> {
    let model = golden.0["model"].as_str().unwrap().parse().map_err(text)?;
    let recipe =
        Recipe { optimizer, schedule: Schedule::Constant, weight_decay: 0.0, dropout: 0.0, ..Recipe::of(model) };
    let trainer = Trainer::from_arrays(model, &golden.arrays(), &way.device).map_err(text)?.with_recipe(&recipe);
    Ok(match &way.backend {
        Some(backend) => trainer.with_backend(backend.clone()),
        None => trainer,
    })
}

async fn check_forward(golden: &Golden, trainer: &Trainer, batch: &Batch) -> Result<(), String> {
    let evaluated = trainer.network().forward(batch.images.clone());
    let trained = trainer.network().forward_train(batch.images.clone(), 0.0, DropoutKey::of(1, 1)).logits;
    for (logits, key) in [(evaluated, "evaluated"), (trained, "logits")] {
        let logits: Vec<f64> = logits.into_data_async().await.map_err(text)?.iter::<f64>().collect();
        let error = relative(&logits, &numbers(&golden.0[key]));
        require(error < TOLERANCE, format_args!("{key}: {error:e}"))?;
    }
    Ok(())
}

async fn check_gradients(golden: &Golden, trainer: &Trainer, batch: &Batch) -> Result<(), String> {
    let backward = trainer.backward(batch, DropoutKey::of(1, 1));
    let loss = read_metrics(vec![backward.batch_metrics]).await.map_err(text)?[0].0.loss;
    let expected = golden.0["loss"].as_f64().unwrap();
    require((loss - expected).abs() < TOLERANCE * expected, format_args!("loss: {loss} and {expected}"))?;
    // The gradient of a bias before a normalisation is only rounding noise, so it is compared with a typical size
    // instead of its own.
    let floor = 1e-2;
    let register = |t: Transaction, gradient: Tensor<1>| t.register(gradient);
    let gradients = backward.gradients.into_iter().fold(Transaction::default(), register);
    let gradients = gradients.execute_async().await.map_err(text)?;
    for ((name, _), gradient) in golden.slots("trained").iter().zip(gradients) {
        let gradient: Vec<f32> = gradient.iter().collect();
        let error = distance(&golden.0["gradients"][name], &gradient, floor);
        require(error < TOLERANCE, format_args!("gradient of {name}: {error:e}"))?;
    }
    Ok(())
}

/// SGD's steps are proportional to the gradients, so all arrays must agree.
async fn check_sgd(golden: &Golden, trainer: Trainer, batch: &Batch) -> Result<(), String> {
    let expected = &golden.0["after_three_steps"]["sgd"];
    for array in three_steps(expected, trainer, batch, SGD_RATE).await? {
        let error = distance(&expected["arrays"][&array.name], &array.values, 0.0);
        require(error < TOLERANCE, format_args!("{} after three steps of SGD: {error:e}", array.name))?;
    }
    Ok(())
}

/// Adam's steps depend on the signs of gradients, so a tenth of an array's samples may differ, and all samples of
/// arrays that only rounding moves.
async fn check_adam(golden: &Golden, trainer: Trainer, batch: &Batch) -> Result<(), String> {
    let model = trainer.network().model();
    let expected = &golden.0["after_three_steps"]["adam"];
    for array in three_steps(expected, trainer, batch, ADAM_RATE).await? {
        let (n_different, n) = count_different(&expected["arrays"][&array.name], &array.values)?;
        let n_allowed = if is_noise(model, &array.name) { n } else { n / 10 };
        let holds = n_different <= n_allowed;
        require(holds, format_args!("{} after three steps of Adam: {n_different} of {n} samples", array.name))?;
    }
    Ok(())
}

/// Trains three steps on the same batch, compares their losses with Keras's, and returns all arrays.
async fn three_steps(expected: &Value, trainer: Trainer, batch: &Batch, rate: f64) -> Result<Vec<Array>, String> {
    let mut trainer = trainer;
    let losses: Vec<_> = (0..3).map(|_| trainer.step(batch, rate, DropoutKey::of(1, 1))).collect();
    let losses = read_metrics(losses).await.map_err(text)?;
    let losses: Vec<f64> = losses.iter().map(|(metrics, _)| metrics.loss).collect();
    let error = relative(&losses, &numbers(&expected["losses"]));
    require(error < 3.0 * TOLERANCE, format_args!("losses {losses:?}: {error:e}"))?;
    trainer.network().arrays().await.map_err(text)
}

fn require(holds: bool, otherwise: fmt::Arguments) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

/// Counts the samples that differ from Keras's after three steps of Adam, by more than a fiftieth of one step and by
/// more than the rounding of large numbers; returns that number and the number of all samples. Adam's first steps are
/// its rate times the sign of the gradient. Where a gradient is only rounding, its sign, and therefore the step, is
/// noise, in Keras's own single precision too.
fn count_different(golden: &Value, values: &[f32]) -> Result<(usize, usize), String> {
    let expected: Vec<f64> = serde_json::from_value(golden["samples"].clone()).unwrap();
    let ours = samples(values);
    let largest = ours.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    require(largest < 6.5 * ADAM_RATE, format_args!("no three steps lead that far: {largest}"))?;
    let differs = |(a, b): &(&f64, &f64)| (*a - *b).abs() > (ADAM_RATE / 50.0).max(TOLERANCE * b.abs());
    Ok((ours.iter().zip(&expected).filter(differs).count(), ours.len()))
}

/// Whether only rounding changes this array: in `leaky`, a bias before a normalisation, and the running mean that
/// depends on it.
fn is_noise(model: ModelId, name: &str) -> bool {
    let bias = name.starts_with("conv2d") && name.ends_with(".bias");
    model == ModelId::Leaky && (bias || name.ends_with(".moving_mean"))
}
