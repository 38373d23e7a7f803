//! Tests every kernel on every instruction set of this machine against plain loops in double precision. Measures no
//! speed.

use inkling_kernels::{BatchNorm, BlockedLayout, Conv2d, Conv2dSizes, Dense, FusedRectifier, Isa};

/// Pseudo-random numbers from −1 to 1, the same on every machine.
fn pseudo_random(n: usize, seed: u32) -> Vec<f32> {
    let hash = |i: u32| {
        let mut h = i.wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x85EB_CA77));
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        (h ^ (h >> 12)).wrapping_mul(0x297A_2D39) >> 8
    };
    (0..n as u32).map(|i| hash(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

/// Asserts that the relative error of `ours`, in the Euclidean norm, is below 2·10⁻⁶.
fn assert_close(what: &str, ours: &[f32], expected: &[f64]) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    let error = ours.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
    assert!(error / norm < 2e-6, "{what}: {}", error / norm);
}

/// `rows`, `[image][channel][pixel]`, in the given layout.
fn scattered(layout: &BlockedLayout, rows: &[f32]) -> Vec<f32> {
    let mut values = vec![f32::MAX; layout.len()];
    layout.scatter(rows, &mut values);
    values
}

/// `values`, in the given layout, as `[image][channel][pixel]`.
fn gathered(layout: &BlockedLayout, values: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; layout.n() * layout.features()];
    layout.gather(values, &mut rows);
    rows
}

/// Combinations of side, kernel, stride and padding that occur in the five networks, and a few that occur in none.
fn windows(isa: Isa) -> Vec<Conv2d> {
    let window = |n, channels, filters, side: usize, kernel: usize, stride: usize, same: bool| {
        // Miri takes minutes for more. These still are a full block and a partial one, and a tile of each width.
        let at_most = |most: usize, size: usize| if cfg!(miri) { size.min(most) } else { size };
        let (n, channels, filters, side) = (at_most(5, n), at_most(2, channels), at_most(7, filters), at_most(7, side));
        let output = if same { side.div_ceil(stride) } else { (side - kernel) / stride + 1 };
        let padding = if same { ((output - 1) * stride + kernel).saturating_sub(side) } else { 0 };
        let (before, after) = (padding / 2, padding - padding / 2);
        let sizes = Conv2dSizes {
            channels,
            filters,
            input: [side; 2],
            output: [output; 2],
            kernel,
            stride,
            before: [before; 2],
            after: [after; 2],
        };
        Conv2d::new(isa, n, sizes).unwrap()
    };
    vec![
        window(5, 1, 16, 12, 3, 1, false),
        window(18, 16, 10, 7, 1, 1, false),
        window(3, 10, 16, 8, 3, 1, false),
        window(17, 16, 10, 4, 4, 1, false),
        window(2, 1, 13, 28, 5, 2, true),
        window(4, 3, 8, 14, 3, 2, true),
        window(19, 5, 7, 7, 3, 2, true),
        window(6, 4, 9, 9, 3, 1, true),
        window(2, 3, 6, 10, 5, 1, true),
        window(3, 2, 3, 8, 1, 2, false),
        window(3, 2, 5, 11, 3, 3, true),
        // The stride exceeds the window, so that the last step leaves the input, and then the whole input.
        window(3, 2, 5, 7, 1, 2, false),
        window(3, 2, 5, 2, 3, 3, true),
    ]
}

/// Calls `visit(image, filter, channel, output pixel, input pixel, tap)` for every multiplication of a convolution.
fn products(w: &Conv2dSizes, n: usize, mut visit: impl FnMut(usize, usize, usize, usize, usize, usize)) {
    let [rows, columns] = w.output;
    for (n, f, c) in (0..n).flat_map(|n| (0..w.filters).flat_map(move |f| (0..w.channels).map(move |c| (n, f, c)))) {
        for (o, tap) in (0..rows * columns).flat_map(|o| (0..w.kernel * w.kernel).map(move |tap| (o, tap))) {
            let y = (o / columns * w.stride + tap / w.kernel).checked_sub(w.before[0]).filter(|y| *y < w.input[0]);
            let x = (o % columns * w.stride + tap % w.kernel).checked_sub(w.before[1]).filter(|x| *x < w.input[1]);
            if let (Some(y), Some(x)) = (y, x) {
                visit(n, f, c, o, y * w.input[1] + x, tap);
            }
        }
    }
}

