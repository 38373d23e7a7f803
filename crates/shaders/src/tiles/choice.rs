//! Decides by measurement whether products in tiles are faster on a card. They are where workgroups have fast memory of
//! their own, and slower where a program imitates it. Compares no results.

use web_time::{Duration, Instant};

use crate::dense::Dense;
use crate::gpu::{Array, Gpu};

/// The measured product: large enough for a difference, and some milliseconds long on the slowest phones.
const PRODUCT: Dense = Dense { n: 128, inputs: 1_024, units: 512 };
/// Number of measurements, of which the fastest counts: the others are disturbed by other work.
const ROUNDS: usize = 3;

/// Whether a product is faster in tiles than without. Measures both, in some milliseconds.
///
/// # Errors
/// If the card fails; the message is CubeCL's.
pub async fn tiles_are_faster(gpu: &Gpu) -> Result<bool, String> {
    let Dense { n, inputs, units } = PRODUCT;
    // Their content does not matter.
    let (x, gradient) = (gpu.empty(inputs * n), gpu.empty(units * n));
    let mut fastest = [Duration::MAX; 2];
    // The first round compiles the shaders and is not measured.
    for round in 0..=ROUNDS {
        for (tiles, fastest) in [false, true].into_iter().zip(&mut fastest) {
            let start = Instant::now();
            let product = PRODUCT.weights_gradient(&gpu.clone().with_tiles(tiles), &x, &gradient);
            wait(gpu, &product).await?;
            if round > 0 {
                *fastest = (*fastest).min(start.elapsed());
            }
        }
    }
    let [plain, tiled] = fastest;
    Ok(tiled < plain)
}

/// Waits until a number of `array` can be read, and with it until all launches are done.
async fn wait(gpu: &Gpu, array: &Array) -> Result<(), String> {
    let read = gpu.client().read_async(vec![array.part(0, 1).handle().clone()]);
    read.await.map(|_| ()).map_err(|error| error.to_string())
}
