//! Ids and settings that most other modules use: models, splits, engines, data sets, [`TrainSpec`] with its [`Recipe`],
//! and [`Prediction`] with [`Metrics`].
//!
//! Besides the values themselves this module holds their parsing, printing and bounds checks, the built-in recipes, and
//! the formulas of the learning-rate schedules. It never reads an image, runs a network or asks a device.

/// Defines an enum of unit variants with stable ids. The ids appear in URLs, in files and on the command line.
macro_rules! ids {
    ($(#[$doc:meta])* $name:ident, $kind:literal, { $($(#[$vdoc:meta])* $variant:ident = $id:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order in which user interfaces list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable id, as printed and parsed.
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
mod provenance;
mod recipe;

pub use augment::{Augment, AugmentError};
pub use prediction::{Metrics, Prediction, Pretrained};
pub use provenance::Provenance;
pub use recipe::{OptimizerId, Recipe, Schedule};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Side of the square input image of every network, in pixels.
pub const IMAGE_SIDE: usize = 28;
/// Pixels in one image.
pub const IMAGE_PIXELS: usize = IMAGE_SIDE * IMAGE_SIDE;
/// Number of output classes of every network: the digits 0 to 9.
pub const N_CLASSES: usize = 10;

/// A text that is not a known id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} called {given:?}; choose one of: {known}")]
pub struct UnknownId {
    /// The kind of id expected, such as "model", "engine" or "dataset".
    pub kind: &'static str,
    /// The text that was given.
    pub given: String,
    /// The valid ids, separated by commas.
    pub known: String,
}

ids! {
    /// A network of the zoo. The parameter counts include the running statistics of batch normalisation.
    ModelId, "model", {
        /// 13,904 parameters, no bias, no dense layer.
        Compact = "compact",
        /// 336,490 parameters; strided convolutions instead of pooling.
        Strided = "strided",
        /// 265,258 parameters; leaky ReLU and seven batch normalisations.
        Leaky = "leaky",
        /// 1,199,882 parameters; the network of the Keras tutorial.
        Classic = "classic",
        /// 42,579,946 parameters; two very wide dense layers.
        Wide = "wide",
        /// 14,184 parameters; our own design, the fastest we found to reach 99 % on MNIST's test images.
        Sprint = "sprint",
    }
}

ids! {
    /// How the images of a data set are split into training, validation and test images.
    SplitId, "split", {
        /// The split of the data set's authors: for MNIST 60,000 training images, and 10,000 for validation and test.
        Published = "published",
        /// Kaggle's split of MNIST's 70,000 images: 37,800 for training, 4,200 for validation, 28,000 for test.
        Kaggle = "kaggle",
    }
}

ids! {
    /// The engine that a user asks for.
    EngineChoice, "engine", {
        /// A hardware graphics adapter if there is one and it passes its self-test, otherwise the CPU.
        Auto = "auto",
        /// WebGPU on any adapter, including software adapters (page only).
        WebGpu = "webgpu",
        /// The graphics card (command line only).
        Gpu = "gpu",
        /// The CPU with SIMD.
        Cpu = "cpu",
    }
}

/// The data set of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatasetId {
    /// The 70,000 handwritten digits of LeCun, Cortes and Burges.
    Mnist,
    /// Digits drawn by the built-in seeded generator.
    Synthetic,
    /// IDX files that the user loaded into the page, with up to ten classes of any kind (page only).
    UserFiles,
    /// The path of a folder with four IDX files or Kaggle's `train.csv` (command line only).
    Folder(String),
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist => f.write_str("mnist"),
            Self::Synthetic => f.write_str("synthetic"),
            Self::UserFiles => f.write_str("dropped"),
            Self::Folder(path) => f.write_str(path),
        }
    }
}

impl FromStr for DatasetId {
    type Err = UnknownId;
    /// Parses `mnist`, `synthetic`, `dropped`, or a path: any text with a separator or a dot.
    fn from_str(given: &str) -> Result<Self, UnknownId> {
        match given {
            "mnist" => Ok(Self::Mnist),
            "synthetic" => Ok(Self::Synthetic),
            "dropped" => Ok(Self::UserFiles),
            path if path.contains(['/', '\\', '.']) => Ok(Self::Folder(path.into())),
            _ => Err(UnknownId {
                kind: "dataset",
                given: given.into(),
                known: "mnist, synthetic, or a path to a folder such as ./fashion".into(),
            }),
        }
    }
}

