//! Sums over pixels and images, whole windows of a few filters in registers: the weights' gradient.

use cubecl::prelude::*;

use super::{Four, line};

#[cube(launch_unchecked)]
pub fn window_products(
    input: &[f32],
    gradient: &[f32],
    partial: &mut [Four],
    n: usize,
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    shares: usize,
    slices: usize,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] pixels: usize,
    #[comptime] tile: usize,
) {
    let share = ABSOLUTE_POS % shares;
    let rest = ABSOLUTE_POS / shares;
    let slice = rest % slices;
    let channel = rest / slices % channels;
    let group = rest / slices / channels;
    let vectors = (filters + 3) / 4;
    if group * tile >= vectors {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Four>>::new();
    #[unroll]
    for _i in 0..comptime![kernel * kernel * tile] {
        totals.push(RuntimeCell::<Four>::new(Four::new(0.0)));
    }
    // Where the gradients of the group's filters begin; beyond the last one, the last one again.
    let mut planes = Sequence::<usize>::new();
    #[unroll]
    for i in 0..comptime![tile * 4] {
        planes.push(min(group * tile * 4 + i, filters - 1) * rows * columns * n);
    }
    let line_len = comptime![(pixels - 1) * stride + kernel];
    let mut image = share;
    while image < n {
        let mut row = slice;
        while row < rows {
            for chunk in 0..(columns + pixels - 1) / pixels {
                let column = chunk * pixels;
                let mut slopes = Sequence::<Four>::new();
                #[unroll]
                for vector in 0..tile {
                    #[unroll]
                    for pixel in 0..pixels {
                        let at = (row * columns + min(column + pixel, columns - 1)) * n + image;
                        let inside = column + pixel < columns;
                        let mut four = Four::new(0.0);
                        #[unroll]
                        for lane in 0..4usize {
                            let plane = planes[comptime![vector * 4 + lane]];
                            four.insert(lane, select(inside, gradient[plane + at], 0.0));
                        }
                        slopes.push(four);
                    }
                }
                #[unroll]
                for window_row in 0..kernel {
                    let line = line(
                        input,
                        (channel * height + row * stride + window_row) * width,
                        column * stride,
                        width,
                        n,
                        image,
                        line_len,
                    );
                    #[unroll]
                    for window_column in 0..kernel {
                        #[unroll]
                        for vector in 0..tile {
                            let total = &totals[comptime![(window_row * kernel + window_column) * tile + vector]];
                            let mut sum = total.read();
                            #[unroll]
                            for pixel in 0..pixels {
                                let value = line[comptime![pixel * stride + window_column]];
                                sum += slopes[comptime![vector * pixels + pixel]] * Four::new(value);
                            }
                            total.store(sum);
                        }
                    }
                }
            }
            row += slices;
        }
        image += shares;
    }
    let start = ((slice * shares + share) * channels + channel) * kernel * kernel;
    #[unroll]
    for tap in 0..comptime![kernel * kernel] {
        #[unroll]
        for vector in 0..tile {
            let total = &totals[comptime![tap * tile + vector]];
            partial[(start + tap) * vectors + group * tile + vector] = total.read();
        }
    }
}

#[cube(launch_unchecked)]
pub fn fold_products(partial: &[f32], weights: &mut [f32], filters: usize, taps: usize, padded: usize, n_parts: usize) {
    let to = ABSOLUTE_POS;
    if to < filters * taps {
        let from = to % taps * padded + to / taps;
        let mut sum = f32::new(0.0);
        for part in 0..n_parts {
            sum += partial[part * taps * padded + from];
        }
        weights[to] = sum;
    }
}
