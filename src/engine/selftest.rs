//! One training step on two devices, compared: a graphics card that computes zeros or nonsense is found out here.

use burn::tensor::ExecutionError;
use burn::tensor::{Device, Tensor, Transaction};

use crate::data::batch::{self, Picks};
use crate::data::{Split, synthetic};
use crate::spec::{Augment, ModelId, Recipe};
use crate::train::{Feed, Shelf, Trainer, read_metrics};

/// Images in the step: as few as dense layers compute at once, so that their kernels are those of training.
const N_IMAGES: usize = 8;
/// Between them they have every kind of layer, strides and borders.
const MODELS: [ModelId; 4] = [ModelId::Classic, ModelId::Sprint, ModelId::Compact, ModelId::Strided];
/// The first so many are enough on a software adapter, which needs up to a second to compile each kernel: these have few
/// kernels that other networks lack, and its arithmetic is the processor's.
const N_IN_SOFTWARE: usize = 2;
/// Bent in every way there is.
const BENT: Augment = Augment { shift: 2.0, rotate: 10.0, scale: 0.1, shear: 0.1, elastic: 1.0 };
/// Any seed shows the same faults.
const SEED: u64 = 1;
/// Relative. WebGPU allows each operation a few units in the last place; a wrong kernel is off by far more.
const TOLERANCE: f64 = 1e-2;

/// The networks that are compared.
pub fn models(software: bool) -> &'static [ModelId] {
    if software { &MODELS[..N_IN_SOFTWARE] } else { &MODELS }
}

/// Checks that one step of each model on `device`, which may be a `software` adapter, does what it does on `reference`.
///
/// # Errors
/// What differs, in words.
pub async fn compare(device: &Device, software: bool, reference: &Device) -> Result<(), String> {
    let split = synthetic::split(SEED, 0, N_IMAGES);
    let failed = |error| format!("it failed its self-test ({error})");
    for &model in models(software) {
        let ours = outcome(model, &split, device).await.map_err(failed)?;
        let theirs = outcome(model, &split, reference).await.map_err(failed)?;
        for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            let difference = distance(a, b);
            if difference.is_nan() || difference > TOLERANCE {
                let off = format!("result {index} of {model} is off by {:.1} %", difference * 100.0);
                return Err(format!("it failed its self-test ({off})"));
            }
        }
    }
    Ok(())
}

/// The loss and every gradient of one step, as plain numbers.
async fn outcome(model: ModelId, split: &Split, device: &Device) -> Result<Vec<Vec<f32>>, ExecutionError> {
    let all: Vec<usize> = (0..split.len()).collect();
    let picks = Picks::drawn(&all, &Recipe { augment: BENT, ..Recipe::of(model) }, &mut batch::random(SEED, 1, 0));
    let batch = Feed::of(&Shelf::new(), split, all.len(), device).batch(&picks, device);
    let backward = Trainer::new(model, SEED, device).backward(&batch, &mut batch::random(SEED, 1, 1));
    let loss = read_metrics(vec![backward.tally]).await?[0].0.loss as f32;
    let register = |t: Transaction, gradient: Tensor<1>| t.register(gradient);
    let gradients = backward.gradients.into_iter().fold(Transaction::default(), register).execute_async().await?;
    let gradients = gradients.iter().map(|data| data.iter::<f32>().collect());
    Ok(std::iter::once(vec![loss]).chain(gradients).collect())
}

/// Distance between two vectors, relative to the second; all zeros are at distance 1 from anything else.
fn distance(ours: &[f32], theirs: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let apart: f64 = ours.iter().zip(theirs).map(|(a, b)| square(f64::from(a - b))).sum();
    let length: f64 = theirs.iter().map(|b| square(f64::from(*b))).sum();
    (apart / length.max(f64::MIN_POSITIVE)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_agrees_with_itself() {
        let device = Device::flex();
        assert_eq!(pollster::block_on(compare(&device, false, &device)), Ok(()));
    }

    #[test]
    fn zeros_and_nonsense_are_far_from_the_truth() {
        assert_eq!(distance(&[0.0, 0.0], &[1.0, -2.0]), 1.0);
        assert!(distance(&[f32::NAN, 0.0], &[1.0, -2.0]).is_nan());
        assert!(distance(&[1.001, -2.0], &[1.0, -2.0]) < TOLERANCE);
    }
}