/// The settings of a training run.
///
/// The same spec repeats the loss curve only on the same images, build, engine and device. Another instruction set,
/// graphics card or choice of kernels sums in another order, and the difference grows with every step. Two specs can
/// also be equal while the runs are not: [`EngineChoice::Auto`] can resolve to another engine, and the contents of
/// [`DatasetId::UserFiles`] and [`DatasetId::Folder`] are not part of the spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// The network to train.
    pub model: ModelId,
    /// The images to train and test on.
    pub dataset: DatasetId,
    /// How the images are split.
    pub split: SplitId,
    /// The engine asked for.
    pub engine: EngineChoice,
    /// Optimizer, schedule and regularisation.
    pub recipe: Recipe,
    /// Seeds the initial weights, the order of images, dropout and augmentation.
    pub seed: u64,
    /// Seeds the shuffle of [`SplitId::Kaggle`]. Runs that differ in `seed` alone share their test images. Receipts
    /// recorded before this setting existed lack the field and mean `seed`
    /// ([`Receipt::from_json`](crate::receipts::Receipt::from_json)).
    #[serde(default = "one_seed")]
    pub split_seed: u64,
    /// Use only the first N training images; `None` uses all.
    pub train_limit: Option<usize>,
    /// Use only the first N images of the validation split and of the test split; `None` uses all.
    pub test_limit: Option<usize>,
    /// Number of shards into which the CPU engine cuts each batch, one for each worker. It changes the results of
    /// networks with batch normalisation, because each shard is normalised by its own mean and variance. Receipts
    /// recorded before this setting existed lack the field and mean 1.
    #[serde(default = "one")]
    pub workers: usize,
}

fn one() -> usize {
    1
}

fn one_seed() -> u64 {
    1
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self::of(ModelId::Compact)
    }
}

/// A setting outside its bounds. The value is the one that was given; each message says what is allowed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SpecError {
    /// The number of epochs.
    #[error("epochs must be between 1 and {max}, not {0}", max = TrainSpec::MAX_EPOCHS)]
    Epochs(usize),
    /// The batch size, in images.
    #[error("batch size must be between 1 and {max}, not {0}", max = TrainSpec::MAX_BATCH)]
    Batch(usize),
    /// The learning rate.
    #[error("learning rate must be above 0 and at most 1, not {0}")]
    LearningRate(f64),
    /// The weight decay.
    #[error("weight decay must be at least 0 and below 1, not {0}")]
    WeightDecay(f64),
    /// The factor on the network's dropout rates.
    #[error("dropout, a factor on the network's own rates, must be between 0 and 1.5, not {0}")]
    Dropout(f64),
    /// The label smoothing.
    #[error("label smoothing must be between 0 and 0.5, not {0}")]
    LabelSmoothing(f64),
    /// The number of workers.
    #[error("workers must be between 1 and {max}, not {0}", max = TrainSpec::MAX_WORKERS)]
    Workers(usize),
    /// The strength of an augmentation.
    #[error(transparent)]
    Augment(#[from] AugmentError),
    /// A training or test limit of 0 images.
    #[error("a limit must be at least 1 image; leave it out to use all images")]
    Limit,
}

impl TrainSpec {
    /// The default settings of a model: its own recipe and published split on MNIST, seed 1, one worker, no limits.
    pub fn of(model: ModelId) -> Self {
        Self {
            model,
            dataset: DatasetId::Mnist,
            split: if model == ModelId::Wide { SplitId::Kaggle } else { SplitId::Published },
            engine: EngineChoice::Auto,
            recipe: Recipe::of(model),
            seed: 1,
            split_seed: 1,
            train_limit: None,
            test_limit: None,
            workers: 1,
        }
    }

    /// Largest number of epochs. More is taken for a typing error: the longest published run took 63 epochs (`leaky`).
    pub const MAX_EPOCHS: usize = 10_000;
    /// Largest batch size, in images. A larger batch exceeds the memory of a browser tab.
    pub const MAX_BATCH: usize = 4096;
    /// Largest number of workers. More gain little: of a batch of 128, each of 8 workers computes 16 images, and the
    /// work of the first worker alone (augmentation, mean of the gradients, optimizer) takes as long as such a shard.
    pub const MAX_WORKERS: usize = 8;

    /// Checks that every setting is within its bounds.
    ///
    /// # Errors
    /// The first setting that is not.
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
        for dataset in [DatasetId::Mnist, DatasetId::Synthetic, DatasetId::UserFiles, folder] {
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
    fn settings_out_of_bounds_are_refused() {
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
        let rotated = with(|r| r.augment.rotate = 90.0).map_err(|error| error.to_string());
        assert_eq!(rotated, Err("rotate must be between 0 and 45, not \"90\"".into()));
        assert_eq!(TrainSpec { test_limit: Some(0), ..good }.check(), Err(SpecError::Limit));
    }
}
