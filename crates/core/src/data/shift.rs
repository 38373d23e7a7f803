//! Images moved by whole pixels.

use crate::spec::{IMAGE_PIXELS, IMAGE_SIDE};

/// Steps to the right and down: none, and one to each side.
pub const AROUND: [(isize, isize); 5] = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)];

/// Images of 784 bytes each, every one moved by so many pixels to the right and down: what leaves it is lost, and what
/// comes in is paper.
pub fn shifted(images: &[u8], (right, down): (isize, isize)) -> Vec<u8> {
    let place = |at: usize, by: isize| at.checked_add_signed(-by).filter(|at| *at < IMAGE_SIDE);
    let pixel = |image: &[u8], at: usize| {
        let from = (place(at / IMAGE_SIDE, down), place(at % IMAGE_SIDE, right));
        if let (Some(row), Some(column)) = from { image[row * IMAGE_SIDE + column] } else { 0 }
    };
    images.chunks(IMAGE_PIXELS).flat_map(|image| (0..IMAGE_PIXELS).map(move |at| pixel(image, at))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_moved_and_paper_comes_in() {
        let images: Vec<u8> = (0..2 * IMAGE_PIXELS).map(|i| (i % 251) as u8 + 1).collect();
        assert_eq!(shifted(&images, (0, 0)), images);
        let at = |images: &[u8], row: usize, column: usize| images[IMAGE_PIXELS + row * IMAGE_SIDE + column];
        let moved = shifted(&images, (1, -2));
        assert_eq!(at(&moved, 5, 7), at(&images, 7, 6));
        assert_eq!((at(&moved, 5, 0), at(&moved, 26, 7), at(&moved, 27, 27)), (0, 0, 0));
        assert_eq!(at(&moved, 25, 27), at(&images, 27, 26));
    }
}
