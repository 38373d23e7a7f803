//! Measures the kernels on this machine's card, with tiles and without: layer by layer, forward, the input's gradient
//! and the weights' gradient. Prints WRONG where the results with and without tiles differ. Writes no files.
//!
//! `cargo run --release -p inkling-shaders --example kernels [IMAGES...]`

use std::time::Instant;

use inkling_shaders::{Array, Conv2d, Dense, Device, Gpu};

/// A convolution of one of the networks; input and window are square.
struct Conv {
    /// Network, and number of the convolution in it.
    name: &'static str,
    channels: usize,
    filters: usize,
    /// Rows, and columns, of the input.
    side: usize,
    /// Rows, and columns, of the window.
    kernel: usize,
    stride: usize,
    /// Rows and columns of zeros before and after the input.
    zeros: [usize; 2],
}

#[rustfmt::skip]
const CONVS: [Conv; 12] = [
    Conv { name: "classic 1", channels: 1, filters: 32, side: 28, kernel: 3, stride: 1, zeros: [0, 0] },
    Conv { name: "classic 2", channels: 32, filters: 64, side: 26, kernel: 3, stride: 1, zeros: [0, 0] },
    Conv { name: "compact 2", channels: 16, filters: 16, side: 26, kernel: 3, stride: 1, zeros: [0, 0] },
    Conv { name: "compact 3", channels: 16, filters: 10, side: 12, kernel: 1, stride: 1, zeros: [0, 0] },
    Conv { name: "compact 4", channels: 10, filters: 16, side: 12, kernel: 3, stride: 1, zeros: [0, 0] },
    Conv { name: "strided 1", channels: 1, filters: 16, side: 28, kernel: 5, stride: 2, zeros: [1, 2] },
    Conv { name: "strided 2", channels: 16, filters: 32, side: 14, kernel: 3, stride: 1, zeros: [1, 1] },
    Conv { name: "strided 3", channels: 32, filters: 32, side: 14, kernel: 3, stride: 2, zeros: [0, 1] },
    Conv { name: "leaky 4", channels: 64, filters: 64, side: 14, kernel: 3, stride: 1, zeros: [1, 1] },
    Conv { name: "leaky 5", channels: 64, filters: 128, side: 7, kernel: 3, stride: 1, zeros: [1, 1] },
    Conv { name: "wide 2", channels: 32, filters: 32, side: 28, kernel: 5, stride: 1, zeros: [2, 2] },
    Conv { name: "wide 4", channels: 64, filters: 64, side: 14, kernel: 3, stride: 1, zeros: [1, 1] },
];
/// Network and layer, inputs, and units of the dense layers.
const DENSES: [(&str, usize, usize); 4] =
    [("classic", 9_216, 128), ("strided", 1_024, 256), ("wide 1", 3_136, 8_192), ("wide 2", 8_192, 2_048)];

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|size| size.parse().ok()).collect();
    let gpu = Gpu::new(Device::default().client());
    for n in if sizes.is_empty() { vec![128] } else { sizes } {
        println!("{n} images: microseconds and TFLOP/s without tiles, and with");
        CONVS.iter().for_each(|conv| convolution(&gpu, n, conv));
        DENSES.iter().for_each(|(name, inputs, units)| dense(&gpu, name, Dense { n, inputs: *inputs, units: *units }));
    }
}

/// Measures the three directions of a convolution of `n` images.
fn convolution(gpu: &Gpu, n: usize, conv: &Conv) {
    let &Conv { name, channels, filters, side, kernel, stride, zeros: [before, after] } = conv;
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
    let x = pseudo_random(gpu, channels * side * side * n);
    let padded = window.pad(gpu, &x);
    let weights = pseudo_random(gpu, filters * channels * kernel * kernel);
    let bias = pseudo_random(gpu, filters);
    let g = pseudo_random(gpu, filters * output_side * output_side * n);
    let flops = 2 * filters * channels * kernel * kernel * output_side * output_side * n;
    compare(gpu, &format!("conv {name} forward"), flops, |gpu| {
        window.forward(gpu, &padded, &weights, Some(&bias), 0.1)
    });
    compare(gpu, &format!("conv {name} input"), flops, |gpu| window.input_gradient(gpu, &g, &weights));
    compare(gpu, &format!("conv {name} weights"), flops, |gpu| window.weights_gradient(gpu, &padded, &g));
}

