//! The nouns every other module shares: plain values, no behaviour beyond parsing and printing.

/// Gives an enum of unit variants its stable ids, which appear in addresses, files and on the command line.
macro_rules! ids {
    ($(#[$doc:meta])* $name:ident, $kind:literal, { $($(#[$vdoc:meta])* $variant:ident = $id:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order in which people are offered them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable id.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.id())
            }
        }

        impl FromStr for $name {
            type Err = UnknownId;
            fn from_str(given: &str) -> Result<Self, UnknownId> {
                match given {
                    $($id => Ok(Self::$variant),)+
                    _ => Err(UnknownId { kind: $kind, given: given.into(), known: [$($id),+].join(", ") }),
                }
            }
        }
    };
}

mod augment;
mod prediction;
mod recipe;

pub use augment::{Augment, AugmentError};
pub use prediction::{Metrics, Prediction, Pretrained};
pub use recipe::{OptimizerId, Recipe, Schedule};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Side of the square images every network reads, in pixels.
pub const IMAGE_SIDE: usize = 28;
/// Pixels in one image.
pub const IMAGE_PIXELS: usize = IMAGE_SIDE * IMAGE_SIDE;
/// Classes every network tells apart: the digits 0 to 9.
pub const N_CLASSES: usize = 10;

/// An id that is not one of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} called {given:?}; choose one of: {known}")]
pub struct UnknownId {
    /// What was being named: "model", "engine", "dataset".
    pub kind: &'static str,
    /// What was given.
    pub given: String,
    /// The ids there are, separated by commas.
    pub known: String,
}

ids! {
    /// A network of the zoo.
    ModelId, "model", {
        /// 13,904 parameters, no bias, no dense layer.
        Compact = "compact",
        /// 336,490 parameters; strides in the place of pooling.
        Strided = "strided",
        /// 265,258 parameters; leaky units, seven normalised stages.
        Leaky = "leaky",
        /// 1,199,882 parameters; the network of the Keras tutorial.
        Classic = "classic",
        /// 42,579,946 parameters; two very wide dense layers.
        Wide = "wide",
        /// 14,184 parameters; ours, the quickest to 99 %.
        Sprint = "sprint",
    }
}

ids! {
    /// How a data set's images are divided.
    SplitId, "split", {
        /// As it was published: for MNIST 60,000 to train and 10,000 to validate and test.
        Published = "published",
        /// As Kaggle deals MNIST's 70,000: 37,800 to train, 4,200 to validate, 28,000 to test.
        Kaggle = "kaggle",
    }
}

ids! {
    /// Which engine a user asks for.
    EngineChoice, "engine", {
        /// The fastest engine that passes its self-test here.
        Auto = "auto",
        /// WebGPU in the browser, on whatever adapter there is.
        WebGpu = "webgpu",
        /// The graphics card, on the command line.
        Gpu = "gpu",
        /// The CPU with SIMD.
        Cpu = "cpu",
    }
}

/// Which images to learn from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatasetId {
    /// The 70,000 handwritten digits of LeCun, Cortes and Burges.
    Mnist,
    /// Digits drawn by the built-in seeded generator.
    Synthetic,
    /// The IDX files that somebody dropped on the page, of any ten classes (page only).
    Dropped,
    /// A folder of four IDX files (command line only).
    Folder(String),
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist => f.write_str("mnist"),
            Self::Synthetic => f.write_str("synthetic"),
            Self::Dropped => f.write_str("dropped"),
            Self::Folder(path) => f.write_str(path),
        }
    }
}

impl FromStr for DatasetId {
    type Err = UnknownId;
    /// `mnist`, `synthetic`, `dropped`, or anything that looks like a path (it holds a separator or a dot).
    fn from_str(given: &str) -> Result<Self, UnknownId> {
        match given {
            "mnist" => Ok(Self::Mnist),
            "synthetic" => Ok(Self::Synthetic),
            "dropped" => Ok(Self::Dropped),
            path if path.contains(['/', '\\', '.']) => Ok(Self::Folder(path.into())),
            _ => Err(UnknownId {
                kind: "dataset",
                given: given.into(),
                known: "mnist, synthetic, or a path to a folder such as ./fashion".into(),
            }),
        }
    }
}

/// Everything that decides a training run. The same spec on the same engine gives the same loss curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    pub model: ModelId,
    pub dataset: DatasetId,
    pub split: SplitId,
    pub engine: EngineChoice,
    pub recipe: Recipe,
    /// Seeds initial weights, the order of images, dropout and augmentation.
    pub seed: u64,
    /// Train on the first so many images only.
    pub train_limit: Option<usize>,
    /// Validate on the first so many images only.
    pub test_limit: Option<usize>,
    /// Workers that share each step of the CPU engine. It is part of what decides the run: each normalises its shard of a
    /// batch by itself. Runs that were recorded before there was a choice had one.
    #[serde(default = "one")]
    pub workers: usize,
}

fn one() -> usize {
    1
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self::of(ModelId::Compact)
    }
}

