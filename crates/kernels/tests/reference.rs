//! Every kernel on every instruction set of this machine, against plain loops in double precision.

use inkling_kernels::{Dense, Grid, Isa, Norm, Rectified, Window};

/// Numbers that look random: the same everywhere.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let hash = |i: u32| {
        let mut h = i.wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x85EB_CA77));
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        (h ^ (h >> 12)).wrapping_mul(0x297A_2D39) >> 8
    };
    (0..n as u32).map(|i| hash(i) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn assert_close(what: &str, ours: &[f32], truth: &[f64]) {
    assert_eq!(ours.len(), truth.len(), "{what}");
    let size = truth.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-12);
    let apart = ours.iter().zip(truth).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum::<f64>().sqrt();
    assert!(apart / size < 2e-6, "{what}: {}", apart / size);
}

fn scattered(grid: &Grid, rows: &[f32]) -> Vec<f32> {
    let mut values = vec![f32::MAX; grid.len()];
    grid.scatter(rows, &mut values);
    values
}

fn gathered(grid: &Grid, values: &[f32]) -> Vec<f32> {
    let mut rows = vec![0.0; grid.n * grid.channels * grid.pixels];
    grid.gather(values, &mut rows);
    rows
}

/// Sides, kernels, strides and paddings of the five networks, and a few that none of them has.
fn windows(isa: Isa) -> Vec<Window> {
    let window = |n, channels, filters, side: usize, kernel: usize, stride: usize, same: bool| {
        let output = if same { side.div_ceil(stride) } else { (side - kernel) / stride + 1 };
        let pads = if same { ((output - 1) * stride + kernel).saturating_sub(side) } else { 0 };
        let (before, after) = (pads / 2, pads - pads / 2);
        Window {
            isa,
            n,
            channels,
            filters,
            input: [side; 2],
            output: [output; 2],
            kernel,
            stride,
            before: [before; 2],
            after: [after; 2],
        }
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
    ]
}

/// Calls `visit(image, filter, channel, output pixel, input pixel, tap)` for every product of a convolution.
fn products(w: &Window, mut visit: impl FnMut(usize, usize, usize, usize, usize, usize)) {
    let [rows, columns] = w.output;
    for (n, f, c) in (0..w.n).flat_map(|n| (0..w.filters).flat_map(move |f| (0..w.channels).map(move |c| (n, f, c)))) {
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
        for w in windows(isa) {
            let what = |direction: &str| format!("{direction} of {w:?}");
            let (input, output) = (w.input_grid(), w.output_grid());
            let x = numbers(w.n * w.channels * input.pixels, 1);
            let weights = numbers(w.filters * w.channels * w.kernel * w.kernel, 2);
            let (bias, dy) = (numbers(w.filters, 3), numbers(w.n * w.filters * output.pixels, 4));
            let area = w.kernel * w.kernel;
            let of_input = |n: usize, c: usize, i: usize| (n * w.channels + c) * input.pixels + i;
            let of_output = |n: usize, f: usize, o: usize| (n * w.filters + f) * output.pixels + o;
            let of_weight = |f: usize, c: usize, tap: usize| (f * w.channels + c) * area + tap;

            let mut y: Vec<f64> = (0..dy.len()).map(|i| f64::from(bias[i / output.pixels % w.filters])).collect();
            let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; weights.len()]);
            products(&w, |n, f, c, o, i, tap| {
                let (x_at, y_at, w_at) = (of_input(n, c, i), of_output(n, f, o), of_weight(f, c, tap));
                y[y_at] += f64::from(weights[w_at]) * f64::from(x[x_at]);
                dx[x_at] += f64::from(weights[w_at]) * f64::from(dy[y_at]);
                dw[w_at] += f64::from(x[x_at]) * f64::from(dy[y_at]);
            });
            y.iter_mut().for_each(|y| *y = if *y > 0.0 { *y } else { 0.25 * *y });

            let mut padded = vec![7.0; w.padded_grid().len()];
            w.pad(&scattered(&input, &x), &mut padded);
            let mut ours = vec![7.0; output.len()];
            w.forward(&padded, &weights, Some(&bias), 0.25, &mut ours);
            assert_close(&what("forward"), &gathered(&output, &ours), &y);

            let dy = scattered(&output, &dy);
            let mut ours = vec![7.0; input.len()];
            w.input_gradient(&dy, &weights, &mut ours);
            assert_close(&what("input gradient"), &gathered(&input, &ours), &dx);

            let mut ours = vec![7.0; weights.len()];
            w.weights_gradient(&padded, &dy, &mut ours);
            assert_close(&what("weights' gradient"), &ours, &dw);
        }
    }
}

fn grids(isa: Isa) -> Vec<Grid> {
    vec![Grid::blocked(isa, 3, 2, 9), Grid::blocked(isa, 21, 5, 4), Grid::flat(isa, 19, 7), Grid::flat(isa, 32, 3)]
}

