//! Products in tiles, on a device with shaders, against the same without. Shared as `compare.rs` is.

use burn::tensor::Device;
use inkling_engine::network::Card;
use inkling_shaders::{Array, Dense, Gpu, Norm, Window, sum_channels};
use rand::{RngExt, SeedableRng};

/// Sums of a few thousand products, of which rounding spoils the last of seven digits.
const TOLERANCE: f32 = 1e-5;
/// They fill vectors, and no tile; the second are more than a tile is wide.
const IMAGES: [usize; 2] = [12, 68];

/// Says which product is another in tiles; a device without shaders has nothing to compare.
///
/// # Errors
/// What differs, and how far.
pub async fn check(device: &Device) -> Result<(), String> {
    if *device == Device::flex() {
        return Ok(());
    }
    let card = Card::on(device);
    for n in IMAGES {
        // Fewer and more than tiles have rows, strides, zeros around, and depths that no tile is a multiple of.
        for (channels, filters, side, kernel, stride, [before, after]) in
            [(16, 72, 9, 3, 1, [1, 1]), (10, 16, 8, 3, 1, [0, 0]), (64, 64, 7, 3, 2, [0, 1]), (20, 12, 6, 5, 1, [2, 2])]
        {
            let to = (side + before + after - kernel) / stride + 1;
            let window = Window {
                n,
                channels,
                filters,
                input: [side; 2],
                output: [to; 2],
                kernel,
                stride,
                before: [before; 2],
                after: [after; 2],
            };
            let [x, weights, bias, g] =
                [channels * side * side * n, filters * channels * kernel * kernel, filters, filters * to * to * n]
                    .map(|len| noise(&card.gpu, len));
            let padded = window.pad(&card.gpu, &x);
            let what = |name| format!("{name} of {window:?}");
            same(&card, what("forward"), |gpu| window.forward(gpu, &padded, &weights, Some(&bias), 0.1)).await?;
            same(&card, what("input"), |gpu| window.input_gradient(gpu, &g, &weights)).await?;
            same(&card, what("weights"), |gpu| window.weights_gradient(gpu, &padded, &g)).await?;
        }
        // Windows of few taps, whose gradient has many parts.
        let few = Window {
            n,
            channels: 1,
            filters: 18,
            input: [28; 2],
            output: [26; 2],
            kernel: 3,
            stride: 1,
            before: [0; 2],
            after: [0; 2],
        };
        let [x, g] = [28 * 28 * n, 18 * 26 * 26 * n].map(|len| noise(&card.gpu, len));
        same(&card, format!("weights of {few:?}"), |gpu| few.weights_gradient(gpu, &x, &g)).await?;
        // The last is so long that it is cut.
        for (channels, pixels) in [(70, 1), (5, 6), (16, 676), (2, 5_776)] {
            sums(&card, n, channels, pixels).await?;
        }
        for (inputs, units) in [(40, 44), (1_100, 36), (64, 200)] {
            let dense = Dense { n, inputs, units };
            let [x, weights, bias, g] = [inputs * n, inputs * units, units, units * n].map(|len| noise(&card.gpu, len));
            let what = |name| format!("{name} of {dense:?}");
            same(&card, what("forward"), |gpu| dense.forward(gpu, &x, &weights, &bias, 0.1)).await?;
            same(&card, what("input"), |gpu| dense.input_gradient(gpu, &g, &weights)).await?;
            same(&card, what("weights"), |gpu| dense.weights_gradient(gpu, &x, &g)).await?;
        }
    }
    Ok(())
}

/// Sums over images and pixels, by themselves and in a normalisation.
async fn sums(card: &Card, n: usize, channels: usize, pixels: usize) -> Result<(), String> {
    let what = |name| format!("{name} of {channels} channels of {pixels} pixels of {n} images");
    let [x, y, g] = [1, 2, 3].map(|seed| drawn(&card.gpu, channels * pixels * n, seed));
    let [mean, gamma] = [4, 5].map(|seed| drawn(&card.gpu, channels, seed));
    let variance = card.gpu.upload(&vec![0.5; channels]);
    let norm = Norm { n, channels, pixels, epsilon: 1e-3, slope_before: 1.0, slope_after: 0.3 };
    same(card, what("sums"), |gpu| sum_channels(gpu, &x, pixels, n)).await?;
    for which in 0..2 {
        same(card, what("moments"), |gpu| norm.moments(gpu, &x)[which].clone()).await?;
    }
    for which in 0..3 {
        let back = |gpu: &Gpu| norm.backward(gpu, [&x, &y, &g], &gamma, [&mean, &variance])[which].clone();
        same(card, what("normalisation"), back).await?;
    }
    Ok(())
}

async fn same(card: &Card, what: String, compute: impl Fn(&Gpu) -> Array) -> Result<(), String> {
    let read = async |tiles: bool| {
        let result = card.tensor(compute(&card.gpu.clone().with_tiles(tiles))).into_data_async().await;
        result.map(|data| data.iter::<f32>().collect::<Vec<_>>()).map_err(|error| error.to_string())
    };
    let (plain, tiled) = (read(false).await?, read(true).await?);
    let length = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
    let apart = length(&mut plain.iter().zip(&tiled).map(|(a, b)| a - b)) / length(&mut plain.iter().copied());
    if plain.len() == tiled.len() && apart < TOLERANCE {
        Ok(())
    } else {
        Err(format!("{what} in tiles is {apart:e} off"))
    }
}

/// Numbers from −1 to 1.
fn noise(gpu: &Gpu, len: usize) -> Array {
    drawn(gpu, len, len as u64)
}

fn drawn(gpu: &Gpu, len: usize, seed: u64) -> Array {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    gpu.upload(&(0..len).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>())
}
