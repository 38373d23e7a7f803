//! The steps of a run for charts: all of a short run, means over several steps of a long one. Its size has a bound.

use crate::protocol::StepReport;
use crate::spec::Metrics;

/// The most entries: more than a chart has pixels. A multiple of 2, because entries are merged in pairs.
const MAX_ENTRIES: usize = 4096;
/// How many steps are also kept one by one: the losses of the first steps tell whether two runs are the same.
const N_FIRST: usize = 10;

/// The steps of a run, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLog {
    /// Complete entries: each is the mean of `stride` steps, named by its last step.
    entries: Vec<StepReport>,
    /// Steps in one entry.
    stride: usize,
    /// The steps after the last complete entry, fewer than `stride`.
    rest: Vec<StepReport>,
    /// The first [`N_FIRST`] steps.
    first: Vec<StepReport>,
    /// The last step.
    last: Option<StepReport>,
}

impl Default for StepLog {
    fn default() -> Self {
        Self { entries: Vec::new(), stride: 1, rest: Vec::new(), first: Vec::new(), last: None }
    }
}

impl StepLog {
    /// Appends steps.
    pub fn extend(&mut self, steps: &[StepReport]) {
        for step in steps {
            if self.first.len() < N_FIRST {
                self.first.push(*step);
            }
            self.rest.push(*step);
            self.last = Some(*step);
            if self.rest.len() == self.stride {
                self.entries.push(mean(&self.rest));
                self.rest.clear();
            }
            if self.entries.len() == MAX_ENTRIES {
                self.entries = self.entries.chunks(2).map(mean).collect();
                self.stride *= 2;
            }
        }
    }

    /// The entries: one per step in a short run; in a long one the mean metrics of several steps, with the number of
    /// the last of them.
    pub fn entries(&self) -> &[StepReport] {
        &self.entries
    }

    /// The first ten steps, one by one.
    pub fn first(&self) -> &[StepReport] {
        &self.first
    }

    /// The last step.
    pub fn last(&self) -> Option<&StepReport> {
        self.last.as_ref()
    }

    /// Number of steps done; 0 before the first.
    pub fn n_steps(&self) -> usize {
        self.last.map_or(0, |step| step.step)
    }

    /// Forgets the steps after step `n_steps`. An entry that also covers later steps is forgotten whole.
    pub fn truncate(&mut self, n_steps: usize) {
        self.entries.retain(|entry| entry.step <= n_steps);
        self.rest.retain(|step| step.step <= n_steps);
        self.first.retain(|step| step.step <= n_steps);
        let last = self.rest.last().or(self.entries.last()).copied();
        self.last = self.last.filter(|step| step.step <= n_steps).or(last);
    }

    /// Forgets all steps.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The mean of the batches of some steps; everything else is that of the last of them.
fn mean(steps: &[StepReport]) -> StepReport {
    let n = steps.len() as f64;
    let mean = |value: fn(&Metrics) -> f64| steps.iter().map(|step| value(&step.batch)).sum::<f64>() / n;
    let batch = Metrics { loss: mean(|metrics| metrics.loss), accuracy: mean(|metrics| metrics.accuracy) };
    StepReport { batch, ..steps[steps.len() - 1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: usize) -> StepReport {
        let batch = Metrics { loss: step as f64, accuracy: 0.5 };
        StepReport { epoch: 1, step, batch, running: Metrics::default(), images_per_second: 1.0 }
    }

    fn log(n_steps: usize) -> StepLog {
        let mut log = StepLog::default();
        log.extend(&(1..=n_steps).map(step).collect::<Vec<_>>());
        log
    }

    #[test]
    fn a_short_run_is_kept_step_by_step() {
        let log = log(300);
        assert_eq!(log.entries(), (1..=300).map(step).collect::<Vec<_>>());
        assert_eq!((log.n_steps(), log.last()), (300, Some(&step(300))));
    }

    #[test]
    fn ten_thousand_epochs_take_no_more_memory_than_ten() {
        // 10,000 epochs of 469 steps.
        let log = log(4_690_000);
        assert!(log.entries.len() < MAX_ENTRIES && log.rest.len() < log.stride, "{}", log.entries.len());
        assert_eq!(log.n_steps(), 4_690_000);
        let (first, second) = (log.entries[0], log.entries[1]);
        assert_eq!((first.step, log.first()), (log.stride, &(1..=10).map(step).collect::<Vec<_>>()[..]));
        assert_eq!(first.batch.loss, (1 + log.stride) as f64 / 2.0, "the mean of steps 1 to {}", log.stride);
        assert_eq!(second.batch.loss - first.batch.loss, log.stride as f64);
    }

    #[test]
    fn a_restored_run_forgets_later_steps() {
        let mut short = log(300);
        short.truncate(200);
        assert_eq!(short, log(200));
        let mut long = log(10_000);
        long.truncate(9_999);
        assert!(long.n_steps() <= 9_999 && long.n_steps() > 9_999 - long.stride);
    }
}
