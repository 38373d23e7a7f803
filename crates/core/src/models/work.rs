//! How much arithmetic a training run takes, counted from the layers alone. Pure; how fast it goes is measured elsewhere.

use super::layers::{Conv, with_inputs};
use super::{Layer, layers, published};
use crate::spec::{DatasetId, ModelId, SplitId, TrainSpec};

/// A step costs the forward pass, the gradient of each input and the gradient of each weight, each as much.
const PASSES: f64 = 3.0;
/// The optimizer reads and writes seven numbers a parameter, which memory delivers in the time of about so many
/// multiply-adds; measured with Adam on `wide`, where it counts.
const OPTIMIZER: f64 = 30.0;

/// Workers share a step only while its weights and gradients travel fast: of more numbers than this, 16 MB each way
/// to every worker, one computes alone. That is `wide`, whose 170 MB would take longer than they save.
const MOST_SHARED: usize = 4_000_000;

/// What each worker beyond the first adds to the pace of one: measured 0.6 to 0.75 on two cores. The others wait for the
/// slowest, and for the optimizer, in every step.
const ADDED: f64 = 0.7;

/// How many workers share the steps of a model when so many are asked for.
pub fn workers(model: ModelId, asked_for: usize) -> usize {
    if published(model).parameters <= MOST_SHARED { asked_for } else { 1 }
}

/// Multiply-adds of one image on its way forward.
pub fn forward_work(layers: &[Layer]) -> f64 {
    by_layer(layers).sum()
}

/// Multiply-adds of one image in training, forth and back: all passes through all layers, but for the gradient of the
/// image itself, which nobody needs.
pub fn training_work(layers: &[Layer]) -> f64 {
    PASSES * forward_work(layers) - by_layer(layers).find(|work| *work > 0.0).unwrap_or(0.0)
}

/// Multiply-adds of one image forward, layer by layer.
fn by_layer(layers: &[Layer]) -> impl Iterator<Item = f64> {
    with_inputs(layers).map(|(layer, input)| match layer {
        Layer::Conv(Conv { kernel, .. }) => (layer.output(input).size() * input.channels * kernel * kernel) as f64,
        Layer::Dense(units) => (units * input.size()) as f64,
        _ => 0.0,
    })
}

/// Multiply-adds of a training step with so many images.
pub fn step_work(layers: &[Layer], batch: usize) -> f64 {
    let parameters = with_inputs(layers).flat_map(|(layer, input)| layer.parameters(input));
    let parameters: usize = parameters.map(|(_, shape)| shape.iter().product::<usize>()).sum();
    PASSES * batch as f64 * forward_work(layers) + OPTIMIZER * parameters as f64
}

/// Multiply-adds of all steps of a run and of judging every epoch; `None` when it is not known how many images there will be.
fn run_work(spec: &TrainSpec) -> Option<f64> {
    let (n_images, n_judged) = match (&spec.dataset, spec.split) {
        (DatasetId::Mnist, SplitId::Published) => (60_000, 10_000),
        (DatasetId::Mnist, SplitId::Kaggle) => (37_800, 4_200),
        (DatasetId::Synthetic, SplitId::Published) => (20_000, 2_000),
        _ => return None,
    };
    let n_images = n_images.min(spec.train_limit.unwrap_or(usize::MAX));
    let n_steps = n_images.div_ceil(spec.recipe.batch) * spec.recipe.epochs;
    let layers = layers(spec.model);
    let judged = (n_judged.min(spec.test_limit.unwrap_or(usize::MAX)) * spec.recipe.epochs) as f64;
    let training = n_steps as f64 * step_work(&layers, spec.recipe.batch.min(n_images));
    Some(training + judged * forward_work(&layers))
}

/// Seconds of a run and of judging every epoch where one worker does so many multiply-adds a second.
pub fn run_secs(spec: &TrainSpec, work_per_sec: f64) -> Option<f64> {
    let others = workers(spec.model, spec.workers).saturating_sub(1);
    run_work(spec).map(|work| work / (work_per_sec * (1.0 + ADDED * others as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_network_is_counted_by_hand() {
        // 26 × 26 places of 9 products for each of 2 filters, then 1,352 × 10.
        let layers = [Layer::Conv(Conv::valid(2, 3)), Layer::Flatten, Layer::Dense(10)];
        assert_eq!(forward_work(&layers), (26 * 26 * 9 * 2 + 1352 * 10) as f64);
        let parameters = 2 * 9 + 2 + 1352 * 10 + 10;
        assert_eq!(step_work(&layers, 4), 12.0 * forward_work(&layers) + 30.0 * f64::from(parameters));
    }

    #[test]
    fn each_worker_adds_less_than_the_first_does() {
        let secs = |model, workers| run_secs(&TrainSpec { workers, ..TrainSpec::of(model) }, 1e9).unwrap();
        let gained = secs(ModelId::Compact, 1) / secs(ModelId::Compact, 2);
        assert!((gained - 1.7).abs() < 1e-9, "{gained}");
        assert_eq!(secs(ModelId::Wide, 2), secs(ModelId::Wide, 1), "its weights do not travel");
    }

    #[test]
    fn a_limit_makes_a_run_shorter() {
        let whole = TrainSpec::of(ModelId::Compact);
        let part = TrainSpec { train_limit: Some(1280), test_limit: Some(1), ..whole.clone() };
        let judging = 20.0 * 9_999.0 * forward_work(&layers(whole.model));
        let (whole, part) = (run_work(&whole).unwrap() - judging, run_work(&part).unwrap());
        assert!((whole / part - 46.9).abs() < 0.03, "{}", whole / part);
        assert_eq!(run_secs(&TrainSpec { dataset: DatasetId::Dropped, ..TrainSpec::of(ModelId::Wide) }, 1e9), None);
    }
}