#[test]
fn convolutions_in_all_directions() {
    for isa in Isa::all() {
        for conv in windows(isa) {
            let (w, n) = (conv.sizes(), conv.input_layout().n());
            let what = |direction: &str| format!("{direction} of {w:?}");
            let (input, output) = (conv.input_layout(), conv.output_layout());
            let x = pseudo_random(n * w.channels * input.pixels(), 1);
            let weights = pseudo_random(w.filters * w.channels * w.kernel * w.kernel, 2);
            let (bias, dy) = (pseudo_random(w.filters, 3), pseudo_random(n * w.filters * output.pixels(), 4));
            let area = w.kernel * w.kernel;
            let x_index = |n: usize, c: usize, i: usize| (n * w.channels + c) * input.pixels() + i;
            let y_index = |n: usize, f: usize, o: usize| (n * w.filters + f) * output.pixels() + o;
            let weight_index = |f: usize, c: usize, tap: usize| (f * w.channels + c) * area + tap;

            let mut y: Vec<f64> = (0..dy.len()).map(|i| f64::from(bias[i / output.pixels() % w.filters])).collect();
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
            products(w, n, |n, f, c, o, i, tap| {
                let (x_at, y_at, w_at) = (x_index(n, c, i), y_index(n, f, o), weight_index(f, c, tap));
                y[y_at] += f64::from(weights[w_at]) * f64::from(x[x_at]);
                dx[x_at] += f64::from(weights[w_at]) * f64::from(dy[y_at]);
                dw[w_at] += f64::from(x[x_at]) * f64::from(dy[y_at]);
            });
            y.iter_mut().for_each(|y| *y = if *y > 0.0 { *y } else { 0.25 * *y });

            let mut padded = vec![7.0; conv.padded_layout().len()];
            conv.pad(&scattered(&input, &x), &mut padded);
            let mut ours = vec![7.0; output.len()];
            conv.forward(&padded, &weights, Some(&bias), 0.25, &mut ours);
            assert_close(&what("forward"), &gathered(&output, &ours), &y);

            let dy = scattered(&output, &dy);
            let mut ours = vec![7.0; input.len()];
            conv.input_gradient(&dy, &weights, &mut ours);
            assert_close(&what("input gradient"), &gathered(&input, &ours), &dx);

            let mut ours = vec![7.0; weights.len()];
            conv.weights_gradient(&padded, &dy, &mut ours);
            assert_close(&what("weights' gradient"), &ours, &dw);
        }
    }
}

/// Blocked and flat layouts, with and without spare lanes.
fn layouts(isa: Isa) -> Vec<BlockedLayout> {
    vec![
        BlockedLayout::blocked(isa, 3, 2, 9),
        BlockedLayout::blocked(isa, 21, 5, 4),
        BlockedLayout::flat(isa, 19, 7),
        BlockedLayout::flat(isa, 32, 3),
    ]
}

/// The values of a channel, image by image, from `rows`, `[image][channel][pixel]`.
fn channel(layout: &BlockedLayout, rows: &[f32], channel: usize) -> Vec<f64> {
    let pixels = rows.chunks_exact(layout.pixels()).skip(channel).step_by(layout.channels());
    pixels.flatten().map(|x| f64::from(*x)).collect()
}

