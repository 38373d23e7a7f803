//! Throughput of the convolutions of the five networks at batch 128, in GFLOP/s of each direction.

use std::time::Instant;

use inkling_kernels::{Isa, Window};

fn main() {
    for isa in Isa::all() {
        println!("{}", isa.name());
        let windows: [(usize, usize, usize, usize, usize, bool); 12] = [
            (1, 16, 28, 3, 1, false),
            (16, 16, 26, 3, 1, false),
            (16, 10, 12, 1, 1, false),
            (16, 16, 10, 3, 1, false),
            (16, 10, 4, 4, 1, false),
            (32, 64, 26, 3, 1, false),
            (32, 32, 28, 3, 1, true),
            (64, 64, 14, 3, 1, true),
            (64, 128, 7, 3, 1, true),
            (32, 32, 28, 5, 1, true),
            (16, 32, 14, 3, 1, true),
            (64, 64, 7, 3, 2, true),
        ];
        for (channels, filters, side, kernel, stride, same) in windows {
            let output = if same { side.div_ceil(stride) } else { (side - kernel) / stride + 1 };
            let pads = if same { ((output - 1) * stride + kernel) - side } else { 0 };
            let before = [pads / 2; 2];
            let after = [pads - pads / 2; 2];
            let w = Window {
                isa,
                n: 128,
                channels,
                filters,
                input: [side; 2],
                output: [output; 2],
                kernel,
                stride,
                before,
                after,
            };
            let weights = vec![0.01; filters * channels * kernel * kernel];
            let x = vec![0.5; w.padded_grid().len()];
            let mut y = vec![0.0; w.output_grid().len()];
            let mut dx = vec![0.0; w.input_grid().len()];
            let mut dw = vec![0.0; weights.len()];
            let flops = 2.0 * (128 * filters * channels * kernel * kernel * output * output) as f64;
            let forward = time(|| w.forward(&x, &weights, None, 0.0, &mut y));
            let input = time(|| w.input_gradient(&y, &weights, &mut dx));
            let of_weights = time(|| w.weights_gradient(&x, &y, &mut dw));
            let pace = |secs: f64| flops / secs / 1e9;
            println!(
                "  {channels:>3} → {filters:>3}, {side}², {kernel}×{kernel}/{stride}: forward {:>6.1}, input {:>6.1}, weights {:>6.1}",
                pace(forward),
                pace(input),
                pace(of_weights)
            );
        }
    }
}

/// The best of several runs, in seconds.
fn time(mut run: impl FnMut()) -> f64 {
    (0..7)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}
