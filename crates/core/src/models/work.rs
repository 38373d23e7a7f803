//! Number of multiply-adds of a training run, counted from the layers alone. It never measures a speed: callers pass in
//! multiply-adds per second.

use super::layers::{Conv, with_inputs};
use super::{Layer, layers, published};
use crate::data::split::Partition;
use crate::data::{mnist, synthetic};
use crate::spec::{DatasetId, ModelId, SplitId, TrainSpec};

/// Cost of a step, in forward passes: the forward pass, the gradients of the inputs and the gradients of the weights
/// cost the same.
const PASSES: f64 = 3.0;
/// Cost of the optimizer, in multiply-adds per parameter. It reads and writes seven numbers per parameter, and memory
/// delivers them in the time of about this many multiply-adds. Measured with Adam on `wide`, where it matters most.
const OPTIMIZER: f64 = 30.0;

/// Largest number of parameters for which workers share a step. Weights are sent to every worker and gradients back:
/// 16 MB each way at this limit. Only `wide` is larger; sending its 170 MB would take longer than sharing saves.
const MAX_SHARED_PARAMETERS: usize = 4_000_000;

/// Speed that each further worker adds, as a fraction of the speed of one: measured 0.6 to 0.75 on two cores. In every
/// step the workers wait for the slowest one and for the optimizer.
const ADDED_PER_WORKER: f64 = 0.7;

/// Number of workers that share the steps of a model when `asked_for` are asked for: all of them, or 1 for networks too
/// large to share.
pub fn workers(model: ModelId, asked_for: usize) -> usize {
    if published(model).parameters <= MAX_SHARED_PARAMETERS { asked_for } else { 1 }
}

/// Multiply-adds of the forward pass of one image.
pub fn forward_work(layers: &[Layer]) -> f64 {
    by_layer(layers).sum()
}

/// Multiply-adds of the forward and backward pass of one image. The gradient of the input image is not computed and not
/// counted.
pub fn training_work(layers: &[Layer]) -> f64 {
    PASSES * forward_work(layers) - by_layer(layers).find(|work| *work > 0.0).unwrap_or(0.0)
}

/// Billions of floating-point operations per second while a model trains at this speed. A nominal number: a multiply-add
/// is two operations, and what is not a product of [`training_work`] (normalisation, the optimizer) is not counted.
pub fn training_gflops(model: ModelId, images_per_second: f64) -> f64 {
    2.0 * training_work(&layers(model)) * images_per_second / 1e9
}

/// Multiply-adds of the forward pass of one image, for each layer.
fn by_layer(layers: &[Layer]) -> impl Iterator<Item = f64> {
    with_inputs(layers).map(|(layer, input)| match layer {
        Layer::Conv(Conv { kernel, .. }) => (layer.output(input).size() * input.channels * kernel * kernel) as f64,
        Layer::Dense(units) => (units * input.size()) as f64,
        _ => 0.0,
    })
}

/// Multiply-adds of a training step with `batch` images, the optimizer included.
pub fn step_work(layers: &[Layer], batch: usize) -> f64 {
    let parameters = with_inputs(layers).flat_map(|(layer, input)| layer.parameters(input));
    let parameters: usize = parameters.map(|(_, shape)| shape.iter().product::<usize>()).sum();
    PASSES * batch as f64 * forward_work(layers) + OPTIMIZER * parameters as f64
}

/// Multiply-adds of all steps of a run and of the validation after every epoch; `None` when the number of images is not
/// known here.
fn run_work(spec: &TrainSpec) -> Option<f64> {
    let (n_images, n_validated) = match (&spec.dataset, spec.split) {
        (DatasetId::Mnist, SplitId::Published) => (mnist::N_TRAIN, mnist::N_TEST),
        (DatasetId::Mnist, SplitId::Kaggle) => {
            let partition = Partition::kaggle(mnist::N_TRAIN + mnist::N_TEST);
            (partition.n_train, partition.n_validation)
        }
        (DatasetId::Synthetic, SplitId::Published) => (synthetic::N_TRAIN, synthetic::N_TEST),
        _ => return None,
    };
    let n_images = n_images.min(spec.train_limit.unwrap_or(usize::MAX));
    let n_steps = n_images.div_ceil(spec.recipe.batch) * spec.recipe.epochs;
    let layers = layers(spec.model);
    let n_predictions = (n_validated.min(spec.test_limit.unwrap_or(usize::MAX)) * spec.recipe.epochs) as f64;
    let training = n_steps as f64 * step_work(&layers, spec.recipe.batch.min(n_images));
    Some(training + n_predictions * forward_work(&layers))
}

/// Estimated seconds of a run, validation included, where one worker does `work_per_sec` multiply-adds per second;
/// `None` when the number of images is not known here (a folder, a user data set, Kaggle's split of synthetic digits).
pub fn run_secs(spec: &TrainSpec, work_per_sec: f64) -> Option<f64> {
    let n_others = workers(spec.model, spec.workers).saturating_sub(1);
    run_work(spec).map(|work| work / (work_per_sec * (1.0 + ADDED_PER_WORKER * n_others as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_is_counted_by_hand() {
        // 26 × 26 positions × 9 products × 2 filters, then 1,352 × 10.
        let layers = [Layer::Conv(Conv::valid(2, 3)), Layer::Flatten, Layer::Dense(10)];
        assert_eq!(forward_work(&layers), (26 * 26 * 9 * 2 + 1352 * 10) as f64);
        let parameters = 2 * 9 + 2 + 1352 * 10 + 10;
        assert_eq!(step_work(&layers, 4), 12.0 * forward_work(&layers) + 30.0 * f64::from(parameters));
    }

    #[test]
    fn each_worker_adds_less_than_the_first_does() {
        let secs = |model, workers| run_secs(&TrainSpec { workers, ..TrainSpec::of(model) }, 1e9).unwrap();
        let speedup = secs(ModelId::Compact, 1) / secs(ModelId::Compact, 2);
        assert!((speedup - 1.7).abs() < 1e-9, "{speedup}");
        assert_eq!(secs(ModelId::Wide, 2), secs(ModelId::Wide, 1), "its weights are not shared");
    }

    #[test]
    fn a_limit_makes_a_run_shorter() {
        let whole = TrainSpec::of(ModelId::Compact);
        let part = TrainSpec { train_limit: Some(1280), test_limit: Some(1), ..whole.clone() };
        let validation = 20.0 * 9_999.0 * forward_work(&layers(whole.model));
        let (whole, part) = (run_work(&whole).unwrap() - validation, run_work(&part).unwrap());
        assert!((whole / part - 46.9).abs() < 0.03, "{}", whole / part);
        assert_eq!(run_secs(&TrainSpec { dataset: DatasetId::UserFiles, ..TrainSpec::of(ModelId::Wide) }, 1e9), None);
    }
}
