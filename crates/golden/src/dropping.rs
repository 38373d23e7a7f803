//! Dropout on a graphics card, bit for bit what it is on the CPU.

use burn::tensor::Device;
use inkling_engine::network::Card;
use inkling_kernels::Dropout;

/// A step's second layer in the middle of its batch.
const DROPOUT: Dropout =
    Dropout { key: [0xDEAD_BEEF, 7], layer: 1, first_image: 40, limit: 26_214, scale: 65_536.0 / 39_322.0 };
/// Neither a multiple of the four units that are decided together nor of a workgroup.
const UNITS: usize = 1_031;
const IMAGES: usize = 13;

/// Says which unit another engine drops; a device without shaders has nothing to compare.
pub async fn check(device: &Device) -> Result<(), String> {
    if *device == Device::flex() {
        return Ok(());
    }
    let card = Card::on(device);
    let Dropout { key, layer, first_image, limit, scale } = DROPOUT;
    let ones = card.gpu.upload(&vec![1.0; UNITS * IMAGES]);
    let key = card.gpu.upload_words(&[key[0], key[1], first_image]);
    let masked = inkling_shaders::dropout(&card.gpu, &ones, IMAGES, &key, layer, limit, scale);
    let masked = card.tensor(masked).into_data_async().await;
    let masked: Vec<f32> = masked.map_err(|error| error.to_string())?.iter().collect();
    // The card has neighbouring images side by side, the CPU's mask neighbouring units.
    let mask = DROPOUT.mask(IMAGES, UNITS);
    let differs = |at: &usize| masked[*at] != mask[at % IMAGES * UNITS + at / IMAGES];
    match (0..masked.len()).find(differs) {
        Some(at) => Err(format!("unit {} of image {} drops otherwise", at / IMAGES, at % IMAGES)),
        None => Ok(()),
    }
}
