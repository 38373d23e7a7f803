//! Steps that are recorded on a card, bit for bit what they are when each is launched. Shared as `compare.rs` is.

use burn::tensor::Device;
use inkling_core::data::synthetic;
use inkling_core::spec::{ModelId, OptimizerId, Recipe};
use inkling_engine::batch::{self, Picks};
use inkling_engine::network::DropoutKey;
use inkling_engine::train::{Feed, Shelf, Trainer, read_metrics};

const IMAGES: usize = 20;
/// A step is recorded when the one before was like it, and played from then on; the last batch of an epoch is smaller.
const BATCHES: [usize; 9] = [8, 8, 8, 4, 8, 8, 4, 4, 8];

/// Says which step came to something else.
///
/// # Errors
/// What a step, or the weights after all of them, are when they are recorded and when they are not.
pub async fn check(device: &Device) -> Result<(), String> {
    for (model, optimizer) in [
        // Between them: normalisation, dropout, every kind of layer, and every optimizer.
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

/// The losses of some steps, and all weights after them.
async fn train(model: ModelId, optimizer: OptimizerId, device: &Device, records: bool) -> Result<Vec<f32>, String> {
    let (split, shelf) = (synthetic::split(synthetic::SEED, 0, IMAGES), Shelf::new());
    let augment = "shift=2,rotate=10".parse().map_err(|error| format!("{error}"))?;
    let recipe = Recipe { optimizer, augment, weight_decay: 0.01, label_smoothing: 0.1, ..Recipe::of(model) };
    let mut trainer = Trainer::new(model, 1, device).by(&recipe);
    let (feed, mut losses, mut first) = (Feed::of(&shelf, &split, IMAGES, device), vec![], 0);
    for (step, n) in BATCHES.into_iter().enumerate() {
        let order: Vec<usize> = (first..first + n).map(|image| image % IMAGES).collect();
        let picks = Picks::drawn(&order, &recipe, &mut batch::random(1, 1, step));
        let (rate, key) = (1e-3 / (1 + step) as f64, DropoutKey::of(1, step));
        let tally = if records {
            trainer.step_on(feed, &picks, rate, key)
        } else {
            trainer.step(&feed.batch(&picks, device), rate, key)
        };
        losses.push(tally);
        first += n;
        if step % 3 == 2 {
            // The pad reads while the network learns.
            trainer.predict(split.image(step)).await.map_err(|error| error.to_string())?;
        }
    }
    let metrics = read_metrics(losses).await.map_err(|error| error.to_string())?;
    let arrays = trainer.network().arrays().await.map_err(|error| error.to_string())?;
    let losses = metrics.iter().map(|(metrics, _)| metrics.loss as f32);
    Ok(losses.chain(arrays.into_iter().flat_map(|array| array.values)).collect())
}