#[test]
fn normalisation_forward_and_backward() {
    for isa in Isa::all() {
        for layout in layouts(isa) {
            for rectified in [FusedRectifier::Neither, FusedRectifier::Before(0.0), FusedRectifier::After(0.3)] {
                let norm = BatchNorm { layout, epsilon: 1e-3, rectified };
                let (n, channels) = (layout.n() * layout.features(), layout.channels());
                let (mut rows, dy_rows) = (pseudo_random(n, 1), pseudo_random(n, 2));
                if rectified == FusedRectifier::Before(0.0) {
                    rows.iter_mut().for_each(|x| *x = x.max(0.0));
                }
                let (gamma, beta) = (pseudo_random(channels, 3), pseudo_random(channels, 4));
                let (x, mut gradient) = (scattered(&layout, &rows), scattered(&layout, &dy_rows));
                let (mut y, mut mean, mut variance) = (vec![0.0; x.len()], vec![0.0; channels], vec![0.0; channels]);
                norm.forward(&x, [&gamma, &beta], &mut y, [&mut mean, &mut variance]);
                let (mut gamma_gradient, mut beta_gradient) = (vec![0.0; channels], vec![0.0; channels]);
                norm.backward(
                    [&x, &y],
                    &gamma,
                    [&mean, &variance],
                    &mut gradient,
                    [&mut gamma_gradient, &mut beta_gradient],
                );
                let mut evaluated = x.clone();
                norm.evaluate(&mut evaluated, [&gamma, &beta], [&mean, &variance]);
                let (ours, evaluated) = (gathered(&layout, &y), gathered(&layout, &evaluated));
                let our_gradient = gathered(&layout, &gradient);
                for c in 0..channels {
                    let what = format!("channel {c} of {layout:?}, {rectified:?}");
                    let (x, dy) = (channel(&layout, &rows, c), channel(&layout, &dy_rows, c));
                    let count = x.len() as f64;
                    let mean_x = x.iter().sum::<f64>() / count;
                    let variance_x = x.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>() / count;
                    assert_close(&what, &[mean[c], variance[c]], &[mean_x, variance_x]);
                    let inverse_std = 1.0 / (variance_x + 1e-3).sqrt();
                    let normalised: Vec<_> = x.iter().map(|x| (x - mean_x) * inverse_std).collect();
                    let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
                    let slope = if rectified == FusedRectifier::After(0.3) { 0.3 } else { 1.0 };
                    let affine: Vec<_> = normalised.iter().map(|x| gamma * x + beta).collect();
                    let y: Vec<_> = affine.iter().map(|y| if *y > 0.0 { *y } else { slope * y }).collect();
                    let ours: Vec<_> = channel(&layout, &ours, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &ours, &y);
                    let our_evaluation: Vec<_> =
                        channel(&layout, &evaluated, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &our_evaluation, &y);
                    let dy: Vec<_> =
                        dy.iter().zip(&affine).map(|(d, y)| if *y > 0.0 { *d } else { slope * d }).collect();
                    let sum = dy.iter().sum::<f64>();
                    let products = dy.iter().zip(&normalised).map(|(d, x)| d * x).sum::<f64>();
                    assert_close(&what, &[beta_gradient[c], gamma_gradient[c]], &[sum, products]);
                    let input_gradient = |(d, (n, x)): (&f64, (&f64, &f64))| {
                        let dx = gamma * inverse_std * (d - sum / count - n * products / count);
                        if rectified == FusedRectifier::Before(0.0) && *x <= 0.0 { 0.0 } else { dx }
                    };
                    let dx: Vec<_> = dy.iter().zip(normalised.iter().zip(&x)).map(input_gradient).collect();
                    let ours: Vec<_> = channel(&layout, &our_gradient, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &ours, &dx);
                }
                layout.clear_spare(&mut y);
                let spare_is_zero = |values: &[f32]| {
                    let mut clean = values.to_vec();
                    layout.clear_spare(&mut clean);
                    clean == values
                };
                assert!(spare_is_zero(&gradient), "{layout:?}");
            }
        }
    }
}

#[test]
fn pooling_passes_the_gradient_to_the_first_maximum() {
    for isa in Isa::all() {
        for side in [4, 5, 7] {
            let layout = BlockedLayout::blocked(isa, 6, 3, side * side);
            // Few distinct values, so that there are ties.
            let rows: Vec<_> =
                pseudo_random(layout.n() * 3 * side * side, 5).iter().map(|x| (x * 2.0).round()).collect();
            let half = side / 2;
            let pooled = BlockedLayout::blocked(isa, 6, 3, half * half);
            let dy_rows = pseudo_random(6 * 3 * half * half, 6);
            let (mut y, mut dx) = (vec![0f64; dy_rows.len()], vec![0f64; rows.len()]);
            for (i, (y, dy)) in y.iter_mut().zip(&dy_rows).enumerate() {
                let (plane, row, column) = (i / (half * half), i % (half * half) / half, i % half);
                let window = [0, 1, side, side + 1].map(|at| plane * side * side + 2 * row * side + 2 * column + at);
                let mut maximum = window[0];
                window.iter().for_each(|at| maximum = if rows[*at] > rows[maximum] { *at } else { maximum });
                *y = f64::from(rows[maximum]);
                dx[maximum] = f64::from(*dy);
            }
            let x = scattered(&layout, &rows);
            let (mut ours, mut our_gradient) = (vec![0.0; pooled.len()], vec![7.0; x.len()]);
            inkling_kernels::max_pool(&layout, side, &x, &mut ours);
            assert_close("pooled", &gathered(&pooled, &ours), &y);
            inkling_kernels::max_pool_backward(&layout, side, &x, &scattered(&pooled, &dy_rows), &mut our_gradient);
            assert_close("gradient", &gathered(&layout, &our_gradient), &dx);
        }
    }
}

