//! The five published networks against Keras: logits, loss, every gradient, and what three steps of Adam make of every array, from
//! the files that `tests/golden/make.py` made once with Keras itself. Our kernels and burn's operations both answer.
#![cfg(feature = "native")]

use std::fs;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use inkling::data::Split;
use inkling::data::batch::{self, Batch};
use inkling::network::Array;
use inkling::spec::{ModelId, OptimizerId, Recipe, Schedule};
use inkling::train::{Trainer, read_metrics};
use inkling::zoo;
use pollster::block_on;
use serde_json::Value;

/// Relative to an array's own size, root mean square; the issue that asked for it says 1e-4.
const TOLERANCE: f64 = 1e-4;
/// Adam's rate in the files.
const RATE: f64 = 1e-3;
const N_IMAGES: usize = 8;

/// A number from 0 to 1 that only depends on which array and which element it is for, as `make.py` has it.
fn unit(array: u32, element: u32) -> f64 {
    let mut h =
        element.wrapping_mul(0x9E37_79B1).wrapping_add(array.wrapping_mul(0x85EB_CA77)).wrapping_add(0x27D4_EB2F);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    f64::from((h ^ (h >> 15)) >> 8) / f64::from(1u32 << 24)
}

fn array(number: usize, name: &str, shape: &[usize]) -> Array {
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
    let values = (0..n as u32).map(|i| value(unit(number as u32, i)) as f32).collect();
    Array { name: name.into(), shape: shape.to_vec(), values }
}

/// Sparse noise in the middle box, and the labels of `make.py`.
fn split() -> Split {
    let pixel = |i: u32| {
        let (row, column) = (i / 28 % 28, i % 28);
        let inside = (4..24).contains(&row) && (4..24).contains(&column) && unit(1001, i) >= 0.5;
        if inside { (unit(1000, i) * 256.0) as u8 } else { 0 }
    };
    let images = (0..N_IMAGES as u32 * 784).map(pixel).collect();
    Split { images, labels: (0..N_IMAGES as u8).map(|n| (3 * n + 1) % 10).collect() }
}

struct Golden(Value);

impl Golden {
    fn of(model: ModelId) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{model}.json"));
        Self(serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    }

    fn slots(&self, kind: &str) -> Vec<(String, Vec<usize>)> {
        serde_json::from_value(self.0[kind].clone()).unwrap()
    }

    fn arrays(&self) -> Vec<Array> {
        let all = [self.slots("trained"), self.slots("running")].concat();
        all.iter().enumerate().map(|(number, (name, shape))| array(number, name, shape)).collect()
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        fn flat(value: &Value) -> Vec<f64> {
            value.as_array().map_or_else(|| vec![value.as_f64().unwrap()], |all| all.iter().flat_map(flat).collect())
        }
        flat(&self.0[key])
    }
}

/// Up to 24 elements, evenly over the array.
fn samples(values: &[f32]) -> Vec<f64> {
    let n = values.len().min(24);
    (0..n).map(|k| f64::from(values[if n < 24 { k } else { k * values.len() / 24 }])).collect()
}

