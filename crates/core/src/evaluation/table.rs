//! Formats an [`Evaluation`] as text for a terminal.

use std::fmt;

use super::{DigitScore, Evaluation, n_labelled};
use crate::spec::N_CLASSES;

impl Evaluation {
    /// One line such as `99.54 % right (95 % interval 99.39 to 99.65 %), 46 errors on 10000 test images, loss 0.0151,
    /// calibration error 0.1 %`.
    pub fn headline(&self) -> String {
        let Self { n_images, n_errors, accuracy, interval, loss, calibration, .. } = self;
        let (right, off) = (100.0 * accuracy, 100.0 * calibration.error);
        let errors = if *n_errors == 1 { "error" } else { "errors" };
        let images = if *n_images == 1 { "image" } else { "images" };
        format!(
            "{right:.2} % right (95 % interval {interval}), {n_errors} {errors} on {n_images} test {images}, \
             loss {loss:.4}, calibration error {off:.1} %"
        )
    }

    fn digit_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "digit  images  precision    recall        F1")?;
        for (digit, score) in self.digits.iter().enumerate() {
            digit_row(f, &digit.to_string(), n_labelled(&self.confusion, digit) as usize, score)?;
        }
        digit_row(f, "mean", self.n_images, &self.mean)
    }

    fn confusion_table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.confusion.iter().flatten().max().map_or(1, |n| n.to_string().len());
        let width = widest.max(3) + 1;
        let heading: String = (0..N_CLASSES).map(|predicted| format!("{predicted:>width$}")).collect();
        write!(f, "true   read as\n    {heading}")?;
        for (truth, row) in self.confusion.iter().enumerate() {
            let cell = |n: &u32| if *n == 0 { format!("{:>width$}", "·") } else { format!("{n:>width$}") };
            write!(f, "\n{truth:>4}{}", row.iter().map(cell).collect::<String>())?;
        }
        Ok(())
    }
}

fn digit_row(f: &mut fmt::Formatter<'_>, name: &str, n_images: usize, score: &DigitScore) -> fmt::Result {
    let [precision, recall, f1] = [score.precision, score.recall, score.f1].map(|part| 100.0 * part);
    writeln!(f, "{name:<5}  {n_images:>6}  {precision:>7.2} %  {recall:>6.2} %  {f1:>6.2} %")
}

/// Prints the headline, a table of scores by digit, and the confusion matrix with dots for zeros.
impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.headline())?;
        self.digit_table(f)?;
        writeln!(f)?;
        self.confusion_table(f)
    }
}
