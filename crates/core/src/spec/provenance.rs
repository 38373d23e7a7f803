//! Where the weights of a network come from: which images it has learned, and which program trained it.

use serde::{Deserialize, Serialize};

use super::{DatasetId, SplitId, TrainSpec};

/// The origin of weights, as their file states it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The data set that was learned.
    pub dataset: DatasetId,
    /// How its images were split.
    pub split: SplitId,
    /// Seed of the shuffle of [`SplitId::Kaggle`].
    pub split_seed: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Hash of the sources of the program that trained, in hexadecimal.
    pub build: String,
}

impl Provenance {
    /// The origin of weights that a program of this build trains by these settings, on this data set: it is another
    /// than the one of the settings where that was not available.
    pub fn of(spec: &TrainSpec, dataset: &DatasetId, build: &str) -> Self {
        let TrainSpec { split, split_seed, seed, .. } = *spec;
        Self { dataset: dataset.clone(), split, split_seed, seed, build: build.into() }
    }

    /// Whether the test images of this data set and split can be among the images learned: the same data set was split
    /// in another way.
    pub fn overlaps(&self, dataset: &DatasetId, split: SplitId, split_seed: u64) -> bool {
        let same_split = match split {
            SplitId::Published => self.split == split,
            SplitId::Kaggle => self.split == split && self.split_seed == split_seed,
        };
        self.dataset == *dataset && !same_split
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_split_of_the_same_data_set_overlaps() {
        let trained = |split, split_seed| {
            let spec = TrainSpec { split, split_seed, ..TrainSpec::default() };
            Provenance::of(&spec, &DatasetId::Mnist, "b")
        };
        let (published, kaggle) = (trained(SplitId::Published, 1), trained(SplitId::Kaggle, 1));
        assert!(!published.overlaps(&DatasetId::Mnist, SplitId::Published, 9), "that split has no seed");
        assert!(published.overlaps(&DatasetId::Mnist, SplitId::Kaggle, 1));
        assert!(!kaggle.overlaps(&DatasetId::Mnist, SplitId::Kaggle, 1));
        assert!(kaggle.overlaps(&DatasetId::Mnist, SplitId::Kaggle, 2));
        assert!(kaggle.overlaps(&DatasetId::Mnist, SplitId::Published, 1));
        assert!(!kaggle.overlaps(&DatasetId::Synthetic, SplitId::Published, 1));
    }
}
