//! Throughput of the kernels at batch size 128, on every instruction set of this machine: convolutions of the five
//! networks and dense layers in each direction, where an element is a floating-point operation, and element-wise
//! kernels, where an element is a number. `cargo bench -p inkling-kernels -- AVX2/classic` measures a part of them.
//! Checks no results.

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use inkling_kernels::{
    self as kernels, AdamStep, BatchNorm, BlockedLayout, Conv2d, Conv2dSizes, Dense, FusedRectifier, Isa,
};

/// Images in a batch.
const BATCH: usize = 128;

/// Network, channels, filters, rows (and columns) of the input, rows (and columns) of the window, stride, and whether
/// the input is padded with zeros ("same" padding).
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

fn window(isa: Isa, (_, channels, filters, side, kernel, stride, same): Layer) -> Conv2d {
    let output = if same { side.div_ceil(stride) } else { (side - kernel) / stride + 1 };
    let padding = if same { (output - 1) * stride + kernel - side } else { 0 };
    let sizes = Conv2dSizes {
        channels,
        filters,
        input: [side; 2],
        output: [output; 2],
        kernel,
        stride,
        before: [padding / 2; 2],
        after: [padding - padding / 2; 2],
    };
    Conv2d::new(isa, BATCH, sizes).expect("the sizes fit each other")
}

fn convolutions(criterion: &mut Criterion) {
    for (isa, layer) in Isa::all().into_iter().flat_map(|isa| CONVOLUTIONS.map(|layer| (isa, layer))) {
        let (network, channels, filters, side, kernel, stride, _) = layer;
        let window = window(isa, layer);
        let weights = vec![0.01; filters * channels * kernel * kernel];
        let x = vec![0.5; window.padded_layout().len()];
        let (mut y, mut dx) = (vec![0.0; window.output_layout().len()], vec![0.0; window.input_layout().len()]);
        let mut dw = vec![0.0; weights.len()];
        let name = format!("{}/{network} {channels}→{filters} {side}² {kernel}×{kernel}|{stride}", isa.name());
        let mut group = criterion.benchmark_group(name);
        let multiply_adds = BATCH * weights.len() * window.output_layout().pixels();
        group.throughput(Throughput::Elements(2 * multiply_adds as u64));
        group.bench_function("forward", |b| b.iter(|| window.forward(&x, &weights, None, 0.0, &mut y)));
        group.bench_function("input gradient", |b| b.iter(|| window.input_gradient(&y, &weights, &mut dx)));
        group.bench_function("weights' gradient", |b| b.iter(|| window.weights_gradient(&x, &y, &mut dw)));
    }
}

/// On one instruction set only: the `gemm` crate detects its own.
fn dense(criterion: &mut Criterion) {
    let isa = Isa::best();
    for (network, inputs, units) in [("strided", 1024, 256), ("classic", 9216, 128)] {
        let dense = Dense::new(isa, BATCH, inputs, units);
        let (weights, mut dw) = (vec![0.01; inputs * units], vec![0.0; inputs * units]);
        let (x, mut dx) = (vec![0.5; dense.input().len()], vec![0.0; dense.input().len()]);
        let mut y = vec![0.0; dense.output().len()];
        let mut group = criterion.benchmark_group(format!("dense/{network} {inputs}→{units}"));
        group.throughput(Throughput::Elements(2 * (BATCH * weights.len()) as u64));
        group.bench_function("forward", |b| b.iter(|| dense.forward(&x, &weights, &mut y)));
        group.bench_function("input gradient", |b| b.iter(|| dense.input_gradient(&y, &weights, &mut dx)));
        group.bench_function("weights' gradient", |b| b.iter(|| dense.weights_gradient(&x, &y, &mut dw)));
    }
}

/// On the shape of the first stage of `leaky`: 32 channels of 28×28.
fn elementwise(criterion: &mut Criterion) {
    const CHANNELS: usize = 32;
    const SIDE: usize = 28;
    for isa in Isa::all() {
        let layout = BlockedLayout::blocked(isa, BATCH, CHANNELS, SIDE * SIDE);
        let norm = BatchNorm { layout, epsilon: 1e-3, rectified: FusedRectifier::After(0.3) };
        let (x, mut y, mut dy) = (vec![0.5; layout.len()], vec![0.5; layout.len()], vec![0.5; layout.len()]);
        let (per_channel, mut mean, mut variance) = (vec![0.5; CHANNELS], vec![0.5; CHANNELS], vec![0.5; CHANNELS]);
        let (mut gamma_gradient, mut beta_gradient) = (vec![0.0; CHANNELS], vec![0.0; CHANNELS]);
        let mut pooled = vec![0.5; layout.len() / 4];
        let mut group = criterion.benchmark_group(format!("{}/numbers", isa.name()));
        group.throughput(Throughput::Elements(layout.len() as u64));
        group.bench_function("normalise", |b| {
            b.iter(|| norm.forward(&x, [&per_channel; 2], &mut y, [&mut mean, &mut variance]))
        });
        group.bench_function("normalise, back", |b| {
            let statistics = [&per_channel[..]; 2];
            b.iter(|| {
                norm.backward([&x, &y], &per_channel, statistics, &mut dy, [&mut gamma_gradient, &mut beta_gradient])
            })
        });
        group.bench_function("pool", |b| b.iter(|| kernels::max_pool(&layout, SIDE, &x, &mut pooled)));
        group.bench_function("pool, back", |b| {
            b.iter(|| kernels::max_pool_backward(&layout, SIDE, &x, &pooled, &mut dy))
        });
        let (mut mean, mut square) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let step = AdamStep {
            learning_rate: 1e-3,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            weight_decay: 0.0,
            l2_penalty: 0.0,
        };
        group.bench_function("adam", |b| b.iter(|| kernels::adam(isa, &x, [&mut y, &mut mean, &mut square], step)));
    }
}

/// Short measurements: a few minutes for all benchmarks.
fn short_config() -> Criterion {
    let (warm_up, measurement) = (Duration::from_millis(200), Duration::from_secs(1));
    Criterion::default().warm_up_time(warm_up).measurement_time(measurement).sample_size(10)
}

criterion_group! { name = training_kernels; config = short_config(); targets = convolutions, dense, elementwise }
criterion_main!(training_kernels);
