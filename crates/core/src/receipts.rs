//! Receipts: recorded runs with everything needed to repeat and compare them, and their conversion to and from text and
//! bytes. This module never starts a run and never opens a file.

mod check;
mod compare;
mod ensemble;
mod json;
mod leaderboard;
mod records;
mod results_page;
#[cfg(test)]
mod tests;

pub use check::ReceiptError;
pub use compare::{FIRST_LOSS_TOLERANCE, Likeness, Verdict, compare};
pub use ensemble::{Ensemble, EnsembleMember};
pub use leaderboard::{LeaderboardEntry, leaderboard};
pub use records::Records;
pub use results_page::scoreboard;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::evaluation::Interval;
use crate::spec::{ModelId, TrainSpec};

/// The receipt of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Receipt {
    /// The network, serialised as its stable id.
    #[serde(with = "by_id")]
    pub model: ModelId,
    /// The seed of the run, as in `spec`.
    pub seed: u64,
    /// Number of epochs trained, as in `spec`.
    pub epochs: usize,
    /// Number of parameters, running statistics included.
    pub parameters: usize,
    /// Fraction of the test images that the final weights classify correctly, 0 to 1.
    pub test_accuracy: f64,
    /// Number of test images misclassified.
    pub test_errors: usize,
    /// Number of test images.
    pub test_images: usize,
    /// Seconds from the start of the run to the last test image.
    pub seconds: f64,
    /// Id of the engine that computed: `cpu`, `gpu` or `webgpu`.
    pub engine: String,
    /// Name of the device, as reported by the driver or the operating system.
    pub device: String,
    /// The command line that repeats the run.
    pub command: String,
    /// The day on which the run ended, in UTC, as `2026-01-31` ([`iso_day`]).
    pub date: String,
    /// Version of the program.
    pub version: String,
    /// Hash of the program's sources, in hexadecimal.
    pub build: String,
    /// Mean cross-entropy of the final weights on the test images, in nats.
    pub test_loss: f64,
    /// The epoch with the highest validation accuracy.
    pub best_validation: BestEpoch,
    /// The 95 % confidence interval of `test_accuracy` ([`crate::evaluation::wilson`]).
    pub interval: Interval,
    /// The settings of the run.
    pub spec: TrainSpec,
    /// Checksums of every array used for training, validation or test.
    pub data: Vec<DataSum>,
    /// One entry per epoch, in order.
    pub epoch_log: Vec<EpochLine>,
    /// Checksum of the final weights.
    pub weights: WeightsSum,
}

/// The epoch with the highest validation accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Fraction of the validation images classified correctly, 0 to 1.
    pub accuracy: f64,
}

impl BestEpoch {
    /// The best epoch of a log, the first of several; `None` for an empty log.
    pub fn of(log: &[EpochLine]) -> Option<Self> {
        let best = log.iter().rev().max_by(|a, b| a.val_accuracy.total_cmp(&b.val_accuracy))?;
        Some(Self { epoch: best.epoch, accuracy: best.val_accuracy })
    }
}

/// The checksum of an array of images or labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataSum {
    /// Name of the array, such as `training images`.
    pub name: String,
    /// Number of images or labels.
    pub n: usize,
    /// SHA-256 of the array, one byte per pixel or label, in hexadecimal.
    pub sha256: String,
}

impl DataSum {
    /// The checksum of `n` images or labels.
    pub fn of(name: &str, n: usize, bytes: &[u8]) -> Self {
        Self { name: name.into(), n, sha256: sha256(bytes) }
    }
}

/// The figures of one epoch, under the names that `train --json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochLine {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Mean cross-entropy in training mode, in nats.
    pub loss: f64,
    /// Fraction of the training images classified correctly in training mode, 0 to 1.
    pub accuracy: f64,
    /// Mean cross-entropy on the validation images, in nats.
    pub val_loss: f64,
    /// Fraction of the validation images classified correctly, 0 to 1.
    pub val_accuracy: f64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Training images per second, validation excluded.
    pub images_per_second: f64,
    /// Seconds of training and validation.
    pub seconds: f64,
}

/// The checksum of the final weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsSum {
    /// Name of the file, without its folder.
    pub file: String,
    /// SHA-256 of the weights, in hexadecimal: that of the file as it is without its provenance (network, data, split,
    /// seeds and build), so that two builds can be compared.
    pub sha256: String,
}

/// The SHA-256 of some bytes, in lowercase hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The day, in UTC, of a Unix time in seconds, as `2026-01-31`.
pub fn iso_day(unix_secs: u64) -> String {
    // Howard Hinnant's `civil_from_days`: days counted from 1 March of the year 0, in eras of 400 years.
    let days = unix_secs / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Serialises a value as its stable id instead of its variant name.
mod by_id {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serialises a value as its printed id.
    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    /// Parses a value from its id.
    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