/// Bounds a spec must keep; each message says what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    #[error("epochs must be between 1 and {max}, not {0}", max = TrainSpec::MAX_EPOCHS)]
    Epochs(usize),
    #[error("batch size must be between 1 and {max}, not {0}", max = TrainSpec::MAX_BATCH)]
    Batch(usize),
    #[error("learning rate must be above 0 and at most 1, not {0}")]
    LearningRate(f64),
    #[error("weight decay must be at least 0 and below 1, not {0}")]
    WeightDecay(f64),
    #[error("dropout, a factor on the network's own rates, must be between 0 and 1.5, not {0}")]
    Dropout(f64),
    #[error("label smoothing must be between 0 and 0.5, not {0}")]
    LabelSmoothing(f64),
    #[error("workers must be between 1 and {max}, not {0}", max = TrainSpec::MAX_WORKERS)]
    Workers(usize),
    #[error(transparent)]
    Augment(#[from] AugmentError),
    #[error("a limit must be at least 1 image; leave it out to use them all")]
    Limit,
}

impl TrainSpec {
    /// The model by its own recipe.
    pub fn of(model: ModelId) -> Self {
        Self {
            model,
            dataset: DatasetId::Mnist,
            split: if model == ModelId::Wide { SplitId::Kaggle } else { SplitId::Published },
            engine: EngineChoice::Auto,
            recipe: Recipe::of(model),
            seed: 1,
            train_limit: None,
            test_limit: None,
            workers: 1,
        }
    }

    /// The quickest way to 99 % of MNIST's test images that we found.
    pub fn sprint() -> Self {
        Self::of(ModelId::Sprint)
    }

    /// More epochs than this is a slip of the keyboard: a hundred times what the slowest of the published runs took.
    pub const MAX_EPOCHS: usize = 10_000;
    /// Larger batches than this exceed the memory of a tab.
    pub const MAX_BATCH: usize = 4096;
    /// More workers gain little: of a batch of 128 each has 16 images then, and what one worker does alone (bending, the
    /// mean of the gradients, the optimizer) takes as long as a shard.
    pub const MAX_WORKERS: usize = 8;

    /// Checks every bound.
    ///
    /// # Errors
    /// The first bound that is not kept.
    pub fn check(&self) -> Result<(), SpecError> {
        let recipe = &self.recipe;
        if !(1..=Self::MAX_EPOCHS).contains(&recipe.epochs) {
            return Err(SpecError::Epochs(recipe.epochs));
        }
        if !(1..=Self::MAX_BATCH).contains(&recipe.batch) {
            return Err(SpecError::Batch(recipe.batch));
        }
        if !(recipe.learning_rate > 0.0 && recipe.learning_rate <= 1.0) {
            return Err(SpecError::LearningRate(recipe.learning_rate));
        }
        if !(0.0..1.0).contains(&recipe.weight_decay) {
            return Err(SpecError::WeightDecay(recipe.weight_decay));
        }
        if !(0.0..=1.5).contains(&recipe.dropout) {
            return Err(SpecError::Dropout(recipe.dropout));
        }
        if !(0.0..=0.5).contains(&recipe.label_smoothing) {
            return Err(SpecError::LabelSmoothing(recipe.label_smoothing));
        }
        recipe.augment.check()?;
        if self.train_limit == Some(0) || self.test_limit == Some(0) {
            return Err(SpecError::Limit);
        }
        if !(1..=Self::MAX_WORKERS).contains(&self.workers) {
            return Err(SpecError::Workers(self.workers));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_a_round_trip() {
        for model in ModelId::ALL {
            assert_eq!(model.id().parse(), Ok(*model));
        }
        for engine in EngineChoice::ALL {
            assert_eq!(engine.id().parse(), Ok(*engine));
        }
        let folder = DatasetId::Folder("./fashion".into());
        for dataset in [DatasetId::Mnist, DatasetId::Synthetic, DatasetId::Dropped, folder] {
            assert_eq!(dataset.to_string().parse(), Ok(dataset));
        }
    }

    #[test]
    fn an_unknown_id_names_the_known_ones() {
        let error = "compcat".parse::<ModelId>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no model called \"compcat\"; choose one of: compact, strided, leaky, classic, wide, sprint"
        );
        assert!("minst".parse::<DatasetId>().is_err());
    }

    #[test]
    fn bounds_are_kept() {
        let good = TrainSpec::default();
        assert!(ModelId::ALL.iter().all(|model| TrainSpec::of(*model).check().is_ok()));
        let with = |change: fn(&mut Recipe)| {
            let mut spec = good.clone();
            change(&mut spec.recipe);
            spec.check()
        };
        assert_eq!(with(|r| r.epochs = 0), Err(SpecError::Epochs(0)));
        assert_eq!(with(|r| r.batch = 5000), Err(SpecError::Batch(5000)));
        assert!(with(|r| r.learning_rate = f64::NAN).is_err());
        assert_eq!(with(|r| r.weight_decay = 1.0), Err(SpecError::WeightDecay(1.0)));
        assert_eq!(with(|r| r.dropout = -0.1), Err(SpecError::Dropout(-0.1)));
        assert_eq!(with(|r| r.label_smoothing = 0.6), Err(SpecError::LabelSmoothing(0.6)));
        assert_eq!(TrainSpec { workers: 9, ..good.clone() }.check(), Err(SpecError::Workers(9)));
        let bent = with(|r| r.augment.rotate = 90.0).map_err(|error| error.to_string());
        assert_eq!(bent, Err("rotate must be between 0 and 45, not \"90\"".into()));
        assert_eq!(TrainSpec { test_limit: Some(0), ..good }.check(), Err(SpecError::Limit));
    }
}