/// The numbers of a channel, image by image, out of `[image][channel][pixel]`.
fn channel(grid: &Grid, rows: &[f32], channel: usize) -> Vec<f64> {
    let pixels = rows.chunks_exact(grid.pixels).skip(channel).step_by(grid.channels);
    pixels.flatten().map(|x| f64::from(*x)).collect()
}

#[test]
fn normalisation_forth_and_back() {
    for isa in Isa::all() {
        for grid in grids(isa) {
            for rectified in [Rectified::Neither, Rectified::Before(0.0), Rectified::After(0.3)] {
                let norm = Norm { grid, epsilon: 1e-3, rectified };
                let (n, channels) = (grid.n * grid.pixels * grid.channels, grid.channels);
                let (mut rows, dy_rows) = (numbers(n, 1), numbers(n, 2));
                if rectified == Rectified::Before(0.0) {
                    rows.iter_mut().for_each(|x| *x = x.max(0.0));
                }
                let (gamma, beta) = (numbers(channels, 3), numbers(channels, 4));
                let (x, mut gradient) = (scattered(&grid, &rows), scattered(&grid, &dy_rows));
                let (mut y, mut mean, mut variance) = (vec![0.0; x.len()], vec![0.0; channels], vec![0.0; channels]);
                norm.forward(&x, [&gamma, &beta], &mut y, [&mut mean, &mut variance]);
                let (mut of_gamma, mut of_beta) = (vec![0.0; channels], vec![0.0; channels]);
                norm.backward([&x, &y], &gamma, [&mean, &variance], &mut gradient, [&mut of_gamma, &mut of_beta]);
                let mut evaluated = x.clone();
                norm.evaluate(&mut evaluated, [&gamma, &beta], [&mean, &variance]);
                let (ours, evaluated) = (gathered(&grid, &y), gathered(&grid, &evaluated));
                let ours_back = gathered(&grid, &gradient);
                for c in 0..channels {
                    let what = format!("channel {c} of {grid:?}, {rectified:?}");
                    let (x, dy) = (channel(&grid, &rows, c), channel(&grid, &dy_rows, c));
                    let count = x.len() as f64;
                    let centre = x.iter().sum::<f64>() / count;
                    let spread = x.iter().map(|x| (x - centre).powi(2)).sum::<f64>() / count;
                    assert_close(&what, &[mean[c], variance[c]], &[centre, spread]);
                    let scale = 1.0 / (spread + 1e-3).sqrt();
                    let normal: Vec<_> = x.iter().map(|x| (x - centre) * scale).collect();
                    let (gamma, beta) = (f64::from(gamma[c]), f64::from(beta[c]));
                    let leak = if rectified == Rectified::After(0.3) { 0.3 } else { 1.0 };
                    let plain: Vec<_> = normal.iter().map(|x| gamma * x + beta).collect();
                    let y: Vec<_> = plain.iter().map(|y| if *y > 0.0 { *y } else { leak * y }).collect();
                    let ours: Vec<_> = channel(&grid, &ours, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &ours, &y);
                    let again: Vec<_> = channel(&grid, &evaluated, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &again, &y);
                    let dy: Vec<_> = dy.iter().zip(&plain).map(|(d, y)| if *y > 0.0 { *d } else { leak * d }).collect();
                    let sum = dy.iter().sum::<f64>();
                    let products = dy.iter().zip(&normal).map(|(d, x)| d * x).sum::<f64>();
                    assert_close(&what, &[of_beta[c], of_gamma[c]], &[sum, products]);
                    let through = |(d, (n, x)): (&f64, (&f64, &f64))| {
                        let dx = gamma * scale * (d - sum / count - n * products / count);
                        if rectified == Rectified::Before(0.0) && *x <= 0.0 { 0.0 } else { dx }
                    };
                    let dx: Vec<_> = dy.iter().zip(normal.iter().zip(&x)).map(through).collect();
                    let ours: Vec<_> = channel(&grid, &ours_back, c).into_iter().map(|y| y as f32).collect();
                    assert_close(&what, &ours, &dx);
                }
                grid.clear_spare(&mut y);
                let spare_is_zero = |values: &[f32]| {
                    let mut clean = values.to_vec();
                    grid.clear_spare(&mut clean);
                    clean == values
                };
                assert!(spare_is_zero(&gradient), "{grid:?}");
            }
        }
    }
}

