//! Checks that training steps that are recorded on a graphics card and replayed are bit-identical to steps whose
//! kernels are launched one by one. The native test and the page share it. It never needs Keras's files.

use burn::tensor::Device;
use inkling_core::data::synthetic;
use inkling_core::spec::{ModelId, OptimizerId, Recipe};
use inkling_engine::batch::{self, BatchPlan};
use inkling_engine::network::DropoutKey;
use inkling_engine::train::{BatchSource, ImageCache, Trainer, read_metrics};

/// Images of the training set.
const IMAGES: usize = 20;
/// Batch sizes of the steps. A step is recorded when the step before had the same kernels, and replayed from then on;
/// the last batch of an epoch is smaller.
const BATCHES: [usize; 9] = [8, 8, 8, 4, 8, 8, 4, 4, 8];

/// Trains twice, with and without recording, and compares all losses and the final weights.
///
/// # Errors
/// When a loss or a weight differs; the message contains both values. Also when the device fails.
pub async fn check(device: &Device) -> Result<(), String> {
    for (model, optimizer) in [
        // Together they have normalisation, dropout, every kind of layer, and every optimizer.
        (ModelId::Strided, OptimizerId::AdamW),
        (ModelId::Classic, OptimizerId::Adadelta),
        (ModelId::Compact, OptimizerId::Sgd),
        (ModelId::Compact, OptimizerId::RmsProp),
    ] {
        let [recorded, launched] =
            [train(model, optimizer, device, true).await?, train(model, optimizer, device, false).await?];
        if let Some(at) = (0..recorded.len()).find(|at| recorded[*at].to_bits() != launched[*at].to_bits()) {
            let what = if at < BATCHES.len() { format!("the loss of step {}", at + 1) } else { format!("weight {at}") };
            return Err(format!("{what} of {model} is {} recorded, and {} launched", recorded[at], launched[at]));
        }
    }
    Ok(())
}

/// Trains one step per entry of [`BATCHES`]; returns the losses of all steps, followed by all weights after them.
async fn train(model: ModelId, optimizer: OptimizerId, device: &Device, record: bool) -> Result<Vec<f32>, String> {
    let (split, cache) = (synthetic::split(synthetic::SEED, 0, IMAGES), ImageCache::new());
    let augment = "shift=2,rotate=10".parse().map_err(|error| format!("{error}"))?;
    let recipe = Recipe { optimizer, augment, weight_decay: 0.01, label_smoothing: 0.1, ..Recipe::of(model) };
    let mut trainer = Trainer::new(model, 1, device).with_recipe(&recipe);
    let (source, mut losses, mut first) = (BatchSource::of(&cache, &split, IMAGES, device), vec![], 0);
    for (step, n) in BATCHES.into_iter().enumerate() {
        let order: Vec<usize> = (first..first + n).map(|image| image % IMAGES).collect();
        let plan = BatchPlan::for_training(&order, &recipe, &mut batch::step_generator(1, 1, step));
        let (rate, key) = (1e-3 / (1 + step) as f64, DropoutKey::of(1, step));
        let batch_metrics = if record {
            trainer.step_from_source(source, &plan, rate, key)
        } else {
            trainer.step(&source.batch(&plan, device), rate, key)
        };
        losses.push(batch_metrics);
        first += n;
        if step % 3 == 2 {
            // The page predicts drawings during training; that must not disturb recorded steps.
            trainer.predict(split.image(step)).await.map_err(|error| error.to_string())?;
        }
    }
    let metrics = read_metrics(losses).await.map_err(|error| error.to_string())?;
    let arrays = trainer.network().arrays().await.map_err(|error| error.to_string())?;
    let losses = metrics.iter().map(|(metrics, _)| metrics.loss as f32);
    Ok(losses.chain(arrays.into_iter().flat_map(|array| array.values)).collect())
}
