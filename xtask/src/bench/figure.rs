//! Measured figures: what, how, and the values of all rounds. Pure but for [`repeat`], which calls what measures.

use anyhow::Result;

use crate::say;

/// One line of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// How: engine, batch, images.
    pub how: String,
    /// Of the values: `images/s`, `ms`, `MB`.
    pub unit: &'static str,
    /// One for each round, or one for each of many trials; none when it was not measured.
    pub values: Vec<f64>,
    /// What to hold it against: a ratio, a share, a limit; or why it was not measured.
    pub beside: String,
}

impl Figure {
    /// A figure without values yet.
    pub fn new(what: impl Into<String>, how: impl Into<String>, unit: &'static str) -> Self {
        Self { what: what.into(), how: how.into(), unit, ..Self::default() }
    }

    /// The same with these values.
    pub fn with(self, values: Vec<f64>) -> Self {
        Self { values, ..self }
    }

    /// The same with a remark.
    pub fn beside(self, beside: impl Into<String>) -> Self {
        Self { beside: beside.into(), ..self }
    }

    /// Something that was left out, and why.
    pub fn not_run(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(what, "", "").beside(why)
    }

    /// The middle of all values; of an even number the mean of the two in the middle.
    pub fn median(&self) -> Option<f64> {
        let sorted = self.sorted();
        let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
        Some((low + high) / 2.0)
    }

    /// The smallest value that this share of all values does not exceed.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let sorted = self.sorted();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).copied()
    }

    /// The median with its unit.
    pub fn told(&self) -> String {
        self.median().map_or("not run".into(), |median| format!("{} {}", number(median), self.unit).trim_end().into())
    }

    /// From the least to the greatest value, where there are several.
    pub fn range(&self) -> String {
        match self.sorted().as_slice() {
            [least, .., greatest] => format!("{} to {} (n = {})", number(*least), number(*greatest), self.values.len()),
            _ => String::new(),
        }
    }

    /// Adds a remark to those that are there.
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

/// The ratio of two figures of the same rounds, round by round.
pub fn ratio(ours: &Figure, theirs: &Figure) -> Figure {
    let values = ours.values.iter().zip(&theirs.values).map(|(ours, theirs)| ours / theirs).collect();
    Figure::new(format!("{} ÷ {}", ours.what, theirs.what), "round by round", "×").with(values)
}

/// A number with three digits that count, more before the point.
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

/// What measures once and gives one value for each figure.
type Measure<'a> = Box<dyn FnMut() -> Result<Vec<f64>> + 'a>;

/// Something that is measured once in each round: the figures that it fills, and what measures.
pub struct Case<'a> {
    pub figures: Vec<Figure>,
    pub measure: Measure<'a>,
}

/// Measures every case once in each round, one after the other: what slows the machine down for a while then falls on
/// all of them alike. A case that fails is told of and left out of the rounds that follow.
pub fn repeat(n_rounds: usize, mut cases: Vec<Case<'_>>) -> Vec<Figure> {
    for round in 1..=n_rounds {
        for case in cases.iter_mut().filter(|case| case.figures[0].values.len() + 1 == round) {
            case.take(round, n_rounds);
        }
    }
    cases.into_iter().flat_map(|case| case.figures).collect()
}

impl Case<'_> {
    fn take(&mut self, round: usize, n_rounds: usize) {
        match (self.measure)() {
            Ok(values) => {
                for (figure, value) in self.figures.iter_mut().zip(values) {
                    figure.values.push(value);
                    let Figure { what, how, unit, .. } = figure;
                    say(format!("{what} ({how}): {} {unit}, round {round} of {n_rounds}", number(value)));
                }
            }
            Err(error) => {
                say(format!("{}: failed: {error:#}", self.figures[0].what));
                self.figures.iter_mut().for_each(|figure| figure.remark(&failure(round, &error)));
            }
        }
    }
}

/// A failure in the table: the first line of what was said.
pub fn failure(round: usize, error: &anyhow::Error) -> String {
    let told = format!("{error:#}");
    format!("round {round} failed: {}", told.lines().next().unwrap_or_default().replace('|', "/"))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    fn figure(values: &[f64]) -> Figure {
        Figure::new("a", "b", "ms").with(values.to_vec())
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(figure(&[9.0, 1.0, 5.0]).median(), Some(5.0));
        assert_eq!(figure(&[4.0, 1.0, 2.0, 9.0]).median(), Some(3.0));
        assert_eq!(figure(&[]).median(), None);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(figure(&hundred).percentile(0.95), Some(95.0));
        assert_eq!(figure(&[3.0]).percentile(0.95), Some(3.0));
        assert_eq!(figure(&[]).percentile(0.95), None);
    }

    #[test]
    fn numbers_are_told_as_precisely_as_they_are_known() {
        let told = [0.456, 9.999, 12.34, 99.96, 1234.5, 12_345_678.0, -1234.0].map(number);
        assert_eq!(told, ["0.46", "10.0", "12.3", "100", "1,234", "12,345,678", "-1,234"]);
        assert_eq!(figure(&[1.0, 30.0, 2.0]).range(), "1.00 to 30.0 (n = 3)");
        assert_eq!((figure(&[2.0]).told().as_str(), figure(&[2.0]).range().as_str()), ("2.00 ms", ""));
        assert_eq!(Figure::not_run("a", "why").told(), "not run");
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let ratio = ratio(&figure(&[2.0, 9.0]), &figure(&[1.0, 3.0, 5.0]));
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
            Case { figures: vec![figure(&[]), figure(&[])], measure: Box::new(measure) }
        };
        let figures = repeat(2, vec![case("a", false), case("b", true)]);
        assert_eq!(*order.borrow(), ["a", "b", "a"]);
        assert_eq!((figures[0].values.as_slice(), figures[1].values.as_slice()), (&[1.0, 1.0][..], &[2.0, 2.0][..]));
        assert_eq!((figures[2].values.len(), figures[2].beside.as_str()), (0, "round 1 failed: no / such thing"));
    }
}
