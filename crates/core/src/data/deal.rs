//! Deals a data set's images anew, as Kaggle did with MNIST's 70,000. Never changes an image or parts it from its label.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::{Dataset, Split};
use crate::spec::IMAGE_PIXELS;

/// How many images each part is dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    pub n_train: usize,
    pub n_validation: usize,
    pub n_test: usize,
}

impl Deal {
    /// Kaggle's proportions: six tenths of the images have their labels published, and a tenth of those validate.
    /// Of 70,000 images, 37,800 train, 4,200 validate and 28,000 test. Every image is dealt.
    pub fn kaggle(n_images: usize) -> Self {
        let n_labelled = tenths(6, n_images);
        let n_train = tenths(9, n_labelled);
        Self { n_train, n_validation: n_labelled - n_train, n_test: n_images - n_labelled }
    }
}

/// So many tenths of a number, rounded.
fn tenths(tenths: usize, number: usize) -> usize {
    (number * tenths + 5) / 10
}

impl Dataset {
    /// All images, shuffled by the seed and dealt in [`Deal::kaggle`]'s proportions; the same on every platform.
    /// Test images keep their labels, to be judged by. Where there are too few images to validate on, there is no
    /// validation split.
    pub fn dealt(self, seed: u64) -> Self {
        let mut images = self.train;
        images.append(self.validation.unwrap_or_default());
        images.append(self.test);
        let deal = Deal::kaggle(images.len());
        let order = order(seed, images.len());
        let (train, rest) = order.split_at(deal.n_train);
        let (validation, test) = rest.split_at(deal.n_validation);
        Self {
            id: self.id,
            train: pick(&images, train),
            validation: (!validation.is_empty()).then(|| pick(&images, validation)),
            test: pick(&images, test),
        }
    }
}

impl Split {
    /// Nine tenths to train and one to validate, as Kaggle's labelled images are usually divided; always the same way.
    pub fn parted(self) -> (Self, Self) {
        /// Any seed would do.
        const SEED: u64 = 1;
        let order = order(SEED, self.len());
        let (train, rest) = order.split_at(tenths(9, self.len()));
        (pick(&self, train), pick(&self, rest))
    }
}

/// A shuffled order of `n_images`.
fn order(seed: u64, n_images: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_images).collect();
    order.shuffle(&mut Pcg64Mcg::seed_from_u64(seed));
    order
}

/// The images at `indices`, with their labels.
fn pick(from: &Split, indices: &[usize]) -> Split {
    let mut picked = Split { images: Vec::with_capacity(indices.len() * IMAGE_PIXELS), labels: Vec::new() };
    for &index in indices {
        picked.images.extend_from_slice(from.image(index));
        picked.labels.push(from.labels[index]);
    }
    picked
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::spec::DatasetId;

    /// Images that carry their number in their first two pixels, and the last digit of it as label.
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
    fn seventy_thousand_are_dealt_as_kaggle_did() {
        assert_eq!(Deal::kaggle(70_000), Deal { n_train: 37_800, n_validation: 4_200, n_test: 28_000 });
        assert_eq!(Deal::kaggle(22_000), Deal { n_train: 11_880, n_validation: 1_320, n_test: 8_800 });
        assert_eq!(Deal::kaggle(10), Deal { n_train: 5, n_validation: 1, n_test: 4 });
    }

    #[test]
    fn every_image_is_dealt_whatever_their_number() {
        for n in 0..500 {
            let Deal { n_train, n_validation, n_test } = Deal::kaggle(n);
            assert_eq!(n_train + n_validation + n_test, n);
            let near = |count: usize, share: f64| (count as f64 - n as f64 * share).abs() <= 1.0;
            assert!(near(n_train, 0.54) && near(n_validation, 0.06) && near(n_test, 0.4), "{n}");
        }
    }

    #[test]
    fn parts_are_disjoint_and_miss_nothing() {
        let dealt = dataset(600, 100).dealt(1);
        assert_eq!(parts(&dealt).map(Split::len), [378, 42, 280]);
        let all: BTreeSet<usize> = parts(&dealt).into_iter().flat_map(numbers).collect();
        assert_eq!(all, (0..700).collect());
    }

    #[test]
    fn labels_travel_with_their_images() {
        for part in parts(&dataset(600, 100).dealt(1)) {
            let labels: Vec<u8> = numbers(part).iter().map(|number| (number % 10) as u8).collect();
            assert_eq!(part.labels, labels);
        }
    }

    #[test]
    fn old_parts_are_mixed() {
        let dealt = dataset(600, 100).dealt(1);
        let n_old_test = parts(&dealt).map(|part| numbers(part).into_iter().filter(|&number| number >= 600).count());
        assert_eq!(n_old_test.iter().sum::<usize>(), 100);
        // A seventh of each.
        assert!((44..64).contains(&n_old_test[0]) && (1..14).contains(&n_old_test[1]), "{n_old_test:?}");
    }

    #[test]
    fn a_seed_decides_and_another_decides_otherwise() {
        assert_eq!(dataset(60, 10).dealt(7), dataset(60, 10).dealt(7));
        assert_ne!(dataset(60, 10).dealt(7), dataset(60, 10).dealt(8));
        // The same on every platform and with every release: runs are compared by their seed.
        assert_eq!(order(1, 70_000)[..4], [58_855, 18_868, 40_916, 5_353]);
    }

    #[test]
    fn images_that_validated_are_dealt_again() {
        let whole = dataset(60, 10);
        let mut parted = whole.clone();
        (parted.train, parted.validation) = (split(0..50), Some(split(50..60)));
        assert_eq!(parted.dealt(3), whole.dealt(3));
    }

    #[test]
    fn too_few_images_leave_none_to_validate_on() {
        let dealt = dataset(2, 1).dealt(1);
        assert_eq!((dealt.train.len(), dealt.validation, dealt.test.len()), (2, None, 1));
    }
}
