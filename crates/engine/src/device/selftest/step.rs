//! Compares one whole training step on a graphics card with the CPU engine: the augmented images, the loss, every
//! gradient, and the weights after the optimizer's step. It never uses the user's network or images.

use burn::tensor::{Device, Tensor, TensorData, Transaction};
use futures_util::future::join;
use inkling_core::data::{Split, synthetic};
use inkling_core::models;
use inkling_core::spec::{Augment, ModelId, Recipe};

use super::{N_IMAGES, N_IN_TILES, SEED, worst};
use crate::batch::{self, BatchPlan};
use crate::network::{DropoutKey, backend};
use crate::train::{Backward, BatchSource, ImageCache, Trainer, read_metrics};

/// All kinds of augmentation at once.
const AUGMENT: Augment = Augment { shift: 2.0, rotate: 10.0, scale: 0.1, shear: 0.1, elastic: 1.0 };
/// Tolerance of pixels from 0 to 1: coordinates up to 29 have sixteen binary places after the point.
const PIXEL_TOLERANCE: f32 = 1e-4;
/// Relative tolerance of the loss. A rectifier whose sign rounding flips changes the loss by far less.
const LOSS_TOLERANCE: f32 = 1e-3;
/// Tolerance of a gradient, relative to its norm. Flipped rectifiers of correct engines caused up to 0.0175.
const GRADIENT_TOLERANCE: f64 = 0.1;
/// A gradient whose root mean square is below this fraction of the largest is only rounding: the exact gradient of a
/// bias before a normalisation, for example, is 0.
const NEGLIGIBLE: f64 = 1e-3;
/// Tolerance of a weight after the optimizer's step, relative to the sum of its size and of the learning rate.
const STEP_TOLERANCE: f32 = 1e-4;
/// Larger networks are not stepped: on the host a step would take hundreds of megabytes, and their kernels are tested
/// one by one.
const MAX_PARAMETERS: usize = 8 << 20;

/// The results of a forward and backward pass, as plain numbers.
struct Step {
    pixels: Vec<f32>,
    loss: f32,
    gradients: Vec<Vec<f32>>,
}

/// Compares a training step of a network on `device` with the CPU engine. Skips networks of more than
/// [`MAX_PARAMETERS`].
///
/// # Errors
/// When a result differs; the message says which one and by how much.
pub(super) async fn compare(model: ModelId, recipe: &Recipe, device: &Device) -> Result<(), String> {
    if models::published(model).parameters > MAX_PARAMETERS {
        return Ok(());
    }
    let cpu = Device::flex();
    let n_images = if backend(device).computes_in_tiles(device) { N_IN_TILES } else { N_IMAGES };
    let split = synthetic::split(SEED, 0, n_images);
    let [mut trainer, mut reference] =
        [device, &cpu].map(|device| Trainer::new(model, SEED, device).with_recipe(recipe));
    // The card's step is launched first, so that card and CPU compute at the same time.
    let (found, expected) = join(step(&trainer, &split, device), step(&reference, &split, &cpu)).await;
    let ((found, backward), (expected, reference_backward)) = (found?, expected?);
    let within = |name: &str, found: &[f32], expected: &[f32], allowed: f32| {
        worst(name, found, expected, &vec![allowed; expected.len()]).map_or(Ok(()), Err)
    };
    within("a bent image", &found.pixels, &expected.pixels, PIXEL_TOLERANCE)?;
    within("the loss of a whole step", &[found.loss], &[expected.loss], LOSS_TOLERANCE * expected.loss)?;
    compare_gradients(&trainer, &found, &expected)?;
    // Both optimizers get the CPU's gradients: Adam's first step depends on their signs, which rounding may flip.
    let upload = |gradient: &Vec<f32>| Tensor::from_data(TensorData::new(gradient.clone(), [gradient.len()]), device);
    let gradients = expected.gradients.iter().map(upload).collect();
    trainer.apply(Backward { gradients, ..backward }, recipe.learning_rate);
    reference.apply(reference_backward, recipe.learning_rate);
    let n_trained = trainer.network().parameter_slots().len();
    let (found, expected) = (arrays(&trainer).await?, arrays(&reference).await?);
    for (found, expected) in found.iter().zip(&expected).take(n_trained) {
        let allowed = |x: &f32| STEP_TOLERANCE * (x.abs() + recipe.learning_rate as f32);
        let allowed: Vec<_> = expected.values.iter().map(allowed).collect();
        let name = format!("{} after a step of {}", expected.name, recipe.optimizer);
        worst(&name, &found.values, &expected.values, &allowed).map_or(Ok(()), Err)?;
    }
    Ok(())
}

async fn arrays(trainer: &Trainer) -> Result<Vec<crate::network::Array>, String> {
    trainer.network().arrays().await.map_err(|error| error.to_string())
}

/// Computes loss and gradients of a batch of all images, augmented.
async fn step(trainer: &Trainer, split: &Split, device: &Device) -> Result<(Step, Backward), String> {
    let all: Vec<usize> = (0..split.len()).collect();
    let recipe = Recipe { augment: AUGMENT, ..Recipe::of(trainer.network().model()) };
    let plan = BatchPlan::for_training(&all, &recipe, &mut batch::step_generator(SEED, 1, 0));
    let batch = BatchSource::of(&ImageCache::new(), split, all.len(), device).batch(&plan, device);
    let images = batch.images.clone().flatten::<1>(0, 3);
    let backward = trainer.backward(&batch, DropoutKey::of(SEED, 1));
    let failed = |error| format!("{error}");
    let register = |t: Transaction, tensor: &Tensor<1>| t.register(tensor.clone());
    let tensors = std::iter::once(&images).chain(&backward.gradients);
    let arrays = tensors.fold(Transaction::default(), register).execute_async();
    let (loss, data) = join(read_metrics(vec![backward.batch_metrics.clone()]), arrays).await;
    let (loss, data) = (loss.map_err(failed)?[0].0.loss as f32, data.map_err(failed)?);
    let mut arrays = data.iter().map(|data| data.iter::<f32>().collect::<Vec<_>>());
    let pixels = arrays.next().unwrap_or_default();
    Ok((Step { pixels, loss, gradients: arrays.collect() }, backward))
}

/// Compares each gradient by its norm, because single numbers may depend on a rectifier that rounding flips.
fn compare_gradients(trainer: &Trainer, found: &Step, expected: &Step) -> Result<(), String> {
    let mean_square = |numbers: &[f32]| sum_of_squares(numbers.iter().copied()) / numbers.len() as f64;
    let largest = expected.gradients.iter().map(|gradient| mean_square(gradient)).fold(0.0, f64::max);
    let arrays = found.gradients.iter().zip(&expected.gradients).zip(trainer.network().parameter_slots());
    for ((found, expected), slot) in arrays {
        let difference = sum_of_squares(found.iter().zip(expected).map(|(a, b)| a - b));
        let negligible = NEGLIGIBLE * NEGLIGIBLE * largest * expected.len() as f64;
        let error = (difference / sum_of_squares(expected.iter().copied()).max(negligible)).sqrt();
        if error.is_nan() || error > GRADIENT_TOLERANCE {
            return Err(format!("the gradient of {} in a whole step is off by {:.1} %", slot.name, error * 100.0));
        }
    }
    Ok(())
}

fn sum_of_squares(numbers: impl Iterator<Item = f32>) -> f64 {
    numbers.map(|x| f64::from(x) * f64::from(x)).sum()
}
