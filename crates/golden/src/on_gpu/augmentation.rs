//! Compares augmentation on a device with augmentation on the host. The native test and the page share it. It never
//! needs Keras's files.

use burn::tensor::Device;
use inkling_core::data::synthetic;
use inkling_core::spec::{ModelId, Recipe};
use inkling_engine::batch::{self, BatchPlan};
use inkling_engine::train::{BatchSource, ImageCache};

/// Tolerance of values from 0 to 1: a few rounding errors, at coordinates up to 29 with sixteen binary places after the
/// point.
const TOLERANCE: f32 = 1e-4;
/// The largest strengths that an augmentation allows.
const STRONGEST: &str = "shift=8,rotate=45,scale=0.5,shear=0.6,elastic=4";
/// Indices of the images of the batch: unordered, and one occurs twice.
const INDICES: [usize; 9] = [3, 0, 11, 7, 3, 5, 1, 10, 2];

/// Compares batches without augmentation, with affine and with elastic augmentation, on a device and on the host.
///
/// # Errors
/// When images or targets differ by more than the tolerance; the message says which and by how much.
pub async fn check(device: &Device) -> Result<(), String> {
    let split = synthetic::split(synthetic::SEED, 0, 20);
    let cache = ImageCache::new();
    let source = BatchSource::of(&cache, &split, 12, device);
    for strengths in ["none", "shift=3,rotate=20,scale=0.2,shear=0.2", "shift=2,rotate=10,elastic=2", STRONGEST] {
        let augment = strengths.parse().map_err(|error| format!("{strengths}: {error}"))?;
        let recipe = Recipe { augment, label_smoothing: 0.1, ..Recipe::of(ModelId::Compact) };
        let plan = BatchPlan::for_training(&INDICES, &recipe, &mut batch::step_generator(1, 2, 3));
        let (on_device, on_host) = (source.batch(&plan, device), source.gather(&plan).upload(device));
        for (what, on_device, on_host) in [
            ("images", on_device.images.flatten::<1>(0, 3), on_host.images.flatten::<1>(0, 3)),
            ("targets", on_device.targets.flatten::<1>(0, 1), on_host.targets.flatten::<1>(0, 1)),
        ] {
            let read = async |tensor: burn::tensor::Tensor<1>| {
                let data = tensor.into_data_async().await.map_err(|error| error.to_string())?;
                Ok::<Vec<f32>, String>(data.iter::<f32>().collect())
            };
            let (on_device, on_host) = (read(on_device).await?, read(on_host).await?);
            let difference = on_device.iter().zip(&on_host).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            if on_device.len() != on_host.len() || difference.is_nan() || difference > TOLERANCE {
                return Err(format!("{what} with {strengths} are {difference:e} from those of the host"));
            }
        }
    }
    Ok(())
}
