//! The nouns every other module shares: plain values, no behaviour beyond parsing and printing.

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

ids! {
    /// A network of the zoo.
    ModelId, "model", {
        /// 13,904 parameters, no bias, no dense layer.
        Compact = "compact",
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
    /// A folder of four IDX files (command line only).
    Folder(String),
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mnist => f.write_str("mnist"),
            Self::Synthetic => f.write_str("synthetic"),
            Self::Folder(path) => f.write_str(path),
        }
    }
}

impl FromStr for DatasetId {
    type Err = UnknownId;
    /// `mnist`, `synthetic`, or anything that looks like a path (it holds a separator or a dot).
    fn from_str(given: &str) -> Result<Self, UnknownId> {
        match given {
            "mnist" => Ok(Self::Mnist),
            "synthetic" => Ok(Self::Synthetic),
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
    pub engine: EngineChoice,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images in one optimizer step.
    pub batch: usize,
    /// Learning rate of the first epoch; the model's schedule goes on from it.
    pub learning_rate: f64,
    /// Seeds initial weights, the order of images and dropout.
    pub seed: u64,
    /// Train on the first so many images only.
    pub train_limit: Option<usize>,
    /// Validate on the first so many images only.
    pub test_limit: Option<usize>,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            model: ModelId::Compact,
            dataset: DatasetId::Mnist,
            engine: EngineChoice::Auto,
            epochs: 12,
            batch: 128,
            learning_rate: 0.003,
            seed: 1,
            train_limit: None,
            test_limit: None,
        }
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
    #[error("a limit must be at least 1 image; leave it out to use them all")]
    Limit,
}

impl TrainSpec {
    /// More epochs than this is a slip of the keyboard: a hundred times what the slowest of the published runs took.
    pub const MAX_EPOCHS: usize = 10_000;
    /// Larger batches than this exceed the memory of a tab.
    pub const MAX_BATCH: usize = 4096;

    /// Checks every bound.
    ///
    /// # Errors
    /// The first bound that is not kept.
    pub fn check(&self) -> Result<(), SpecError> {
        if !(1..=Self::MAX_EPOCHS).contains(&self.epochs) {
            return Err(SpecError::Epochs(self.epochs));
        }
        if !(1..=Self::MAX_BATCH).contains(&self.batch) {
            return Err(SpecError::Batch(self.batch));
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(SpecError::LearningRate(self.learning_rate));
        }
        if self.train_limit == Some(0) || self.test_limit == Some(0) {
            return Err(SpecError::Limit);
        }
        Ok(())
    }
}

/// Mean loss and accuracy over some images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Mean cross-entropy, in nats.
    pub loss: f64,
    /// Fraction of images read rightly, 0 to 1.
    pub accuracy: f64,
}

/// What a network makes of one image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Probability of each digit; they sum to 1.
    pub probabilities: [f32; N_CLASSES],
}

impl Prediction {
    /// The most probable digit.
    pub fn digit(&self) -> usize {
        let by_probability = |a: &usize, b: &usize| self.probabilities[*a].total_cmp(&self.probabilities[*b]);
        (0..N_CLASSES).max_by(by_probability).unwrap_or(0)
    }

    /// The probability of [`Prediction::digit`].
    pub fn confidence(&self) -> f32 {
        self.probabilities[self.digit()]
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
        for dataset in [DatasetId::Mnist, DatasetId::Synthetic, DatasetId::Folder("./fashion".into())] {
            assert_eq!(dataset.to_string().parse(), Ok(dataset));
        }
    }

    #[test]
    fn an_unknown_id_names_the_known_ones() {
        let error = "compcat".parse::<ModelId>().unwrap_err();
        assert_eq!(error.to_string(), "there is no model called \"compcat\"; choose one of: compact");
        assert!("minst".parse::<DatasetId>().is_err());
    }

    #[test]
    fn bounds_are_kept() {
        let good = TrainSpec::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(TrainSpec { epochs: 0, ..good.clone() }.check(), Err(SpecError::Epochs(0)));
        assert_eq!(TrainSpec { batch: 5000, ..good.clone() }.check(), Err(SpecError::Batch(5000)));
        assert!(TrainSpec { learning_rate: f64::NAN, ..good.clone() }.check().is_err());
        assert_eq!(TrainSpec { test_limit: Some(0), ..good }.check(), Err(SpecError::Limit));
    }

    #[test]
    fn the_most_probable_digit_wins() {
        let mut probabilities = [0.05; N_CLASSES];
        probabilities[7] = 0.55;
        let prediction = Prediction { probabilities };
        assert_eq!((prediction.digit(), prediction.confidence()), (7, 0.55));
    }
}
