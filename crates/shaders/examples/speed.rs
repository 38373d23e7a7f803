//! How fast the kernels run on this machine's card: `cargo run --release -p inkling-shaders --example speed -- 32`.

use std::time::Instant;

use cubecl::future::block_on;
use inkling_shaders::{Array, Dense, Gpu, Window, pool, pool_backward};

fn main() {
    let client = cubecl::Device::wgpu(Default::default()).expect("this machine has a card").client();
    let gpu = Gpu::new(client);
    let n = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(32);
    println!("{n} images");
    let window = |channels, filters, side, kernel| Window {
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
    let x = filled(&gpu, 64 * 24 * 24 * n);
    let g = filled(&gpu, 64 * 12 * 12 * n);
    timed(&gpu, "pool", 0.0, || pool(&gpu, &x, 64, 24, n));
    timed(&gpu, "pool back", 0.0, || pool_backward(&gpu, [&x, &g], 64, 24, n, 0.0));
}

fn convolution(gpu: &Gpu, name: &str, window: Window) {
    let [inputs, outputs] = [window.input, window.output].map(|[rows, columns]| rows * columns * window.n);
    let taps = window.channels * window.kernel * window.kernel;
    let x = filled(gpu, window.channels * inputs);
    let g = filled(gpu, window.filters * outputs);
    let weights = filled(gpu, window.filters * taps);
    let work = (taps * window.filters * outputs) as f64;
    timed(gpu, &format!("{name}: forward"), work, || window.forward(gpu, &x, &weights, None, 0.0));
    timed(gpu, &format!("{name}: input"), work, || window.input_gradient(gpu, &g, &weights));
    timed(gpu, &format!("{name}: weights"), work, || window.weights_gradient(gpu, &x, &g));
}

fn dense(gpu: &Gpu, dense: Dense) {
    let x = filled(gpu, dense.inputs * dense.n);
    let g = filled(gpu, dense.units * dense.n);
    let weights = filled(gpu, dense.inputs * dense.units);
    let bias = filled(gpu, dense.units);
    let work = (dense.inputs * dense.units * dense.n) as f64;
    timed(gpu, "dense: forward", work, || dense.forward(gpu, &x, &weights, &bias, 0.0));
    timed(gpu, "dense: input", work, || dense.input_gradient(gpu, &g, &weights));
    timed(gpu, "dense: weights", work, || dense.weights_gradient(gpu, &x, &g));
}

fn filled(gpu: &Gpu, len: usize) -> Array {
    gpu.upload(&(0..len).map(|i| ((i * 7919) % 13) as f32 / 13.0 - 0.5).collect::<Vec<_>>())
}

/// Prints the first time and the best of three later ones, and multiply-adds a second.
fn timed(gpu: &Gpu, name: &str, work: f64, run: impl Fn() -> Array) {
    let once = || {
        let began = Instant::now();
        let array = run();
        block_on(gpu.client().sync()).expect("the card works");
        drop(array);
        began.elapsed().as_secs_f64()
    };
    let first = once();
    let best = (0..3).map(|_| once()).fold(f64::INFINITY, f64::min);
    println!("{name:26} first {:8.1} ms, then {:8.2} ms, {:6.2} GFLOP/s", first * 1e3, best * 1e3, 2e-9 * work / best);
}