#[test]
fn pooling_gives_the_gradient_to_the_first_greatest() {
    for isa in Isa::all() {
        for side in [4, 5, 7] {
            let grid = Grid::blocked(isa, 6, 3, side * side);
            // Few values, so that there are ties.
            let rows: Vec<_> = numbers(grid.n * 3 * side * side, 5).iter().map(|x| (x * 2.0).round()).collect();
            let half = side / 2;
            let pooled = Grid::blocked(isa, 6, 3, half * half);
            let dy_rows = numbers(6 * 3 * half * half, 6);
            let (mut y, mut dx) = (vec![0f64; dy_rows.len()], vec![0f64; rows.len()]);
            for (i, (y, dy)) in y.iter_mut().zip(&dy_rows).enumerate() {
                let (plane, row, column) = (i / (half * half), i % (half * half) / half, i % half);
                let four = [0, 1, side, side + 1].map(|at| plane * side * side + 2 * row * side + 2 * column + at);
                let mut first = four[0];
                four.iter().for_each(|at| first = if rows[*at] > rows[first] { *at } else { first });
                *y = f64::from(rows[first]);
                dx[first] = f64::from(*dy);
            }
            let x = scattered(&grid, &rows);
            let (mut ours, mut ours_back) = (vec![0.0; pooled.len()], vec![7.0; x.len()]);
            inkling_kernels::pool(&grid, side, &x, &mut ours);
            assert_close("pooled", &gathered(&pooled, &ours), &y);
            inkling_kernels::pool_backward(&grid, side, &x, &scattered(&pooled, &dy_rows), &mut ours_back);
            assert_close("gradient", &gathered(&grid, &ours_back), &dx);
        }
    }
}

#[test]
fn dense_layers_in_all_directions() {
    for isa in Isa::all() {
        let (n, inputs, units) = (21, 37, 12);
        let dense = Dense { input: Grid::flat(isa, n, inputs), output: Grid::flat(isa, n, units) };
        let (x, weights, dy) = (numbers(n * inputs, 1), numbers(units * inputs, 2), numbers(n * units, 3));
        let (mut y, mut dx, mut dw) = (vec![0f64; n * units], vec![0f64; n * inputs], vec![0f64; units * inputs]);
        for (n, u, i) in (0..n).flat_map(|n| (0..units).flat_map(move |u| (0..inputs).map(move |i| (n, u, i)))) {
            let (x_at, y_at, w_at) = (n * inputs + i, n * units + u, u * inputs + i);
            y[y_at] += f64::from(weights[w_at]) * f64::from(x[x_at]);
            dx[x_at] += f64::from(weights[w_at]) * f64::from(dy[y_at]);
            dw[w_at] += f64::from(x[x_at]) * f64::from(dy[y_at]);
        }
        let (x, dy) = (scattered(&dense.input, &x), scattered(&dense.output, &dy));
        let mut ours = vec![0.0; dense.output.len()];
        dense.forward(&x, &weights, &mut ours);
        assert_close("forward", &gathered(&dense.output, &ours), &y);
        let mut ours = vec![0.0; dense.input.len()];
        dense.input_gradient(&dy, &weights, &mut ours);
        assert_close("input gradient", &gathered(&dense.input, &ours), &dx);
        let mut ours = vec![0.0; weights.len()];
        dense.weights_gradient(&x, &dy, &mut ours);
        assert_close("weights' gradient", &ours, &dw);
    }
}

#[test]
fn flattening_keeps_every_number() {
    for isa in Isa::all() {
        let grid = Grid::blocked(isa, 21, 3, 4);
        let rows = numbers(21 * 12, 9);
        let blocked = scattered(&grid, &rows);
        let mut flat = vec![0.0; blocked.len()];
        let flat_grid = grid.flatten(&blocked, &mut flat);
        assert_eq!(gathered(&flat_grid, &flat), rows);
        let mut back = vec![0.0; blocked.len()];
        grid.unflatten(&flat, &mut back);
        assert_eq!(back, blocked);
    }
}

#[test]
fn every_number_by_itself() {
    for isa in Isa::all() {
        let grid = Grid::blocked(isa, 13, 3, 5);
        let rows = numbers(13 * 15, 1);
        let (values, factors) = (scattered(&grid, &rows), scattered(&grid, &numbers(13 * 15, 2)));
        let rectified: Vec<f32> = values.iter().map(|x| if *x > 0.0 { *x } else { 0.3 * x }).collect();
        let mut gradient = factors.clone();
        inkling_kernels::rectify_backward(isa, &rectified, &mut gradient, 0.3);
        let expected = |(x, d): (&f32, &f32)| if *x > 0.0 { *d } else { 0.3 * d };
        assert!(gradient.iter().zip(values.iter().zip(&factors).map(expected)).all(|(a, b)| *a == b));
        let mut sums = vec![0.0; 3];
        inkling_kernels::sum_channels(&grid, &values, &mut sums);
        for (c, sum) in sums.iter().enumerate() {
            assert_close("sum", &[*sum], &[channel(&grid, &rows, c).iter().sum()]);
        }
        let mut biased = values.clone();
        inkling_kernels::add_bias(&grid, &mut biased, &[0.5, -0.5, 0.0], 0.0);
        let expected = |(i, x): (usize, &f32)| f64::from((x + [0.5, -0.5, 0.0][i / 5 % 3]).max(0.0));
        assert_close("biased", &gathered(&grid, &biased), &rows.iter().enumerate().map(expected).collect::<Vec<_>>());
    }
}
