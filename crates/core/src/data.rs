//! Images and labels: what a network learns from. Never touches the network or the file system.

pub mod augment;
pub mod csv;
pub mod deal;
pub mod dropped;
pub mod idx;
pub mod mnist;
pub mod shift;
pub mod synthetic;

use crate::spec::{DatasetId, IMAGE_PIXELS};

/// Images with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// 784 bytes an image, row by row; 0 is paper, 255 is ink.
    pub images: Vec<u8>,
    /// One digit an image, 0 to 9.
    pub labels: Vec<u8>,
}

impl Split {
    /// Images in the split.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The 784 pixels of one image.
    ///
    /// # Panics
    /// When `index` is not below [`Split::len`].
    pub fn image(&self, index: usize) -> &[u8] {
        &self.images[index * IMAGE_PIXELS..][..IMAGE_PIXELS]
    }

    /// Takes the images of another split in, behind its own.
    pub fn append(&mut self, mut other: Self) {
        self.images.append(&mut other.images);
        self.labels.append(&mut other.labels);
    }

    /// Keeps the first `limit` images, if there is a limit.
    pub fn limit(&mut self, limit: Option<usize>) {
        let kept = limit.unwrap_or(usize::MAX).min(self.len());
        self.images.truncate(kept * IMAGE_PIXELS);
        self.labels.truncate(kept);
    }
}

/// Images to learn from, and images to be judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    pub id: DatasetId,
    pub train: Split,
    /// Images to validate on after each epoch; `None` when the test images serve for that, as in the published runs.
    pub validation: Option<Split>,
    pub test: Split,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_keeps_the_first_images() {
        let images = [[1; IMAGE_PIXELS], [2; IMAGE_PIXELS]].concat();
        let mut split = Split { images, labels: vec![3, 4] };
        split.limit(None);
        split.limit(Some(9));
        assert_eq!((split.len(), split.image(1)), (2, &[2; IMAGE_PIXELS][..]));
        split.limit(Some(1));
        assert_eq!((split.labels.as_slice(), split.images.len()), (&[3][..], IMAGE_PIXELS));
    }
}
