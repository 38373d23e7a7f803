//! Measures how fast the kernels run on this machine's card. Checks no results. For 32 images:
//!
//! `cargo run --release -p inkling-shaders --example speed -- 32`

use std::time::Instant;

use cubecl::future::block_on;
use inkling_shaders::{Array, Conv2d, Dense, Gpu, max_pool, max_pool_backward};

fn main() {
    let client = cubecl::Device::wgpu(Default::default()).expect("this machine has a card").client();
    let gpu = Gpu::new(client);
    let n = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(32);
    println!("{n} images");
    let window = |channels, filters, side, kernel| Conv2d {
        n,
        channels,
        filters,
        input: [side; 2],
        output: [side - kernel + 1; 2],
        kernel,
        stride: 1,
        before: [0; 2],
        after: [0; 2],
    };
    convolution(&gpu, "classic, first", window(1, 32, 28, 3));
    convolution(&gpu, "classic, second", window(32, 64, 26, 3));
    convolution(&gpu, "compact", window(16, 16, 26, 3));
    dense(&gpu, Dense { n, inputs: 9216, units: 128 });
    let x = deterministic(&gpu, 64 * 24 * 24 * n);
    let g = deterministic(&gpu, 64 * 12 * 12 * n);
    measure(&gpu, "pool", 0.0, || max_pool(&gpu, &x, 64, 24, n));
    measure(&gpu, "pool back", 0.0, || max_pool_backward(&gpu, [&x, &g], 64, 24, n, 0.0));
}

/// Measures the three directions of an unpadded convolution.
fn convolution(gpu: &Gpu, name: &str, window: Conv2d) {
    let [inputs, outputs] = [window.input, window.output].map(|[rows, columns]| rows * columns * window.n);
    let taps = window.channels * window.kernel * window.kernel;
    let x = deterministic(gpu, window.channels * inputs);
    let g = deterministic(gpu, window.filters * outputs);
    let weights = deterministic(gpu, window.filters * taps);
    let multiply_adds = (taps * window.filters * outputs) as f64;
    measure(gpu, &format!("{name}: forward"), multiply_adds, || window.forward(gpu, &x, &weights, None, 0.0));
    measure(gpu, &format!("{name}: input"), multiply_adds, || window.input_gradient(gpu, &g, &weights));
    measure(gpu, &format!("{name}: weights"), multiply_adds, || window.weights_gradient(gpu, &x, &g));
}

/// Measures the three directions of a dense layer.
fn dense(gpu: &Gpu, dense: Dense) {
    let x = deterministic(gpu, dense.inputs * dense.n);
    let g = deterministic(gpu, dense.units * dense.n);
    let weights = deterministic(gpu, dense.inputs * dense.units);
    let bias = deterministic(gpu, dense.units);
    let multiply_adds = (dense.inputs * dense.units * dense.n) as f64;
    measure(gpu, "dense: forward", multiply_adds, || dense.forward(gpu, &x, &weights, &bias, 0.0));
    measure(gpu, "dense: input", multiply_adds, || dense.input_gradient(gpu, &g, &weights));
    measure(gpu, "dense: weights", multiply_adds, || dense.weights_gradient(gpu, &x, &g));
}

/// An array of `len` numbers from −0.5 to 0.5, the same on every call.
fn deterministic(gpu: &Gpu, len: usize) -> Array {
    gpu.upload(&(0..len).map(|i| ((i * 7919) % 13) as f32 / 13.0 - 0.5).collect::<Vec<_>>())
}

/// Prints the time of the first run, which compiles the shaders, the best time of three later ones, and its GFLOP/s,
/// where a multiply-add counts as two operations.
fn measure(gpu: &Gpu, name: &str, multiply_adds: f64, run: impl Fn() -> Array) {
    let once = || {
        let start = Instant::now();
        let array = run();
        block_on(gpu.client().sync()).expect("the card works");
        drop(array);
        start.elapsed().as_secs_f64()
    };
    let first = once();
    let best = (0..3).map(|_| once()).fold(f64::INFINITY, f64::min);
    println!(
        "{name:26} first {:8.1} ms, then {:8.2} ms, {:6.2} GFLOP/s",
        first * 1e3,
        best * 1e3,
        2e-9 * multiply_adds / best
    );
}
