//! Converts a PNG picture of a digit to an image prepared as MNIST's are: light ink on dark paper, fitted into 20×20
//! pixels, centred by mass in 28×28. It never predicts.

use std::path::Path;

use anyhow::{Context, Result, bail};
use image::imageops::{self, FilterType};
use image::{GrayImage, Luma};
use inkling_core::spec::IMAGE_SIDE;

/// Side of the box that ink is fitted into, in pixels.
const BOX_SIDE: u32 = 20;
/// Least brightness of an ink pixel, of 255, after paper was made dark.
const INK: u8 = 32;

/// Reads a picture from disk and returns 784 bytes, row by row: 0 is paper and 255 is ink.
///
/// # Errors
/// When the file is not a readable PNG, or contains no ink.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let named = || format!("cannot read {}; give a PNG picture of one digit", path.display());
    let picture = image::open(path).with_context(named)?.into_luma8();
    prepare(picture).with_context(named)
}

fn prepare(mut picture: GrayImage) -> Result<Vec<u8>> {
    if border_mean(&picture) > 127.0 {
        imageops::invert(&mut picture);
    }
    let Some((x, y, width, height)) = ink_box(&picture) else { bail!("there is no ink in the picture") };
    let ink = imageops::crop_imm(&picture, x, y, width, height).to_image();
    let scale = f64::from(BOX_SIDE) / f64::from(width.max(height));
    let scale_pixels = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, BOX_SIDE);
    // When it shrinks a picture, Triangle averages over all source pixels of each target pixel, as a box filter does.
    let small = imageops::resize(&ink, scale_pixels(width), scale_pixels(height), FilterType::Triangle);
    Ok(centred(&small))
}

/// Mean brightness of the border pixels, which is taken for the paper's.
fn border_mean(picture: &GrayImage) -> f64 {
    let (width, height) = picture.dimensions();
    let on_border = |x: u32, y: u32| x == 0 || y == 0 || x + 1 == width || y + 1 == height;
    let border: Vec<f64> =
        picture.enumerate_pixels().filter(|(x, y, _)| on_border(*x, *y)).map(|(_, _, p)| f64::from(p[0])).collect();
    border.iter().sum::<f64>() / border.len().max(1) as f64
}

/// Left, top, width and height of the bounding box of the ink, in pixels; `None` without ink.
fn ink_box(picture: &GrayImage) -> Option<(u32, u32, u32, u32)> {
    let inked = || picture.enumerate_pixels().filter(|(_, _, p)| p[0] >= INK);
    let (left, right) = (inked().map(|p| p.0).min()?, inked().map(|p| p.0).max()?);
    let (top, bottom) = (inked().map(|p| p.1).min()?, inked().map(|p| p.1).max()?);
    Some((left, top, right - left + 1, bottom - top + 1))
}

/// Places the ink on a 28×28 image so that its centre of mass is in the middle, rounded to whole pixels.
fn centred(small: &GrayImage) -> Vec<u8> {
    let mass: f64 = small.pixels().map(|p| f64::from(p[0])).sum::<f64>().max(1.0);
    let centre = |axis: fn(u32, u32) -> u32| {
        small.enumerate_pixels().map(|(x, y, p)| (f64::from(axis(x, y)) + 0.5) * f64::from(p[0])).sum::<f64>() / mass
    };
    let shift = |centre: f64| (IMAGE_SIDE as f64 / 2.0 - centre).round() as i64;
    let mut image = GrayImage::from_pixel(IMAGE_SIDE as u32, IMAGE_SIDE as u32, Luma([0]));
    imageops::replace(&mut image, small, shift(centre(|x, _| x)), shift(centre(|_, y| y)));
    image.into_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An off-centre bar with brightness `ink` on a background with brightness `paper`.
    fn bar(paper: u8, ink: u8) -> GrayImage {
        GrayImage::from_fn(100, 120, |x, y| {
            Luma([if (10..20).contains(&x) && (20..100).contains(&y) { ink } else { paper }])
        })
    }

    #[test]
    fn dark_on_light_equals_light_on_dark() {
        assert_eq!(prepare(bar(255, 0)).unwrap(), prepare(bar(0, 255)).unwrap());
    }

    #[test]
    fn ink_fills_the_middle_twenty_rows() {
        let image = prepare(bar(250, 20)).unwrap();
        let rows: Vec<_> = image.chunks(IMAGE_SIDE).enumerate().filter(|(_, r)| r.iter().any(|p| *p > 100)).collect();
        assert_eq!((rows.first().unwrap().0, rows.last().unwrap().0), (4, 23));
    }

    #[test]
    fn an_empty_picture_is_refused() {
        assert!(prepare(GrayImage::from_pixel(28, 28, Luma([255]))).is_err());
    }
}
