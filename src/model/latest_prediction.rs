//! Schedules prediction requests for the drawing: one at a time, always for the newest drawing. Pure: it never sends.

/// Keeps at most one request in flight, because the pen may move faster than the network predicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatestPrediction {
    /// Version of the newest request.
    version: u64,
    /// A request was sent and is not answered yet.
    in_flight: bool,
    /// The drawing or the network changed since the newest request.
    wanted: bool,
    /// Answers up to this version are for a drawing that was cleared.
    stale_until: u64,
}

impl LatestPrediction {
    /// The drawing or the network changed: a new request is wanted.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// Returns the version to send with a request, or `None` when none is wanted or one is in flight.
    pub fn next_request(&mut self) -> Option<u64> {
        if !self.wanted || self.in_flight {
            return None;
        }
        (self.wanted, self.in_flight) = (false, true);
        self.version += 1;
        Some(self.version)
    }

    /// An answer arrived. Returns whether it is for a drawing that is still on the pad.
    pub fn on_answer(&mut self, version: u64) -> bool {
        if version == self.version {
            self.in_flight = false;
        }
        version > self.stale_until
    }

    /// The pad was cleared: answers to earlier requests are stale.
    pub fn clear(&mut self) {
        self.stale_until = self.version;
        self.wanted = false;
    }

    /// The worker was replaced or restarted: the request in flight will not be answered, so it is wanted again.
    pub fn on_worker_replaced(&mut self) {
        self.wanted |= self.in_flight;
        self.in_flight = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_at_a_time_for_the_newest_drawing() {
        let mut requests = LatestPrediction::default();
        assert_eq!(requests.next_request(), None);
        requests.request();
        assert_eq!(requests.next_request(), Some(1));
        requests.request();
        requests.request();
        assert_eq!(requests.next_request(), None);
        assert!(requests.on_answer(1));
        assert_eq!(requests.next_request(), Some(2));
        assert!(requests.on_answer(2));
        assert_eq!(requests.next_request(), None);
    }

    #[test]
    fn an_answer_about_a_cleared_pad_is_stale() {
        let mut requests = LatestPrediction::default();
        requests.request();
        requests.next_request();
        requests.clear();
        assert!(!requests.on_answer(1));
        requests.request();
        assert_eq!(requests.next_request(), Some(2));
        assert!(requests.on_answer(2));
    }

    #[test]
    fn a_lost_request_is_sent_again() {
        let mut requests = LatestPrediction::default();
        requests.request();
        requests.next_request();
        requests.on_worker_replaced();
        assert_eq!(requests.next_request(), Some(2));
    }
}
