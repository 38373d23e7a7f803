//! The weights' gradient of a convolution: sums over pixels and images, with whole windows of a few filters in
//! registers.

use cubecl::prelude::*;

use super::{Vec4, row_pixels};

/// Partial sums of the weights' gradient. An invocation computes the windows of `4 · tile` filters in one channel, over
/// the images of one image group and the output rows of one slice.
///
/// - `input`: `[channels, height, width, n]`, padded
/// - `gradient`: that of the output, `[filters, rows, columns, n]`
/// - `partial`: `[slices, image_groups, channels, kernel, kernel, filters]`, with the filters rounded up to vectors
/// - `pixels`: neighbouring output pixels that are handled at a time
#[cube(launch_unchecked)]
pub fn window_products(
    input: &[f32],
    gradient: &[f32],
    partial: &mut [Vec4],
    n: usize,
    channels: usize,
    filters: usize,
    height: usize,
    width: usize,
    rows: usize,
    columns: usize,
    image_groups: usize,
    slices: usize,
    #[comptime] kernel: usize,
    #[comptime] stride: usize,
    #[comptime] pixels: usize,
    #[comptime] tile: usize,
) {
    let image_group = ABSOLUTE_POS % image_groups;
    let rest = ABSOLUTE_POS / image_groups;
    let slice = rest % slices;
    let channel = rest / slices % channels;
    let group = rest / slices / channels;
    let vectors = (filters + 3) / 4;
    if group * tile >= vectors {
        terminate!();
    }
    let mut totals = Sequence::<RuntimeCell<Vec4>>::new();
    #[unroll]
    for _i in 0..comptime![kernel * kernel * tile] {
        totals.push(RuntimeCell::<Vec4>::new(Vec4::new(0.0)));
    }
    // Offsets of the gradients of the group's filters. Past the last filter, the last one is repeated.
    let mut planes = Sequence::<usize>::new();
    #[unroll]
    for i in 0..comptime![tile * 4] {
        planes.push(min(group * tile * 4 + i, filters - 1) * rows * columns * n);
    }
    let line_len = comptime![(pixels - 1) * stride + kernel];
    let mut image = image_group;
    while image < n {
        let mut row = slice;
        while row < rows {
            for chunk in 0..(columns + pixels - 1) / pixels {
                let column = chunk * pixels;
                let mut gradients = Sequence::<Vec4>::new();
                #[unroll]
                for vector in 0..tile {
                    #[unroll]
                    for pixel in 0..pixels {
                        let at = (row * columns + min(column + pixel, columns - 1)) * n + image;
                        let inside = column + pixel < columns;
                        let mut vec4 = Vec4::new(0.0);
                        #[unroll]
                        for lane in 0..4usize {
                            let plane = planes[comptime![vector * 4 + lane]];
                            vec4.insert(lane, select(inside, gradient[plane + at], 0.0));
                        }
                        gradients.push(vec4);
                    }
                }
                #[unroll]
                for window_row in 0..kernel {
                    let line = row_pixels(
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
                                sum += gradients[comptime![vector * pixels + pixel]] * Vec4::new(value);
                            }
                            total.store(sum);
                        }
                    }
                }
            }
            row += slices;
        }
        image += image_groups;
    }
    let start = ((slice * image_groups + image_group) * channels + channel) * kernel * kernel;
    #[unroll]
    for tap in 0..comptime![kernel * kernel] {
        #[unroll]
        for vector in 0..tile {
            let total = &totals[comptime![tap * tile + vector]];
            partial[(start + tap) * vectors + group * tile + vector] = total.read();
        }
    }
}

/// Adds up the parts of [`window_products`]: `[parts, taps, padded]` to `[filters, taps]`, where `padded` is the number
/// of filters rounded up to vectors. An invocation computes one weight.
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
