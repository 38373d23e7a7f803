//! Whether tiles win on the card at hand: they do where a workgroup has fast memory of its own, and cost time where a
//! program imitates it.

use web_time::{Duration, Instant};

use crate::dense::Dense;
use crate::gpu::{Array, Gpu};

/// A product that is large enough to tell: on the slowest phones it takes some milliseconds.
const TRIED: Dense = Dense { n: 128, inputs: 1_024, units: 512 };
/// Measured so often, and the fastest taken: others are disturbed by what else goes on.
const TIMES: usize = 3;

/// Measures the same product in tiles and without, in some milliseconds.
///
/// # Errors
/// When the card has failed.
pub async fn tiles_win(gpu: &Gpu) -> Result<bool, String> {
    let Dense { n, inputs, units } = TRIED;
    // What they hold does not matter.
    let (x, slopes) = (gpu.empty(inputs * n), gpu.empty(units * n));
    let mut fastest = [Duration::MAX; 2];
    // The first of each has its shader compiled.
    for round in 0..=TIMES {
        for (tiles, fastest) in [false, true].into_iter().zip(&mut fastest) {
            let began = Instant::now();
            let product = TRIED.weights_gradient(&gpu.clone().with_tiles(tiles), &x, &slopes);
            wait(gpu, &product).await?;
            if round > 0 {
                *fastest = (*fastest).min(began.elapsed());
            }
        }
    }
    let [plain, tiled] = fastest;
    Ok(tiled < plain)
}

/// Until a number of it can be read.
async fn wait(gpu: &Gpu, array: &Array) -> Result<(), String> {
    let read = gpu.client().read_async(vec![array.part(0, 1).handle().clone()]);
    read.await.map(|_| ()).map_err(|error| error.to_string())
}
