//! The receipt of an ensemble: several networks evaluated together. It never evaluates them itself.

use serde::{Deserialize, Serialize};

use super::{DataSum, Receipt, by_id};
use crate::evaluation::Interval;
use crate::spec::ModelId;

/// The result of an ensemble on the test images. Its prediction is the mean of the probabilities of its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// The networks of the ensemble.
    pub members: Vec<EnsembleMember>,
    /// Whether each image was also classified shifted by one pixel in each direction ([`crate::data::shift::AROUND`]).
    pub shifts: bool,
    /// Fraction of the test images classified correctly, 0 to 1.
    pub test_accuracy: f64,
    /// Number of test images misclassified.
    pub test_errors: usize,
    /// Number of test images.
    pub test_images: usize,
    /// Mean cross-entropy on the test images, in nats.
    pub test_loss: f64,
    /// The 95 % confidence interval of `test_accuracy` ([`crate::evaluation::wilson`]).
    pub interval: Interval,
    /// Id of the engine that computed: `cpu`, `gpu` or `webgpu`.
    pub engine: String,
    /// Name of the device, as reported by the driver or the operating system.
    pub device: String,
    /// The day of the evaluation, in UTC, as `2026-01-31`.
    pub date: String,
    /// Version of the program.
    pub version: String,
    /// Hash of the program's sources, in hexadecimal.
    pub build: String,
    /// Checksums of the test images and labels.
    pub data: Vec<DataSum>,
}

impl Ensemble {
    /// The number of members of each network, such as `3 compact, 1 leaky`, in the order of the zoo.
    pub fn networks(&self) -> String {
        let n = |model: ModelId| self.members.iter().filter(|member| member.model == model).count();
        let counts = ModelId::ALL.iter().map(|&model| (n(model), model)).filter(|(n, _)| *n > 0);
        counts.map(|(n, model)| format!("{n} {model}")).collect::<Vec<_>>().join(", ")
    }

    /// Number of members whose weights are not those of any of these runs.
    pub fn n_unrecorded(&self, runs: &[Receipt]) -> usize {
        let recorded = |member: &EnsembleMember| runs.iter().any(|run| run.weights.sha256 == member.sha256);
        self.members.iter().filter(|member| !recorded(member)).count()
    }
}

/// One network of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnsembleMember {
    /// The network, serialised as its stable id.
    #[serde(with = "by_id")]
    pub model: ModelId,
    /// SHA-256 of its weights, in hexadecimal, as in [`Receipt::weights`] of its run.
    pub sha256: String,
}
