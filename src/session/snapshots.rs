//! When snapshots of a run are taken.

/// A snapshot that takes long is taken less often: not more than this part of the time goes into them.
const AT_MOST: f64 = 0.1;

/// When the last one was taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshots {
    /// Seconds on the host's clock.
    last: f64,
    /// Seconds it took.
    took: f64,
}

impl Snapshots {
    /// Whether it is time for one, where one is wanted every so many seconds.
    pub fn is_due(&self, now: f64, every: f64) -> bool {
        now - self.last >= every.max(self.took / AT_MOST)
    }

    /// A run begins: its first step is worth keeping.
    pub fn begin(&mut self) {
        (self.last, self.took) = (f64::NEG_INFINITY, 0.0);
    }

    /// One was taken.
    pub fn taken(&mut self, began: f64, ended: f64) {
        (self.last, self.took) = (ended, ended - began);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots_take_a_small_part_of_the_time() {
        let mut snapshots = Snapshots::default();
        snapshots.taken(20.0, 20.1);
        assert!(!snapshots.is_due(30.0, 10.0));
        assert!(snapshots.is_due(30.2, 10.0));
        snapshots.taken(30.0, 32.0);
        assert!(!snapshots.is_due(51.0, 10.0), "one that took 2 s comes every 20 s");
        assert!(snapshots.is_due(52.0, 10.0));
    }
}
