//! Schedules prediction requests for the drawing: one at a time, always for the newest drawing. Pure: it never sends.

use inkling_core::protocol::RequestId;

/// Keeps at most one request in flight, because the pen may move faster than the network predicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LatestPrediction {
    /// The newest request; ids grow.
    newest: RequestId,
    /// The newest request is not answered yet.
    in_flight: bool,
    /// The drawing or the network changed since the newest request.
    wanted: bool,
    /// Answers to requests up to this one are for a drawing that was cleared.
    stale_until: RequestId,
}

impl LatestPrediction {
    /// The drawing or the network changed: a new request is wanted.
    pub fn request(&mut self) {
        self.wanted = true;
    }

    /// Whether a request is to be sent now: one is wanted, and none is in flight.
    pub fn is_due(&self) -> bool {
        self.wanted && !self.in_flight
    }

    /// A request was sent.
    pub fn on_sent(&mut self, request: RequestId) {
        (self.newest, self.wanted, self.in_flight) = (request, false, true);
    }

    /// An answer arrived. Returns whether it is for a drawing that is still on the pad.
    pub fn on_answer(&mut self, request: RequestId) -> bool {
        if request == self.newest {
            self.in_flight = false;
        }
        request > self.stale_until
    }

    /// The pad was cleared: answers to earlier requests are stale.
    pub fn clear(&mut self) {
        self.stale_until = self.newest;
        self.wanted = false;
    }

    /// The request in flight will not be answered, because it failed or its worker was replaced: it is wanted again.
    pub fn on_lost(&mut self) {
        self.wanted |= self.in_flight;
        self.in_flight = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a request with this id if one is due; returns whether it was.
    fn send(requests: &mut LatestPrediction, id: u64) -> bool {
        let due = requests.is_due();
        if due {
            requests.on_sent(RequestId(id));
        }
        due
    }

    #[test]
    fn one_request_at_a_time_for_the_newest_drawing() {
        let mut requests = LatestPrediction::default();
        assert!(!requests.is_due());
        requests.request();
        assert!(send(&mut requests, 3));
        requests.request();
        requests.request();
        assert!(!requests.is_due());
        assert!(requests.on_answer(RequestId(3)));
        assert!(send(&mut requests, 7));
        assert!(requests.on_answer(RequestId(7)));
        assert!(!requests.is_due());
    }

    #[test]
    fn an_answer_about_a_cleared_pad_is_stale() {
        let mut requests = LatestPrediction::default();
        requests.request();
        send(&mut requests, 1);
        requests.clear();
        assert!(!requests.on_answer(RequestId(1)));
        requests.request();
        assert!(send(&mut requests, 2));
        assert!(requests.on_answer(RequestId(2)));
    }

    #[test]
    fn a_lost_request_is_sent_again() {
        let mut requests = LatestPrediction::default();
        requests.request();
        send(&mut requests, 1);
        requests.on_lost();
        assert!(send(&mut requests, 2));
    }
}
