//! Compares kernels that compute in tiles with kernels that do not, on a graphics card. The native test and the page
//! share it. It never needs Keras's files.

use burn::tensor::Device;
use inkling_engine::network::GpuContext;
use inkling_shaders::{Array, BatchNorm, Conv2d, Dense, Gpu, sum_channels};
use rand::{RngExt, SeedableRng};

/// Relative tolerance of sums of a few thousand products: rounding changes the last of seven digits.
const TOLERANCE: f32 = 1e-5;
/// Batch sizes: both fill whole vectors but not whole tiles, and the second is larger than the width of a tile.
const IMAGES: [usize; 2] = [12, 68];

/// Compares convolutions, dense layers and sums of many shapes. Always `Ok` on the CPU, which has no shaders to
/// compare.
///
/// # Errors
/// When a result differs; the message says which and by how much. Also when the device fails.
pub async fn check(device: &Device) -> Result<(), String> {
    if *device == Device::flex() {
        return Ok(());
    }
    let context = GpuContext::on(device);
    for n in IMAGES {
        // Fewer and more filters than a tile has rows, strides, padding, and depths that are not a multiple of a
        // tile's.
        for (channels, filters, side, kernel, stride, [before, after]) in
            [(16, 72, 9, 3, 1, [1, 1]), (10, 16, 8, 3, 1, [0, 0]), (64, 64, 7, 3, 2, [0, 1]), (20, 12, 6, 5, 1, [2, 2])]
        {
            let output_side = (side + before + after - kernel) / stride + 1;
            let window = Conv2d {
                n,
                channels,
                filters,
                input: [side; 2],
                output: [output_side; 2],
                kernel,
                stride,
                before: [before; 2],
                after: [after; 2],
            };
            let n_outputs = filters * output_side * output_side * n;
            let [x, weights, bias, g] =
                [channels * side * side * n, filters * channels * kernel * kernel, filters, n_outputs]
                    .map(|len| noise(&context.gpu, len));
            let padded = window.pad(&context.gpu, &x);
            let what = |name| format!("{name} of {window:?}");
            same(&context, what("forward"), |gpu| window.forward(gpu, &padded, &weights, Some(&bias), 0.1)).await?;
            same(&context, what("input"), |gpu| window.input_gradient(gpu, &g, &weights)).await?;
            same(&context, what("weights"), |gpu| window.weights_gradient(gpu, &padded, &g)).await?;
        }
        // A kernel with few weights, whose gradient is summed in many parts.
        let few = Conv2d {
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
        let [x, g] = [28 * 28 * n, 18 * 26 * 26 * n].map(|len| noise(&context.gpu, len));
        same(&context, format!("weights of {few:?}"), |gpu| few.weights_gradient(gpu, &x, &g)).await?;
        // The last sum is so long that it is split into parts.
        for (channels, pixels) in [(70, 1), (5, 6), (16, 676), (2, 5_776)] {
            sums(&context, n, channels, pixels).await?;
        }
        for (inputs, units) in [(40, 44), (1_100, 36), (64, 200)] {
            let dense = Dense { n, inputs, units };
            let [x, weights, bias, g] =
                [inputs * n, inputs * units, units, units * n].map(|len| noise(&context.gpu, len));
            let what = |name| format!("{name} of {dense:?}");
            same(&context, what("forward"), |gpu| dense.forward(gpu, &x, &weights, &bias, 0.1)).await?;
            same(&context, what("input"), |gpu| dense.input_gradient(gpu, &g, &weights)).await?;
            same(&context, what("weights"), |gpu| dense.weights_gradient(gpu, &x, &g)).await?;
        }
    }
    Ok(())
}

/// Compares sums over images and pixels, alone and in a normalisation.
async fn sums(context: &GpuContext, n: usize, channels: usize, pixels: usize) -> Result<(), String> {
    let what = |name| format!("{name} of {channels} channels of {pixels} pixels of {n} images");
    let [x, y, g] = [1, 2, 3].map(|seed| seeded_noise(&context.gpu, channels * pixels * n, seed));
    let [mean, gamma] = [4, 5].map(|seed| seeded_noise(&context.gpu, channels, seed));
    let variance = context.gpu.upload(&vec![0.5; channels]);
    let norm = BatchNorm { n, channels, pixels, epsilon: 1e-3, slope_before: 1.0, slope_after: 0.3 };
    same(context, what("sums"), |gpu| sum_channels(gpu, &x, pixels, n)).await?;
    for which in 0..2 {
        same(context, what("moments"), |gpu| norm.moments(gpu, &x)[which].clone()).await?;
    }
    for which in 0..3 {
        let gradient = |gpu: &Gpu| norm.backward(gpu, [&x, &y, &g], &gamma, [&mean, &variance])[which].clone();
        same(context, what("normalisation"), gradient).await?;
    }
    Ok(())
}

/// Runs a computation without and with tiles, and compares the results.
async fn same(context: &GpuContext, what: String, compute: impl Fn(&Gpu) -> Array) -> Result<(), String> {
    let read = async |tiles: bool| {
        let result = context.tensor(compute(&context.gpu.clone().with_tiles(tiles))).into_data_async().await;
        result.map(|data| data.iter::<f32>().collect::<Vec<_>>()).map_err(|error| error.to_string())
    };
    let (plain, tiled) = (read(false).await?, read(true).await?);
    let norm = |numbers: &mut dyn Iterator<Item = f32>| numbers.map(|x| x * x).sum::<f32>().sqrt();
    let error = norm(&mut plain.iter().zip(&tiled).map(|(a, b)| a - b)) / norm(&mut plain.iter().copied());
    if plain.len() == tiled.len() && error < TOLERANCE {
        Ok(())
    } else {
        Err(format!("{what} in tiles is {error:e} off"))
    }
}

/// Uniform random numbers from −1 to 1, with the length as the seed.
fn noise(gpu: &Gpu, len: usize) -> Array {
    seeded_noise(gpu, len, len as u64)
}

/// Uniform random numbers from −1 to 1.
fn seeded_noise(gpu: &Gpu, len: usize, seed: u64) -> Array {
    let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(seed);
    gpu.upload(&(0..len).map(|_| random.random_range(-1.0..1.0)).collect::<Vec<f32>>())
}
