//! Receipts: a recorded run with everything that it takes to repeat and to compare it. Pure: it runs nothing, and
//! reads and writes text only.

mod check;
mod compare;
mod ensemble;
mod json;
mod records;
mod scoreboard;
mod standing;
#[cfg(test)]
mod tests;

pub use check::ReceiptError;
pub use compare::{FIRST_LOSS_TOLERANCE, Likeness, Verdict, compare};
pub use ensemble::{Ensemble, Member};
pub use records::Records;
pub use scoreboard::scoreboard;
pub use standing::{Standing, standings};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::evaluation::Interval;
use crate::spec::{ModelId, TrainSpec};

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// Written as its stable id.
    #[serde(with = "by_id")]
    pub model: ModelId,
    pub seed: u64,
    /// Passes over the training images that were made.
    pub epochs: usize,
    /// Numbers that the network holds, trainable or not.
    pub parameters: usize,
    /// Fraction of the test images that the final weights read rightly, 0 to 1.
    pub test_accuracy: f64,
    pub test_errors: usize,
    pub test_images: usize,
    /// From the first step to the last test image.
    pub seconds: f64,
    /// Which engine computed: `cpu`, `gpu` or `webgpu`.
    pub engine: String,
    /// What it ran on, in the words of the driver or the system.
    pub device: String,
    /// What repeats the run.
    pub command: String,
    /// The day on which the run ended, in UTC, as `2026-01-31` ([`iso_day`]).
    pub date: String,
    /// Of the program.
    pub version: String,
    /// The hash of the program's sources.
    pub build: String,
    /// Mean cross-entropy of the final weights on the test images, in nats.
    pub test_loss: f64,
    pub best_validation: BestEpoch,
    /// The 95 % interval of `test_accuracy` ([`crate::evaluation::wilson`]).
    pub interval: Interval,
    pub spec: TrainSpec,
    /// Every array that was trained, validated or tested on.
    pub data: Vec<DataSum>,
    /// One line an epoch, in order.
    pub epoch_log: Vec<EpochLine>,
    pub weights: WeightsSum,
}

/// The epoch that did best on the validation images.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// From 1.
    pub epoch: usize,
    /// Fraction of the validation images read rightly, 0 to 1.
    pub accuracy: f64,
}

impl BestEpoch {
    /// The first of the best epochs of a log; `None` of an empty one.
    pub fn of(log: &[EpochLine]) -> Option<Self> {
        let best = log.iter().rev().max_by(|a, b| a.val_accuracy.total_cmp(&b.val_accuracy))?;
        Some(Self { epoch: best.epoch, accuracy: best.val_accuracy })
    }
}

/// The checksum of an array of images or labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSum {
    /// Such as `training images`.
    pub name: String,
    /// How many images or labels.
    pub n: usize,
    /// SHA-256 of the bytes, a pixel or a label each, in hexadecimal.
    pub sha256: String,
}

impl DataSum {
    /// Sums up `n` images or labels.
    pub fn of(name: &str, n: usize, bytes: &[u8]) -> Self {
        Self { name: name.into(), n, sha256: sha256(bytes) }
    }
}

/// An epoch, under the names that `train --json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// From 1.
    pub epoch: usize,
    /// Mean cross-entropy in training mode, in nats.
    pub loss: f64,
    /// Fraction of the training images read rightly, in training mode.
    pub accuracy: f64,
    /// Mean cross-entropy on the validation images, in nats.
    pub val_loss: f64,
    /// Fraction of the validation images read rightly.
    pub val_accuracy: f64,
    /// Of the epoch's last step.
    pub learning_rate: f64,
    /// Training steps alone.
    pub images_per_second: f64,
    /// Training and validation together.
    pub seconds: f64,
}

/// The file of the final weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsSum {
    /// Name without its folder.
    pub file: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day, in UTC, of so many seconds after the start of 1970, as `2026-01-31`.
pub fn iso_day(unix_secs: u64) -> String {
    // Howard Hinnant's `civil_from_days`: days counted from 1 March of the year 0, in eras of 400 years.
    let days = unix_secs / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Writes a value as its stable id in the place of its name in the code.
mod by_id {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
