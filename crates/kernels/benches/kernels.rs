//! Throughput of the kernels at batch 128, on every instruction set of this machine: convolutions of the five networks and
//! dense layers in each direction, where an element is a floating-point operation, and what happens to every number,
//! where it is a number. `cargo bench -p inkling-kernels -- AVX2/classic` measures a part.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inkling_kernels::{self as kernels, Dense, Grid, Isa, Norm, Rectified, Window};

const BATCH: usize = 128;

/// Network, channels, filters, side, kernel, stride, and whether zeros keep the side.
type Layer = (&'static str, usize, usize, usize, usize, usize, bool);

const CONVOLUTIONS: [Layer; 12] = [
    ("compact", 1, 16, 28, 3, 1, false),
    ("compact", 16, 16, 26, 3, 1, false),
    ("compact", 16, 10, 12, 1, 1, false),
    ("compact", 16, 16, 10, 3, 1, false),
    ("strided", 1, 16, 28, 5, 2, true),
    ("strided", 16, 32, 14, 3, 1, true),
    ("strided", 64, 64, 7, 3, 2, true),
    ("classic", 32, 64, 26, 3, 1, false),
    ("leaky", 32, 32, 28, 3, 1, true),
    ("leaky", 64, 64, 14, 3, 1, true),
    ("leaky", 64, 128, 7, 3, 1, true),
    ("wide", 32, 32, 28, 5, 1, true),
];

fn window(isa: Isa, (_, channels, filters, side, kernel, stride, same): Layer) -> Window {
    let output = if same { side.div_ceil(stride) } else { (side - kernel) / stride + 1 };
    let zeros = if same { (output - 1) * stride + kernel - side } else { 0 };
    Window {
        isa,
        n: BATCH,
        channels,
        filters,
        input: [side; 2],
        output: [output; 2],
        kernel,
        stride,
        before: [zeros / 2; 2],
        after: [zeros - zeros / 2; 2],
    }
}

fn convolutions(criterion: &mut Criterion) {
    for (isa, layer) in Isa::all().into_iter().flat_map(|isa| CONVOLUTIONS.map(|layer| (isa, layer))) {
        let (network, channels, filters, side, kernel, stride, _) = layer;
        let window = window(isa, layer);
        let weights = vec![0.01; filters * channels * kernel * kernel];
        let x = vec![0.5; window.padded_grid().len()];
        let (mut y, mut dx) = (vec![0.0; window.output_grid().len()], vec![0.0; window.input_grid().len()]);
        let mut dw = vec![0.0; weights.len()];
        let name = format!("{}/{network} {channels}→{filters} {side}² {kernel}×{kernel}|{stride}", isa.name());
        let mut group = criterion.benchmark_group(name);
        let products = BATCH * weights.len() * window.output[0] * window.output[1];
        group.throughput(Throughput::Elements(2 * products as u64));
        group.bench_function("forward", |b| b.iter(|| window.forward(&x, &weights, None, 0.0, &mut y)));
        group.bench_function("input gradient", |b| b.iter(|| window.input_gradient(&y, &weights, &mut dx)));
        group.bench_function("weights' gradient", |b| b.iter(|| window.weights_gradient(&x, &y, &mut dw)));
    }
}

/// The `gemm` crate finds its own instructions: one set is enough.
fn dense(criterion: &mut Criterion) {
    let isa = Isa::best();
    for (network, inputs, units) in [("strided", 1024, 256), ("classic", 9216, 128)] {
        let dense = Dense { input: Grid::flat(isa, BATCH, inputs), output: Grid::flat(isa, BATCH, units) };
        let (weights, mut dw) = (vec![0.01; inputs * units], vec![0.0; inputs * units]);
        let (x, mut dx) = (vec![0.5; dense.input.len()], vec![0.0; dense.input.len()]);
        let mut y = vec![0.0; dense.output.len()];
        let mut group = criterion.benchmark_group(format!("dense/{network} {inputs}→{units}"));
        group.throughput(Throughput::Elements(2 * (BATCH * weights.len()) as u64));
        group.bench_function("forward", |b| b.iter(|| dense.forward(&x, &weights, &mut y)));
        group.bench_function("input gradient", |b| b.iter(|| dense.input_gradient(&y, &weights, &mut dx)));
        group.bench_function("weights' gradient", |b| b.iter(|| dense.weights_gradient(&x, &y, &mut dw)));
    }
}

/// The first stage of `leaky`: 32 channels of 28×28.
fn numbers(criterion: &mut Criterion) {
    const CHANNELS: usize = 32;
    const SIDE: usize = 28;
    for isa in Isa::all() {
        let grid = Grid::blocked(isa, BATCH, CHANNELS, SIDE * SIDE);
        let norm = Norm { grid, epsilon: 1e-3, rectified: Rectified::After(0.3) };
        let (x, mut y, mut dy) = (vec![0.5; grid.len()], vec![0.5; grid.len()], vec![0.5; grid.len()]);
        let (of_channels, mut mean, mut variance) = (vec![0.5; CHANNELS], vec![0.5; CHANNELS], vec![0.5; CHANNELS]);
        let (mut of_gamma, mut of_beta) = (vec![0.0; CHANNELS], vec![0.0; CHANNELS]);
        let mut pooled = vec![0.5; grid.len() / 4];
        let mut group = criterion.benchmark_group(format!("{}/numbers", isa.name()));
        group.throughput(Throughput::Elements(grid.len() as u64));
        group.bench_function("normalise", |b| {
            b.iter(|| norm.forward(&x, [&of_channels; 2], &mut y, [&mut mean, &mut variance]))
        });
        group.bench_function("normalise, back", |b| {
            let statistics = [&of_channels[..]; 2];
            b.iter(|| norm.backward([&x, &y], &of_channels, statistics, &mut dy, [&mut of_gamma, &mut of_beta]))
        });
        group.bench_function("pool", |b| b.iter(|| kernels::pool(&grid, SIDE, &x, &mut pooled)));
        group.bench_function("pool, back", |b| b.iter(|| kernels::pool_backward(&grid, SIDE, &x, &pooled, &mut dy)));
        let (mut mean, mut square) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        group.bench_function("adam", |b| {
            b.iter(|| kernels::adam(isa, &x, [&mut y, &mut mean, &mut square], [0.9, 0.999], 1e-7, 1e-3, 0.0, 0.0))
        });
    }
}

/// A few minutes for all of them.
fn soon() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(200), Duration::from_secs(1));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).sample_size(10)
}

criterion_group! { name = kernels_of_training; config = soon(); targets = convolutions, dense, numbers }
criterion_main!(kernels_of_training);
