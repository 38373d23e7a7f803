//! Images bent where the network lies, against the same bent on the host. Shared as `compare.rs` is.

use burn::tensor::Device;
use inkling_core::data::synthetic;
use inkling_core::spec::{ModelId, Recipe};
use inkling_engine::batch::{self, Picks};
use inkling_engine::train::{Feed, Shelf};

/// Of values from 0 to 1: some steps of rounding, at coordinates up to 29 with sixteen binary places behind them.
const TOLERANCE: f32 = 1e-4;
/// As much as an augmentation allows.
const MOST: &str = "shift=8,rotate=45,scale=0.5,shear=0.6,elastic=4";
/// Two of some images, in no order.
const PICKED: [usize; 9] = [3, 0, 11, 7, 3, 5, 1, 10, 2];

/// Compares plain, bent and crumpled images, out of the first of a split.
///
/// # Errors
/// What is not as it is on the host.
pub async fn check(device: &Device) -> Result<(), String> {
    let split = synthetic::split(synthetic::SEED, 0, 20);
    let shelf = Shelf::new();
    let feed = Feed::of(&shelf, &split, 12, device);
    for strengths in ["none", "shift=3,rotate=20,scale=0.2,shear=0.2", "shift=2,rotate=10,elastic=2", MOST] {
        let augment = strengths.parse().map_err(|error| format!("{strengths}: {error}"))?;
        let recipe = Recipe { augment, label_smoothing: 0.1, ..Recipe::of(ModelId::Compact) };
        let picks = Picks::drawn(&PICKED, &recipe, &mut batch::random(1, 2, 3));
        let (there, here) = (feed.batch(&picks, device), feed.gather(&picks).upload(device));
        for (what, there, here) in [
            ("images", there.images.flatten::<1>(0, 3), here.images.flatten::<1>(0, 3)),
            ("targets", there.targets.flatten::<1>(0, 1), here.targets.flatten::<1>(0, 1)),
        ] {
            let read = async |tensor: burn::tensor::Tensor<1>| {
                let data = tensor.into_data_async().await.map_err(|error| error.to_string())?;
                Ok::<Vec<f32>, String>(data.iter::<f32>().collect())
            };
            let (there, here) = (read(there).await?, read(here).await?);
            let apart = there.iter().zip(&here).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            if there.len() != here.len() || apart.is_nan() || apart > TOLERANCE {
                return Err(format!("{what} with {strengths} are {apart:e} from those of the host"));
            }
        }
    }
    Ok(())
}
