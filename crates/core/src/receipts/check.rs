//! Checks that the parts of a receipt agree, which finds errors in recording and figures that were changed later. It
//! never repeats a run.

use super::{BestEpoch, DataSum, Ensemble, EpochLine, Receipt};
use crate::evaluation::{Interval, wilson};

/// Why a text is not a valid receipt, or bytes are not valid records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text is not the JSON of a receipt. Holds the error of the JSON parser.
    #[error(
        "version {version} cannot read this receipt ({0}); give the file as it was recorded, or use the version that wrote it",
        version = env!("CARGO_PKG_VERSION")
    )]
    Json(String),
    /// Two parts of the receipt contradict each other, or a figure is not valid.
    #[error(
        "the receipt contradicts itself: {field} is {found}, expected {expected}; restore the file or record the run again"
    )]
    Contradiction {
        /// Name of the field.
        field: String,
        /// Its value.
        found: String,
        /// The expected value, in words, with its source.
        expected: String,
    },
    /// The bytes are not the records of this version. Holds the error of the decoder.
    #[error(
        "these records are of another version of this program ({0}); write them again with `inkling scoreboard --site`"
    )]
    Records(String),
}

/// Largest difference between figures computed from the same counts. It allows for single precision and for a few
/// decimals lost in editing.
const ROUNDING: f64 = 1e-6;

impl Receipt {
    /// Checks that the parts of the receipt agree and that every figure is finite.
    ///
    /// # Errors
    /// [`ReceiptError::Contradiction`] for the first part that does not.
    pub fn check(&self) -> Result<(), ReceiptError> {
        self.check_spec()?;
        self.check_figures()?;
        self.check_log()?;
        self.check_sums()
    }

    fn check_spec(&self) -> Result<(), ReceiptError> {
        let spec = &self.spec;
        expect("model", self.model == spec.model, self.model, format!("{}, as in spec", spec.model))?;
        expect("seed", self.seed == spec.seed, self.seed, format!("{}, as in spec", spec.seed))?;
        let epochs = spec.recipe.epochs;
        expect("epochs", self.epochs == epochs, self.epochs, format!("{epochs}, as in spec"))?;
        expect("date", is_day(&self.date), &self.date, "a day such as 2026-01-31")
    }

    fn check_figures(&self) -> Result<(), ReceiptError> {
        check_accuracy(self.test_errors, self.test_images, self.test_accuracy, self.interval)?;
        is_number("test_loss", self.test_loss)?;
        is_number("seconds", self.seconds)
    }

    fn check_log(&self) -> Result<(), ReceiptError> {
        let log = &self.epoch_log;
        let lines = format!("one line for each of {} epochs", self.epochs);
        expect("epoch_log", log.len() == self.epochs, format!("{} lines long", log.len()), lines)?;
        let in_order = log.iter().zip(1..).all(|(line, epoch)| line.epoch == epoch);
        expect("epoch_log", in_order, "out of order", "epochs from 1 on")?;
        for line in log {
            figures(line)
                .into_iter()
                .try_for_each(|(name, figure)| is_number(&format!("{name} of epoch {}", line.epoch), figure))?;
        }
        let (given, best) = (self.best_validation, BestEpoch::of(log));
        let expected = best.map(|best| format!("epoch {} by the epoch log", best.epoch)).unwrap_or_default();
        let agrees = best.is_some_and(|best| best.epoch == given.epoch && close(best.accuracy, given.accuracy));
        expect("best_validation", agrees, format!("{} in epoch {}", given.accuracy, given.epoch), expected)
    }

    fn check_sums(&self) -> Result<(), ReceiptError> {
        check_data(&self.data)?;
        is_sha256("sha256 of the weights", &self.weights.sha256)
    }
}

impl Ensemble {
    /// Checks that the parts of the receipt agree, that there are at least two members, and that the loss is finite.
    ///
    /// # Errors
    /// [`ReceiptError::Contradiction`] for the first part that does not.
    pub fn check(&self) -> Result<(), ReceiptError> {
        let n = self.members.len();
        expect("members", n > 1, format!("{n} network"), "at least 2; `train` writes the receipt of a single network")?;
        expect("date", is_day(&self.date), &self.date, "a day such as 2026-01-31")?;
        check_accuracy(self.test_errors, self.test_images, self.test_accuracy, self.interval)?;
        is_number("test_loss", self.test_loss)?;
        check_data(&self.data)?;
        self.members.iter().try_for_each(|member| is_sha256("sha256 of a member", &member.sha256))
    }
}

fn check_accuracy(n_errors: usize, n_images: usize, given: f64, interval: Interval) -> Result<(), ReceiptError> {
    expect("test_images", n_images > 0, n_images, "at least 1")?;
    expect("test_errors", n_errors <= n_images, n_errors, format!("at most the {n_images} test images"))?;
    let n_correct = n_images - n_errors;
    let accuracy = n_correct as f64 / n_images as f64;
    expect("test_accuracy", close(given, accuracy), given, format!("{accuracy} by test_errors"))?;
    let counted = wilson(n_correct, n_images);
    let agrees = close(interval.low, counted.low) && close(interval.high, counted.high);
    expect("interval", agrees, interval, format!("{counted} by test_errors"))
}

fn check_data(data: &[DataSum]) -> Result<(), ReceiptError> {
    expect("data", !data.is_empty(), "empty", "the checksum of each array of images and labels")?;
    data.iter().try_for_each(|sum| is_sha256(&format!("sha256 of the {}", sum.name), &sum.sha256))
}

/// The figures of an epoch with their names.
fn figures(line: &EpochLine) -> [(&'static str, f64); 7] {
    [
        ("loss", line.loss),
        ("accuracy", line.accuracy),
        ("val_loss", line.val_loss),
        ("val_accuracy", line.val_accuracy),
        ("learning_rate", line.learning_rate),
        ("images_per_second", line.images_per_second),
        ("seconds", line.seconds),
    ]
}

fn expect(field: &str, holds: bool, found: impl ToString, expected: impl ToString) -> Result<(), ReceiptError> {
    let contradiction = || ReceiptError::Contradiction {
        field: field.into(),
        found: found.to_string(),
        expected: expected.to_string(),
    };
    holds.then_some(()).ok_or_else(contradiction)
}

fn is_number(field: &str, figure: f64) -> Result<(), ReceiptError> {
    expect(field, figure.is_finite(), figure, "a finite number, since JSON has no other")
}

fn is_sha256(field: &str, given: &str) -> Result<(), ReceiptError> {
    let hexadecimal = given.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    expect(field, given.len() == 64 && hexadecimal, format!("{given:?}"), "64 hexadecimal digits")
}

/// Whether a text has the form of `2026-01-31`.
fn is_day(given: &str) -> bool {
    let shape = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    given.len() == 10 && given.bytes().enumerate().all(shape)
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING
}
