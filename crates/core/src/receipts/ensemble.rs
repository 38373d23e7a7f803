//! Several networks that were judged together.

use serde::{Deserialize, Serialize};

use super::{DataSum, Receipt, by_id};
use crate::evaluation::Interval;
use crate::spec::ModelId;

/// What several networks came to on the test images, read together by the mean of their probabilities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    pub members: Vec<Member>,
    /// Each image was also read a pixel to each side.
    pub shifts: bool,
    /// Fraction of the test images that were read rightly, 0 to 1.
    pub test_accuracy: f64,
    pub test_errors: usize,
    pub test_images: usize,
    /// Mean cross-entropy, in nats.
    pub test_loss: f64,
    /// The 95 % interval of `test_accuracy` ([`crate::evaluation::wilson`]).
    pub interval: Interval,
    /// Which engine computed: `cpu`, `gpu` or `webgpu`.
    pub engine: String,
    /// What it ran on, in the words of the driver or the system.
    pub device: String,
    /// The day, in UTC, as `2026-01-31`.
    pub date: String,
    /// Of the program.
    pub version: String,
    /// The hash of the program's sources.
    pub build: String,
    /// The images and labels that were tested on.
    pub data: Vec<DataSum>,
}

impl Ensemble {
    /// How many of each network, such as `3 compact, 1 leaky`, in the order of the zoo.
    pub fn networks(&self) -> String {
        let n = |model: ModelId| self.members.iter().filter(|member| member.model == model).count();
        let counts = ModelId::ALL.iter().map(|&model| (n(model), model)).filter(|(n, _)| *n > 0);
        counts.map(|(n, model)| format!("{n} {model}")).collect::<Vec<_>>().join(", ")
    }

    /// How many of the members come from none of these runs.
    pub fn n_unrecorded(&self, runs: &[Receipt]) -> usize {
        let recorded = |member: &Member| runs.iter().any(|run| run.weights.sha256 == member.sha256);
        self.members.iter().filter(|member| !recorded(member)).count()
    }
}

/// One network of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    #[serde(with = "by_id")]
    pub model: ModelId,
    /// SHA-256 of the file of its weights, in hexadecimal: that of the receipt of its run.
    pub sha256: String,
}
