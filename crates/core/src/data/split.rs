//! Shuffles and splits the images of a data set in the proportions of Kaggle's split of MNIST. It never changes an
//! image and never separates it from its label.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::{Dataset, Split};
use crate::spec::{IMAGE_PIXELS, SplitId};

/// Sizes of the splits, in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Number of training images.
    pub n_train: usize,
    /// Number of validation images.
    pub n_validation: usize,
    /// Number of test images.
    pub n_test: usize,
}

impl Partition {
    /// Kaggle's proportions: Kaggle published the labels of six tenths of the images, and a tenth of those is used for
    /// validation. 70,000 images are split into 37,800 for training, 4,200 for validation and 28,000 for test. The
    /// sizes always add up to `n_images`.
    pub fn kaggle(n_images: usize) -> Self {
        let n_labelled = tenths(6, n_images);
        let n_train = tenths(9, n_labelled);
        Self { n_train, n_validation: n_labelled - n_train, n_test: n_images - n_labelled }
    }
}

/// `tenths` tenths of a number, rounded.
fn tenths(tenths: usize, number: usize) -> usize {
    (number * tenths + 5) / 10
}

impl Dataset {
    /// The data set split as `split` says; `seed` shuffles [`SplitId::Kaggle`].
    pub fn split(self, split: SplitId, seed: u64) -> Self {
        match split {
            SplitId::Published => self,
            SplitId::Kaggle => self.resplit(seed),
        }
    }

    /// Shuffles all images with the seed and splits them in the proportions of [`Partition::kaggle`]. The result is the
    /// same on every platform. Test images keep their labels. Where the validation split would be empty, it is `None`.
    pub fn resplit(self, seed: u64) -> Self {
        let mut images = self.train;
        images.append(self.validation.unwrap_or_default());
        images.append(self.test);
        let partition = Partition::kaggle(images.len());
        let order = shuffled(seed, images.len());
        let (train, rest) = order.split_at(partition.n_train);
        let (validation, test) = rest.split_at(partition.n_validation);
        Self {
            id: self.id,
            train: select(&images, train),
            validation: (!validation.is_empty()).then(|| select(&images, validation)),
            test: select(&images, test),
        }
    }
}

impl Split {
    /// Shuffles the images and returns nine tenths for training and one tenth for validation, as Kaggle's labelled
    /// images are usually split. The result is always the same.
    pub fn split_for_validation(self) -> (Self, Self) {
        /// Arbitrary, but fixed, so that every run sees the same split.
        const SEED: u64 = 1;
        let order = shuffled(SEED, self.len());
        let (train, rest) = order.split_at(tenths(9, self.len()));
        (select(&self, train), select(&self, rest))
    }
}

/// The indices of `n_images` images in shuffled order.
fn shuffled(seed: u64, n_images: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_images).collect();
    order.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    order
}

/// The images at `indices`, with their labels.
fn select(from: &Split, indices: &[usize]) -> Split {
    let mut selected = Split { images: Vec::with_capacity(indices.len() * IMAGE_PIXELS), labels: Vec::new() };
    for &index in indices {
        selected.images.extend_from_slice(from.image(index));
        selected.labels.push(from.labels[index]);
    }
    selected
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spec::DatasetId;

    /// Images that hold their number in the first two pixels and are labelled with its last digit.
    fn split(numbers: std::ops::Range<usize>) -> Split {
        let mut split = Split::default();
        for number in numbers {
            let mut image = [0; IMAGE_PIXELS];
            [image[0], image[1]] = (number as u16).to_be_bytes();
            split.images.extend(image);
            split.labels.push((number % 10) as u8);
        }
        split
    }

    fn dataset(n_train: usize, n_test: usize) -> Dataset {
        let (train, test) = (split(0..n_train), split(n_train..n_train + n_test));
        Dataset { id: DatasetId::Mnist, train, validation: None, test }
    }

    fn numbers(split: &Split) -> Vec<usize> {
        let number = |image: &[u8]| usize::from(image[0]) << 8 | usize::from(image[1]);
        split.images.chunks_exact(IMAGE_PIXELS).map(number).collect()
    }

    fn parts(dataset: &Dataset) -> [&Split; 3] {
        [&dataset.train, dataset.validation.as_ref().unwrap(), &dataset.test]
    }

    #[test]
    fn seventy_thousand_images_are_split_as_on_kaggle() {
        assert_eq!(Partition::kaggle(70_000), Partition { n_train: 37_800, n_validation: 4_200, n_test: 28_000 });
        assert_eq!(Partition::kaggle(22_000), Partition { n_train: 11_880, n_validation: 1_320, n_test: 8_800 });
        assert_eq!(Partition::kaggle(10), Partition { n_train: 5, n_validation: 1, n_test: 4 });
    }

    #[test]
    fn sizes_add_up_for_any_number_of_images() {
        for n in 0..500 {
            let Partition { n_train, n_validation, n_test } = Partition::kaggle(n);
            assert_eq!(n_train + n_validation + n_test, n);
            let near = |count: usize, fraction: f64| (count as f64 - n as f64 * fraction).abs() <= 1.0;
            assert!(near(n_train, 0.54) && near(n_validation, 0.06) && near(n_test, 0.4), "{n}");
        }
    }

    #[test]
    fn splits_are_disjoint_and_complete() {
        let resplit = dataset(600, 100).resplit(1);
        assert_eq!(parts(&resplit).map(Split::len), [378, 42, 280]);
        let all: BTreeSet<usize> = parts(&resplit).into_iter().flat_map(numbers).collect();
        assert_eq!(all, (0..700).collect());
    }

    #[test]
    fn images_keep_their_labels() {
        for part in parts(&dataset(600, 100).resplit(1)) {
            let labels: Vec<u8> = numbers(part).iter().map(|number| (number % 10) as u8).collect();
            assert_eq!(part.labels, labels);
        }
    }

    #[test]
    fn training_and_test_images_are_mixed() {
        let resplit = dataset(600, 100).resplit(1);
        let n_old_test = parts(&resplit).map(|part| numbers(part).into_iter().filter(|&number| number >= 600).count());
        assert_eq!(n_old_test.iter().sum::<usize>(), 100);
        // 378 and 42 images, a seventh of which were test images: about 54 and 6.
        assert!((44..64).contains(&n_old_test[0]) && (1..14).contains(&n_old_test[1]), "{n_old_test:?}");
    }

    #[test]
    fn the_seed_determines_the_split() {
        assert_eq!(dataset(60, 10).resplit(7), dataset(60, 10).resplit(7));
        assert_ne!(dataset(60, 10).resplit(7), dataset(60, 10).resplit(8));
        // Must stay the same on every platform and in every release: runs are compared by their seed.
        assert_eq!(shuffled(1, 70_000)[..4], [58_855, 18_868, 40_916, 5_353]);
    }

    #[test]
    fn an_existing_validation_split_is_included() {
        let whole = dataset(60, 10);
        let mut with_validation = whole.clone();
        (with_validation.train, with_validation.validation) = (split(0..50), Some(split(50..60)));
        assert_eq!(with_validation.resplit(3), whole.resplit(3));
    }

    #[test]
    fn too_few_images_leave_no_validation_split() {
        let resplit = dataset(2, 1).resplit(1);
        assert_eq!((resplit.train.len(), resplit.validation, resplit.test.len()), (2, None, 1));
    }
}
