//! Shifts images by whole pixels, for averaging the predictions of an image and its shifted copies. It never
//! interpolates.

use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE};

/// Shifts in pixels to the right and down: no shift, and one pixel in each of the four directions.
pub const AROUND: [(isize, isize); 5] = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)];

/// Shifts each image by `right` and `down` pixels. Pixels shifted out of the image are lost; the freed border is paper
/// (0). `images` holds 784 bytes per image.
pub fn shifted(images: &[u8], (right, down): (isize, isize)) -> Vec<u8> {
    let source = |index: usize, by: isize| index.checked_add_signed(-by).filter(|index| *index < IMAGE_SIDE);
    let pixel = |image: &[u8], index: usize| {
        let from = (source(index / IMAGE_SIDE, down), source(index % IMAGE_SIDE, right));
        if let (Some(row), Some(column)) = from { image[row * IMAGE_SIDE + column] } else { 0 }
    };
    images.chunks(IMAGE_PIXELS).flat_map(|image| (0..IMAGE_PIXELS).map(move |index| pixel(image, index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_shifted_and_its_border_is_paper() {
        let images: Vec<u8> = (0..2 * IMAGE_PIXELS).map(|i| (i % 251) as u8 + 1).collect();
        assert_eq!(shifted(&images, (0, 0)), images);
        let pixel = |images: &[u8], row: usize, column: usize| images[IMAGE_PIXELS + row * IMAGE_SIDE + column];
        let moved = shifted(&images, (1, -2));
        assert_eq!(pixel(&moved, 5, 7), pixel(&images, 7, 6));
        assert_eq!((pixel(&moved, 5, 0), pixel(&moved, 26, 7), pixel(&moved, 27, 27)), (0, 0, 0));
        assert_eq!(pixel(&moved, 25, 27), pixel(&images, 27, 26));
    }
}
