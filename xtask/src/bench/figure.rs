//! Measurements, the rows of the table: what was measured, how, and the values of all rounds. Pure except [`repeat`],
//! which runs the measuring functions; nothing here knows what they measure.

use anyhow::Result;

use crate::report;

/// One row of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub what: String,
    /// How it was measured: engine, batch size, number of images.
    pub how: String,
    /// The unit of the values: `images/s`, `ms`, `MB`.
    pub unit: &'static str,
    /// One value for each round or trial; empty if it was not measured.
    pub values: Vec<f64>,
    /// Remarks: a ratio, a fraction of the peak, a limit; or why it was not measured.
    pub beside: String,
}

impl Measurement {
    /// A measurement without values yet.
    pub fn new(what: impl Into<String>, how: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), how: how.into(), unit, ..Self::default() }
    }

    /// The same measurement with these values.
    pub fn with(self, values: Vec<f64>) -> Self {
        Self { values, ..self }
    }

    /// The same measurement with this remark instead of its own.
    pub fn beside(self, beside: impl Into<String>) -> Self {
        Self { beside: beside.into(), ..self }
    }

    /// A measurement that was not run, and the reason.
    pub fn not_run(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, "", "").beside(why)
    }

    /// The median of all values (of an even number, the mean of the two in the middle); `None` without values.
    pub fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
        Some((low + high) / 2.0)
    }

    /// The smallest value that at least this fraction of all values does not exceed; `None` without values.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let sorted = self.sorted();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }

    /// The median with its unit, or `not run`.
    pub fn told(&self) -> String {
        self.median().map_or("not run".into(), |median| format!("{} {}", number(median), self.unit).trim_end().into())
    }

    /// The range from the least to the greatest value and the number of values; empty for a single value.
    pub fn range(&self) -> String {
        match self.sorted().as_slice() {
            [least, .., greatest] => format!("{} to {} (n = {})", number(*least), number(*greatest), self.values.len()),
            _ => String::new(),
        }
    }

    /// Appends a remark.
    pub fn remark(&mut self, remark: &str) {
        let between = if self.beside.is_empty() { "" } else { "; " };
        self.beside = format!("{}{between}{remark}", self.beside);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The ratio of two measurements, round by round. Rounds that only one of them has are left out.
pub fn ratio(ours: &Measurement, theirs: &Measurement) -> Measurement {
    let values = ours.values.iter().zip(&theirs.values).map(|(ours, theirs)| ours / theirs).collect();
    Measurement::new(format!("{} ÷ {}", ours.what, theirs.what), "round by round", "×").with(values)
}

/// A number with three significant digits, but without rounding the integer part, which is grouped by commas.
pub fn number(x: f64) -> String {
    let decimals = match x.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    let plain = format!("{x:.decimals$}");
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, digits) = whole.split_at(usize::from(whole.starts_with('-')));
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

/// A function that measures once and returns one value for each measurement of its case.
type Measure<'a> = Box<dyn FnMut() -> Result<Vec<f64>> + 'a>;

/// Something that is measured once per round.
pub struct Case<'a> {
    /// The measurements to which each round adds one value.
    pub measurements: Vec<Measurement>,
    /// Measures one round.
    pub measure: Measure<'a>,
}

/// Runs the rounds: each round measures every case once, one after another, so that a temporary slowdown of the machine
/// affects all of them alike. A case that fails is reported, and is left out of the following rounds. Returns the
/// measurements of all cases.
pub fn repeat(n_rounds: usize, mut cases: Vec<Case<'_>>) -> Vec<Measurement> {
    for round in 1..=n_rounds {
        for case in cases.iter_mut().filter(|case| case.measurements[0].values.len() + 1 == round) {
            case.take(round, n_rounds);
        }
    }
    cases.into_iter().flat_map(|case| case.measurements).collect()
}

impl Case<'_> {
    /// Measures one round.
    fn take(&mut self, round: usize, n_rounds: usize) {
        match (self.measure)() {
            Ok(values) => {
                for (measurement, value) in self.measurements.iter_mut().zip(values) {
                    measurement.values.push(value);
                    let Measurement { what, how, unit, .. } = measurement;
                    report(format!("{what} ({how}): {} {unit}, round {round} of {n_rounds}", number(value)));
                }
            }
            Err(error) => {
                report(format!("{}: failed: {error:#}", self.measurements[0].what));
                self.measurements.iter_mut().for_each(|measurement| measurement.remark(&failure(round, &error)));
            }
        }
    }
}

/// The remark about a failed round: the first line of the error, without characters that would break a Markdown table.
pub fn failure(round: usize, error: &anyhow::Error) -> String {
    let message = format!("{error:#}");
    format!("round {round} failed: {}", message.lines().next().unwrap_or_default().replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn measurement(values: &[f64]) -> Measurement {
        Measurement::new("a", "b", "ms").with(values.to_vec())
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(measurement(&[9.0, 1.0, 5.0]).median(), Some(5.0));
        assert_eq!(measurement(&[4.0, 1.0, 2.0, 9.0]).median(), Some(3.0));
        assert_eq!(measurement(&[]).median(), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(measurement(&hundred).percentile(0.95), Some(95.0));
        assert_eq!(measurement(&[3.0]).percentile(0.95), Some(3.0));
        assert_eq!(measurement(&[]).percentile(0.95), None);
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let texts = [0.456, 9.999, 12.34, 99.96, 1234.5, 12_345_678.0, -1234.0].map(number);
        assert_eq!(texts, ["0.46", "10.0", "12.3", "100", "1,234", "12,345,678", "-1,234"]);
        assert_eq!(measurement(&[1.0, 30.0, 2.0]).range(), "1.00 to 30.0 (n = 3)");
        assert_eq!((measurement(&[2.0]).told().as_str(), measurement(&[2.0]).range().as_str()), ("2.00 ms", ""));
        assert_eq!(Measurement::not_run("a", "why").told(), "not run");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = ratio(&measurement(&[2.0, 9.0]), &measurement(&[1.0, 3.0, 5.0]));
        assert_eq!((ratio.values, ratio.unit), (vec![2.0, 3.0], "×"));
    }

    #[test]
    fn rounds_alternate_and_a_failure_ends_only_its_own_case() {
        let order = std::cell::RefCell::new(Vec::new());
        let case = |name: &'static str, fails: bool| {
            let order = &order;
            let measure = move || {
                order.borrow_mut().push(name);
                if fails { bail!("no | such thing\nmore") } else { Ok(vec![1.0, 2.0]) }
            };
            Case { measurements: vec![measurement(&[]), measurement(&[])], measure: Box::new(measure) }
        };
        let measurements = repeat(2, vec![case("a", false), case("b", true)]);
        assert_eq!(*order.borrow(), ["a", "b", "a"]);
        assert_eq!(
            (measurements[0].values.as_slice(), measurements[1].values.as_slice()),
            (&[1.0, 1.0][..], &[2.0, 2.0][..])
        );
        assert_eq!(
            (measurements[2].values.len(), measurements[2].beside.as_str()),
            (0, "round 1 failed: no / such thing")
        );
    }
}