#[test]
fn dense_layers_in_all_directions() {
    for isa in Isa::all() {
        let (n, inputs, units) = (21, 37, 12);
        let dense = Dense::new(isa, n, inputs, units);
        let (x, weights, dy) =
            (pseudo_random(n * inputs, 1), pseudo_random(units * inputs, 2), pseudo_random(n * units, 3));
        let (mut y, mut dx, mut dw) = (vec![0f64; n * units], vec![0f64; n * inputs], vec![0f64; units * inputs]);
        for (n, u, i) in (0..n).flat_map(|n| (0..units).flat_map(move |u| (0..inputs).map(move |i| (n, u, i)))) {
            let (x_at, y_at, w_at) = (n * inputs + i, n * units + u, u * inputs + i);
            y[y_at] += f64::from(weights[w_at]) * f64::from(x[x_at]);
            dx[x_at] += f64::from(weights[w_at]) * f64::from(dy[y_at]);
            dw[w_at] += f64::from(x[x_at]) * f64::from(dy[y_at]);
        }
        let (x, dy) = (scattered(&dense.input(), &x), scattered(&dense.output(), &dy));
        let mut ours = vec![0.0; dense.output().len()];
        dense.forward(&x, &weights, &mut ours);
        assert_close("forward", &gathered(&dense.output(), &ours), &y);
        let mut ours = vec![0.0; dense.input().len()];
        dense.input_gradient(&dy, &weights, &mut ours);
        assert_close("input gradient", &gathered(&dense.input(), &ours), &dx);
        let mut ours = vec![0.0; weights.len()];
        dense.weights_gradient(&x, &dy, &mut ours);
        assert_close("weights' gradient", &ours, &dw);
    }
}

#[test]
fn flattening_keeps_every_number() {
    for isa in Isa::all() {
        let layout = BlockedLayout::blocked(isa, 21, 3, 4);
        let rows = pseudo_random(21 * 12, 9);
        let blocked = scattered(&layout, &rows);
        let mut flat = vec![0.0; blocked.len()];
        let flat_layout = layout.flatten(&blocked, &mut flat);
        assert_eq!(gathered(&flat_layout, &flat), rows);
        let mut restored = vec![0.0; blocked.len()];
        layout.unflatten(&flat, &mut restored);
        assert_eq!(restored, blocked);
    }
}

#[test]
fn elementwise_kernels() {
    for isa in Isa::all() {
        let layout = BlockedLayout::blocked(isa, 13, 3, 5);
        let rows = pseudo_random(13 * 15, 1);
        let (values, gradient_values) = (scattered(&layout, &rows), scattered(&layout, &pseudo_random(13 * 15, 2)));
        let rectified: Vec<f32> = values.iter().map(|x| if *x > 0.0 { *x } else { 0.3 * x }).collect();
        let mut gradient = gradient_values.clone();
        inkling_kernels::rectify_backward(isa, &rectified, &mut gradient, 0.3);
        let expected = |(x, d): (&f32, &f32)| if *x > 0.0 { *d } else { 0.3 * d };
        assert!(gradient.iter().zip(values.iter().zip(&gradient_values).map(expected)).all(|(a, b)| *a == b));
        let mut sums = vec![0.0; 3];
        inkling_kernels::sum_channels(&layout, &values, &mut sums);
        for (c, sum) in sums.iter().enumerate() {
            assert_close("sum", &[*sum], &[channel(&layout, &rows, c).iter().sum()]);
        }
        let mut biased = values.clone();
        inkling_kernels::add_bias(&layout, &mut biased, &[0.5, -0.5, 0.0], 0.0);
        let expected = |(i, x): (usize, &f32)| f64::from((x + [0.5, -0.5, 0.0][i / 5 % 3]).max(0.0));
        assert_close("biased", &gathered(&layout, &biased), &rows.iter().enumerate().map(expected).collect::<Vec<_>>());
    }
}
