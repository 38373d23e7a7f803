//! One whole step of training on an engine and on the CPU engine: the images, the loss, every gradient, and what the
//! optimizer makes of them.

use burn::tensor::{Device, Tensor, TensorData, Transaction};
use futures_util::future::join;
use inkling_core::data::{Split, synthetic};
use inkling_core::models;
use inkling_core::spec::{Augment, ModelId, Recipe};

use super::{N_IMAGES, N_IN_TILES, SEED, computes_in_tiles, farthest};
use crate::batch::{self, Picks};
use crate::network::DropoutKey;
use crate::train::{Backward, Feed, Shelf, Trainer, read_metrics};

/// Bent in every way there is.
const BENT: Augment = Augment { shift: 2.0, rotate: 10.0, scale: 0.1, shear: 0.1, elastic: 1.0 };
/// Of pixels from 0 to 1: coordinates up to 29 have sixteen binary places behind them.
const OF_PIXELS: f32 = 1e-4;
/// Relative. A flipped rectifier moves the loss by far less.
const OF_LOSS: f32 = 1e-3;
/// Of a gradient, relative to its length. Flipped rectifiers of right engines came to 0.0175.
const OF_GRADIENTS: f64 = 0.1;
/// A gradient as small as this part of the largest is nothing but rounding: a bias has none before a normalisation.
const NOTHING: f64 = 1e-3;
/// Of a number after the optimizer's step, relative to its size and to how far it went.
const OF_STEPS: f32 = 1e-4;
/// Networks of more numbers are not stepped: on the host they would take hundreds of megabytes, and their kernels are
/// checked by themselves.
const MOST_NUMBERS: usize = 8 << 20;

/// One step, as plain numbers.
struct Step {
    pixels: Vec<f32>,
    loss: f32,
    gradients: Vec<Vec<f32>>,
}

/// Compares a step of a network.
///
/// # Errors
/// What differs, in words.
pub(super) async fn compare(model: ModelId, recipe: &Recipe, device: &Device) -> Result<(), String> {
    if models::published(model).parameters > MOST_NUMBERS {
        return Ok(());
    }
    let reference = Device::flex();
    let n_images = if computes_in_tiles(device) { N_IN_TILES } else { N_IMAGES };
    let split = synthetic::split(SEED, 0, n_images);
    let [mut ours, mut theirs] = [device, &reference].map(|device| Trainer::new(model, SEED, device).by(recipe));
    // The card first: the CPU computes while it does.
    let (found, truth) = join(step(&ours, &split, device), step(&theirs, &split, &reference)).await;
    let ((found, backward), (truth, reference_backward)) = (found?, truth?);
    let within = |name: &str, found: &[f32], truth: &[f32], allowed: f32| {
        farthest(name, found, truth, &vec![allowed; truth.len()]).map_or(Ok(()), Err)
    };
    within("a bent image", &found.pixels, &truth.pixels, OF_PIXELS)?;
    within("the loss of a whole step", &[found.loss], &[truth.loss], OF_LOSS * truth.loss)?;
    gradients(&ours, &found, &truth)?;
    // Both take the same gradients: Adam's first step goes by their signs, which rounding may turn.
    let upload = |gradient: &Vec<f32>| Tensor::from_data(TensorData::new(gradient.clone(), [gradient.len()]), device);
    ours.apply(Backward { gradients: truth.gradients.iter().map(upload).collect(), ..backward }, recipe.learning_rate);
    theirs.apply(reference_backward, recipe.learning_rate);
    let n_trained = ours.network().parameter_slots().len();
    let (found, truth) = (arrays(&ours).await?, arrays(&theirs).await?);
    for (found, truth) in found.iter().zip(&truth).take(n_trained) {
        let allowed: Vec<_> = truth.values.iter().map(|x| OF_STEPS * (x.abs() + recipe.learning_rate as f32)).collect();
        let name = format!("{} after a step of {}", truth.name, recipe.optimizer);
        farthest(&name, &found.values, &truth.values, &allowed).map_or(Ok(()), Err)?;
    }
    Ok(())
}

async fn arrays(trainer: &Trainer) -> Result<Vec<crate::network::Array>, String> {
    trainer.network().arrays().await.map_err(|error| error.to_string())
}

async fn step(trainer: &Trainer, split: &Split, device: &Device) -> Result<(Step, Backward), String> {
    let all: Vec<usize> = (0..split.len()).collect();
    let recipe = Recipe { augment: BENT, ..Recipe::of(trainer.network().model()) };
    let picks = Picks::drawn(&all, &recipe, &mut batch::random(SEED, 1, 0));
    let batch = Feed::of(&Shelf::new(), split, all.len(), device).batch(&picks, device);
    let images = batch.images.clone().flatten::<1>(0, 3);
    let backward = trainer.backward(&batch, DropoutKey::of(SEED, 1));
    let failed = |error| format!("{error}");
    let register = |t: Transaction, tensor: &Tensor<1>| t.register(tensor.clone());
    let tensors = std::iter::once(&images).chain(&backward.gradients);
    let arrays = tensors.fold(Transaction::default(), register).execute_async();
    let (loss, read) = join(read_metrics(vec![backward.tally.clone()]), arrays).await;
    let (loss, read) = (loss.map_err(failed)?[0].0.loss as f32, read.map_err(failed)?);
    let mut read = read.iter().map(|data| data.iter::<f32>().collect::<Vec<_>>());
    let pixels = read.next().unwrap_or_default();
    Ok((Step { pixels, loss, gradients: read.collect() }, backward))
}

/// Compares gradients as a whole each: some of their numbers may hang on a rectifier.
fn gradients(trainer: &Trainer, found: &Step, truth: &Step) -> Result<(), String> {
    let mean_square = |numbers: &[f32]| square(numbers.iter().copied()) / numbers.len() as f64;
    let largest = truth.gradients.iter().map(|gradient| mean_square(gradient)).fold(0.0, f64::max);
    let arrays = found.gradients.iter().zip(&truth.gradients).zip(trainer.network().parameter_slots());
    for ((found, truth), slot) in arrays {
        let apart = square(found.iter().zip(truth).map(|(a, b)| a - b));
        let nothing = NOTHING * NOTHING * largest * truth.len() as f64;
        let off = (apart / square(truth.iter().copied()).max(nothing)).sqrt();
        if off.is_nan() || off > OF_GRADIENTS {
            return Err(format!("the gradient of {} in a whole step is off by {:.1} %", slot.name, off * 100.0));
        }
    }
    Ok(())
}

/// The sum of the squares.
fn square(numbers: impl Iterator<Item = f32>) -> f64 {
    numbers.map(|x| f64::from(x) * f64::from(x)).sum()
}
