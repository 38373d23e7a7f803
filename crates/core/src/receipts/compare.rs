//! Compares a repeated run with its receipt. It never runs anything itself.

use std::fmt;

use super::{DataSum, Receipt};
use crate::spec::TrainSpec;

/// Largest relative difference between the losses of the first epoch. On the same engine they are equal. Another engine
/// sums in another order, and the difference grows with every step.
pub const FIRST_LOSS_TOLERANCE: f64 = 1e-3;

/// How alike two runs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// The weights are equal to the bit, and so are the errors.
    Identical,
    /// Settings and images are the same, and rounding and chance explain the differences between the figures.
    Consistent,
    /// Settings, images or figures differ.
    Different,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How alike the runs are.
    pub likeness: Likeness,
    /// The reasons, in words, the most important first; never empty.
    pub reasons: Vec<String>,
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identical => "identical",
            Self::Consistent => "consistent",
            Self::Different => "different",
        })
    }
}

/// Prints likeness and reasons, such as `identical: the weights have the same SHA-256; 46 errors on 10000 test images
/// both times`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.likeness, self.reasons.join("; "))
    }
}

/// Compares a recorded run with its repetition.
///
/// Equal weights with different errors are not identical: one of the two receipts holds a wrong figure.
pub fn compare(recorded: &Receipt, again: &Receipt) -> Verdict {
    let same_errors = (recorded.test_errors, recorded.test_images) == (again.test_errors, again.test_images);
    let same_weights = recorded.weights.sha256 == again.weights.sha256;
    let conditions = [settings(&recorded.spec, &again.spec), data(&recorded.data, &again.data)];
    let violations: Vec<_> = conditions.into_iter().flatten().collect();
    if !violations.is_empty() {
        return Verdict { likeness: Likeness::Different, reasons: violations };
    }
    if same_weights && same_errors {
        let errors = format!("{} errors on {} test images both times", again.test_errors, again.test_images);
        let reasons = vec!["the weights have the same SHA-256".into(), errors];
        return Verdict { likeness: Likeness::Identical, reasons };
    }
    compare_figures(recorded, again, same_weights)
}

fn compare_figures(recorded: &Receipt, again: &Receipt, same_weights: bool) -> Verdict {
    let findings = [first_loss(recorded, again), accuracy(recorded, again)];
    let agrees = findings.iter().all(|(agrees, _)| *agrees);
    // Disagreements come first.
    let (disagreements, agreements): (Vec<_>, Vec<_>) = findings.into_iter().partition(|(agrees, _)| !*agrees);
    let mut reasons: Vec<_> = disagreements.into_iter().chain(agreements).map(|(_, reason)| reason).collect();
    reasons.push(if same_weights { "the weights have the same SHA-256" } else { "the weights differ" }.into());
    reasons.extend(environment(recorded, again));
    Verdict { likeness: if agrees { Likeness::Consistent } else { Likeness::Different }, reasons }
}

/// Which settings differ; `None` if none does. The engine and the location of the data set are ignored: the checksums
/// of the images show whether the data are the same.
fn settings(recorded: &TrainSpec, again: &TrainSpec) -> Option<String> {
    let relocated = TrainSpec { engine: recorded.engine, dataset: recorded.dataset.clone(), ..again.clone() };
    let parts = [
        ("model", recorded.model != again.model),
        ("split", recorded.split != again.split),
        ("split_seed", recorded.split_seed != again.split_seed),
        ("recipe", recorded.recipe != again.recipe),
        ("seed", recorded.seed != again.seed),
        ("train_limit", recorded.train_limit != again.train_limit),
        ("test_limit", recorded.test_limit != again.test_limit),
        ("workers", recorded.workers != again.workers),
    ];
    let names: Vec<_> = parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    (relocated != *recorded)
        .then(|| format!("the settings differ ({}): repeat it with the recorded ones", names.join(", ")))
}

/// Which images or labels differ; `None` if none does.
fn data(recorded: &[DataSum], again: &[DataSum]) -> Option<String> {
    let missing = recorded.iter().filter(|sum| !again.contains(sum));
    let added = again.iter().filter(|sum| !recorded.iter().any(|old| old.name == sum.name));
    let mut names: Vec<_> = missing.chain(added).map(|sum| sum.name.as_str()).collect();
    names.dedup();
    let differ = |names: Vec<&str>| format!("the data differ ({}): repeat it on the recorded ones", names.join(", "));
    (!names.is_empty()).then(|| differ(names))
}

/// Whether the losses of the first epoch agree, with a sentence about it.
fn first_loss(recorded: &Receipt, again: &Receipt) -> (bool, String) {
    let (Some(old), Some(new)) = (recorded.epoch_log.first(), again.epoch_log.first()) else {
        return (false, "one of the two has no epoch log".into());
    };
    let difference = (new.loss - old.loss).abs() / old.loss.abs();
    // Written so that a NaN loss does not agree.
    let agrees = old.loss == new.loss || difference <= FIRST_LOSS_TOLERANCE;
    let measure = if agrees { "within" } else { "more than" };
    let (old, new, limit) = (old.loss, new.loss, 100.0 * FIRST_LOSS_TOLERANCE);
    (agrees, format!("the loss of the first epoch was {old:.6} and is {new:.6}, {measure} {limit} % apart"))
}

/// Whether chance explains the difference between the accuracies, with a sentence about it.
fn accuracy(recorded: &Receipt, again: &Receipt) -> (bool, String) {
    let (old, new) = (recorded.interval, again.interval);
    let agrees = old.overlaps(&new);
    let measure = if agrees { "which overlap" } else { "which do not overlap" };
    let errors = |receipt: &Receipt| format!("{} of {}", receipt.test_errors, receipt.test_images);
    let (before, now) = (errors(recorded), errors(again));
    let reason = format!("the errors were {before} and are {now}, accuracies of {old} and {new}, {measure}");
    (agrees, reason)
}

/// Differences of machine and program, which may explain other differences.
fn environment(recorded: &Receipt, again: &Receipt) -> Option<String> {
    let parts = [
        ("engine", &recorded.engine, &again.engine),
        ("device", &recorded.device, &again.device),
        ("version", &recorded.version, &again.version),
        ("build", &recorded.build, &again.build),
    ];
    let changed = parts.iter().filter(|(_, old, new)| old != new);
    let texts: Vec<_> = changed.map(|(name, old, new)| format!("{name} {old}, now {new}")).collect();
    (!texts.is_empty()).then(|| format!("recorded with {}", texts.join("; ")))
}
