//! Data sets: images with labels, the formats they are read from, splits and augmentation. It never opens a file or a
//! connection.

pub mod augment;
pub mod csv;
pub mod idx;
pub mod mnist;
pub mod shift;
pub mod split;
pub mod synthetic;
pub mod user_files;

use std::ops::Range;

use crate::spec::{DatasetId, IMAGE_PIXELS};

/// One split of a data set: images with their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// 784 bytes per image, row by row; 0 is paper, 255 is ink.
    pub images: Vec<u8>,
    /// One label per image, 0 to 9.
    pub labels: Vec<u8>,
}

impl Split {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
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

    /// The pixels of a range of images, 784 bytes each.
    ///
    /// # Panics
    /// When the range ends above [`Split::len`].
    pub fn pixels(&self, range: Range<usize>) -> &[u8] {
        &self.images[range.start * IMAGE_PIXELS..range.end * IMAGE_PIXELS]
    }

    /// Appends the images and labels of another split.
    pub fn append(&mut self, mut other: Self) {
        self.images.append(&mut other.images);
        self.labels.append(&mut other.labels);
    }

    /// Keeps only the first `limit` images; `None` keeps all.
    pub fn limit(&mut self, limit: Option<usize>) {
        let n_images = limit.unwrap_or(usize::MAX).min(self.len());
        self.images.truncate(n_images * IMAGE_PIXELS);
        self.labels.truncate(n_images);
    }
}

/// A data set with its splits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The id of the data set.
    pub id: DatasetId,
    /// Training images.
    pub train: Split,
    /// Validation images; `None` when the test images are used for validation, as in the published runs.
    pub validation: Option<Split>,
    /// Test images.
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
