//! Checks that dropout on a graphics card is bit-identical to dropout on the CPU. The native test and the page share
//! it. It never needs Keras's files.

use burn::tensor::Device;
use inkling_engine::network::GpuContext;
use inkling_kernels::Dropout;

/// The second dropout layer, for images from the middle of a batch.
const DROPOUT: Dropout =
    Dropout { key: [0xDEAD_BEEF, 7], layer: 1, first_image: 40, limit: 26_214, scale: 65_536.0 / 39_322.0 };
/// Units per image: neither a multiple of the four units that share a call of the random generator nor of a workgroup.
const UNITS: usize = 1_031;
const IMAGES: usize = 13;

/// Compares the dropped units of a batch of ones. Always `Ok` on the CPU, which has no shaders to compare.
///
/// # Errors
/// When a unit differs, and which one; or when the device fails.
pub async fn check(device: &Device) -> Result<(), String> {
    if *device == Device::flex() {
        return Ok(());
    }
    let context = GpuContext::on(device);
    let Dropout { key, layer, first_image, limit, scale } = DROPOUT;
    let ones = context.gpu.upload(&vec![1.0; UNITS * IMAGES]);
    let key = context.gpu.upload_words(&[key[0], key[1], first_image]);
    let masked = inkling_shaders::dropout(&context.gpu, &ones, IMAGES, &key, layer, limit, scale);
    let masked = context.tensor(masked).into_data_async().await;
    let masked: Vec<f32> = masked.map_err(|error| error.to_string())?.iter().collect();
    // The card's arrays are `[units, images]`, the CPU's mask is `[images, units]`.
    let mask = DROPOUT.mask(IMAGES, UNITS);
    let differs = |at: &usize| masked[*at] != mask[at % IMAGES * UNITS + at / IMAGES];
    match (0..masked.len()).find(differs) {
        Some(at) => Err(format!("unit {} of image {} drops otherwise", at / IMAGES, at % IMAGES)),
        None => Ok(()),
    }
}