fn norm(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// How far a few samples are from the golden ones, relative to the array's root mean square (or to `floor`).
fn distance(golden: &Value, values: &[f32], floor: f64) -> f64 {
    let truth: Vec<f64> = serde_json::from_value(golden["samples"].clone()).unwrap();
    let ours = samples(values);
    assert_eq!(ours.len(), truth.len());
    let rms = (golden["norm"].as_f64().unwrap() / (values.len() as f64).sqrt()).max(floor);
    norm(ours.iter().zip(&truth).map(|(a, b)| a - b)) / (truth.len() as f64).sqrt() / rms
}

fn relative(ours: &[f64], truth: &[f64]) -> f64 {
    assert_eq!(ours.len(), truth.len());
    norm(ours.iter().zip(truth).map(|(a, b)| a - b)) / norm(truth.iter().copied())
}

fn floats(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn check(model: ModelId, by_burn: bool) {
    let golden = Golden::of(model);
    let device = Device::flex();
    let recipe = Recipe {
        optimizer: OptimizerId::Adam,
        schedule: Schedule::Constant,
        weight_decay: 0.0,
        dropout: 0.0,
        ..Recipe::of(model)
    };
    let trainer = Trainer::from_arrays(model, &golden.arrays(), &device).unwrap().by(&recipe);
    let mut trainer = if by_burn { trainer.by_burn() } else { trainer };
    let (split, mut random) = (split(), batch::random(1, 1, 1));
    let batch = Batch::gather(&split, &(0..N_IMAGES).collect::<Vec<_>>(), &device);
    let what = |of: &str| format!("{model}{}: {of}", if by_burn { " by burn" } else { "" });

    let evaluated = trainer.network().forward(batch.images.clone()).into_data();
    let evaluated: Vec<f64> = evaluated.iter::<f64>().collect();
    assert!(relative(&evaluated, &golden.numbers("evaluated")) < TOLERANCE, "{}", what("evaluated logits"));
    let logits = trainer.network().forward_train(batch.images.clone(), 0.0, &mut random).logits.into_data();
    let logits: Vec<f64> = logits.iter::<f64>().collect();
    assert!(relative(&logits, &golden.numbers("logits")) < TOLERANCE, "{}", what("logits"));

    let backward = trainer.backward(&batch, &mut random);
    let loss = block_on(read_metrics(vec![backward.tally])).unwrap()[0].0.loss;
    let truth = golden.0["loss"].as_f64().unwrap();
    assert!((loss - truth).abs() < TOLERANCE * truth, "{}: {loss} and {truth}", what("loss"));
    // Before a normalisation a bias has no gradient, only rounding noise: measured against what the others have.
    let floor = 1e-2;
    for ((name, _), gradient) in golden.slots("trained").iter().zip(backward.gradients) {
        let gradient = floats(gradient);
        let apart = distance(&golden.0["gradients"][name], &gradient, floor);
        let tolerance = gradient_tolerance(model);
        assert!(apart < tolerance, "{}: {apart:e}", what(&format!("gradient of {name}")));
    }

    let losses: Vec<_> = (0..3).map(|_| trainer.step(&batch, RATE, &mut random)).collect();
    let losses: Vec<f64> = block_on(read_metrics(losses)).unwrap().iter().map(|(metrics, _)| metrics.loss).collect();
    assert!(relative(&losses, &golden.numbers("losses")) < 3.0 * TOLERANCE, "{}: {losses:?}", what("losses"));
    for array in block_on(trainer.network().arrays()).unwrap() {
        let stored = &golden.0["after_three_steps"][&array.name];
        let (n_far, n) = far_off(stored, &array.values);
        let most = if is_noise(model, &array.name) { n } else { n / 10 };
        assert!(n_far <= most, "{}: {n_far} of {n} samples", what(&format!("{} after three steps", array.name)));
    }
}

/// Samples that three steps of Adam left elsewhere than Keras did by more than a fiftieth of one step, or by more than
/// the rounding of large numbers. Adam's first steps are its rate times the gradient's sign: where a gradient is nothing
/// but rounding, its sign and so the step is noise, in Keras's own single precision too.
fn far_off(golden: &Value, values: &[f32]) -> (usize, usize) {
    let truth: Vec<f64> = serde_json::from_value(golden["samples"].clone()).unwrap();
    let ours = samples(values);
    let far = |(a, b): &(&f64, &f64)| {
        assert!((*a - *b).abs() < 6.5 * RATE, "no three steps lead that far: {a} and {b}");
        (*a - *b).abs() > (RATE / 50.0).max(TOLERANCE * b.abs())
    };
    (ours.iter().zip(&truth).filter(far).count(), ours.len())
}

/// Arrays of `leaky` that only rounding moves: a bias before a normalisation, and the running mean that sees it.
fn is_noise(model: ModelId, name: &str) -> bool {
    let bias = name.starts_with("conv2d") && name.ends_with(".bias");
    model == ModelId::Leaky && (bias || name.ends_with(".moving_mean"))
}

/// One input of `leaky`'s rectifiers lies 4e-7 from 0 and falls on the other side in single precision, in Keras too,
/// which is then as far from itself in double precision.
fn gradient_tolerance(model: ModelId) -> f64 {
    if model == ModelId::Leaky { 3e-3 } else { TOLERANCE }
}

#[test]
fn compact_is_keras_s() {
    check(ModelId::Compact, false);
    check(ModelId::Compact, true);
}

#[test]
fn strided_is_keras_s() {
    check(ModelId::Strided, false);
    check(ModelId::Strided, true);
}

#[test]
fn leaky_is_keras_s() {
    check(ModelId::Leaky, false);
    check(ModelId::Leaky, true);
}

#[test]
fn classic_is_keras_s() {
    check(ModelId::Classic, false);
    check(ModelId::Classic, true);
}

#[test]
fn wide_is_keras_s() {
    check(ModelId::Wide, false);
    // burn's own way needs minutes in this profile; the other four hold it.
}

/// `sprint` is ours: there the kernels and burn's operations hold one another.
#[test]
fn sprint_computes_alike_both_ways() {
    let device = Device::flex();
    let batch = Batch::gather(&split(), &(0..N_IMAGES).collect::<Vec<_>>(), &device);
    let [ours, burns] = [false, true].map(|by_burn| {
        let trainer = Trainer::new(ModelId::Sprint, 3, &device);
        let trainer = if by_burn { trainer.by_burn() } else { trainer };
        let backward = trainer.backward(&batch, &mut batch::random(1, 1, 1));
        let loss = block_on(read_metrics(vec![backward.tally])).unwrap()[0].0.loss;
        let gradients = backward.gradients.into_iter().chain(backward.statistics).map(floats);
        (loss, gradients.map(|values| values.into_iter().map(f64::from).collect()).collect::<Vec<Vec<f64>>>())
    });
    assert!((ours.0 - burns.0).abs() < TOLERANCE * burns.0, "{} and {}", ours.0, burns.0);
    assert_eq!(ours.1.len(), burns.1.len());
    for (number, (ours, burns)) in ours.1.iter().zip(&burns.1).enumerate() {
        let apart = relative(ours, burns);
        assert!(apart < TOLERANCE, "array {number}: {apart:e}");
    }
}

#[test]
fn layer_tables_are_keras_s() {
    // The last one is ours: Keras knows nothing of it.
    for model in ModelId::ALL.iter().filter(|model| **model != ModelId::Sprint) {
        let (golden, summary) = (Golden::of(*model), zoo::summary(*model));
        let published: Vec<(String, Vec<usize>, usize)> =
            serde_json::from_value(golden.0["summary"]["layers"].clone()).unwrap();
        let ours: Vec<_> =
            summary.layers.iter().map(|r| (r.kind.to_owned(), r.output_shape.clone(), r.parameters)).collect();
        let squeezed = published.into_iter().map(|(kind, shape, count)| (kind, squeeze(shape), count));
        assert_eq!(ours, squeezed.collect::<Vec<_>>(), "{model}");
        let totals = ["total", "trainable", "non_trainable"].map(|key| golden.0["summary"][key].as_u64().unwrap());
        assert_eq!([summary.total, summary.trainable, summary.non_trainable].map(|n| n as u64), totals, "{model}");
        assert_eq!(summary.total, zoo::published(*model).parameters, "{model}");
    }
}

/// A single pixel is shown by its channels alone.
fn squeeze(shape: Vec<usize>) -> Vec<usize> {
    if let [1, 1, channels] = shape[..] { vec![channels] } else { shape }
}