/// Measures the three directions of a dense layer.
fn dense(gpu: &Gpu, name: &str, layer: Dense) {
    let Dense { n, inputs, units } = layer;
    let (x, weights, bias, g) = (
        pseudo_random(gpu, inputs * n),
        pseudo_random(gpu, inputs * units),
        pseudo_random(gpu, units),
        pseudo_random(gpu, units * n),
    );
    let flops = 2 * inputs * units * n;
    compare(gpu, &format!("dense {name} forward"), flops, |gpu| layer.forward(gpu, &x, &weights, &bias, 0.1));
    compare(gpu, &format!("dense {name} input"), flops, |gpu| layer.input_gradient(gpu, &g, &weights));
    compare(gpu, &format!("dense {name} weights"), flops, |gpu| layer.weights_gradient(gpu, &x, &g));
}

/// Prints microseconds and TFLOP/s of `launch` without and with tiles, and the relative difference of their results.
fn compare(gpu: &Gpu, what: &str, flops: usize, launch: impl Fn(&Gpu) -> Array) {
    let mut line = format!("{what:26}");
    let results = [false, true].map(|tiles| {
        let gpu = gpu.clone().with_tiles(tiles);
        let result = read(&gpu, &launch(&gpu));
        let secs = secs_per_launch(&gpu, &launch);
        line += &format!(" {:9.1} {:6.2}", secs * 1e6, flops as f64 / secs / 1e12);
        result
    });
    let [plain, tiled] = &results;
    let norm = plain.iter().map(|x| x * x).sum::<f32>().sqrt();
    let relative_error = plain.iter().zip(tiled).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt() / norm;
    let verdict = if plain.len() == tiled.len() && relative_error < 1e-4 { "" } else { "  WRONG" };
    println!("{line}  apart {relative_error:.0e}{verdict}");
}

/// Seconds that one launch takes: the launch is recorded and replayed many times; the median of five measurements.
fn secs_per_launch(gpu: &Gpu, launch: &impl Fn(&Gpu) -> Array) -> f64 {
    let (_, recorded) = gpu.record(|| launch(gpu));
    let (recording, result) = recorded.expect("this card takes recordings");
    let time = |n_launches: usize| {
        let start = Instant::now();
        for _ in 0..n_launches {
            // SAFETY: `launch` borrows all arrays that it uses, so they are alive.
            assert!(unsafe { recording.replay() });
        }
        // When a number that the last launch wrote can be read, the queue is done.
        read(gpu, &result.part(0, 4));
        start.elapsed().as_secs_f64()
    };
    time(1);
    let single_launch = time(1);
    let n_launches = (0.02 / single_launch).clamp(1.0, 100.0) as usize;
    let mut times: Vec<f64> = (0..5).map(|_| time(n_launches + 1) - time(1)).collect();
    times.sort_by(f64::total_cmp);
    times[2].max(1e-7) / n_launches as f64
}

/// The content of an array.
fn read(gpu: &Gpu, array: &Array) -> Vec<f32> {
    let bytes = gpu.client().read_one_unchecked(array.handle().clone());
    bytes.chunks_exact(4).map(|word| f32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect()
}

/// Pseudo-random numbers from −1 to 1, the same on every call (xorshift).
fn pseudo_random(gpu: &Gpu, len: usize) -> Array {
    let mut state = 0x9E37_79B9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    gpu.upload(&(0..len).map(|_| next()).collect::<Vec<_>>())
}
