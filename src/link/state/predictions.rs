//! Predictions for the drawing on the pad: requested when the drawing or the network changes, from the worker that can
//! answer. It never decides which worker that is; `engines` does.

use inkling_core::protocol::{Command, Request, RequestId};
use inkling_core::spec::Prediction;
use leptos::prelude::*;

use super::Page;
use super::worker_link::WorkerLink;

impl Page {
    /// The drawing changed: requests a prediction, or clears it when the pad is empty.
    pub(super) fn on_drawing(self, has_ink: bool) {
        if has_ink {
            self.request_prediction();
        } else {
            self.worker_link.update_value(|link| link.latest_prediction.clear());
            self.answer.try_update(|(_, prediction)| *prediction = None);
        }
    }

    /// Requests a prediction for the drawing, now or as soon as the pending request is answered.
    pub(super) fn request_prediction(self) {
        self.worker_link.update_value(|link| link.latest_prediction.request());
        self.send_prediction_request();
    }

    /// Sends the wanted request to the predictor, or to the training worker when there is no predictor.
    fn send_prediction_request(self) {
        let is_open = self.run.with_untracked(|run| run.engine.is_some());
        let Some(pixels) = self.pixels.get_untracked() else { return };
        if !self.worker_link.with_value(|link| link.latest_prediction.is_due()) {
            return;
        }
        let (id, shifts) = (self.next_request(), false);
        self.worker_link.update_value(|link| {
            let WorkerLink { client, engines, latest_prediction, .. } = link;
            let predictor = match &mut engines.predictor {
                Some(predictor) => Some(&mut predictor.client).filter(|_| predictor.is_ready),
                None => client.as_mut().filter(|_| is_open),
            };
            let Some(client) = predictor else { return };
            client.send(Request { id, command: Command::Predict { pixels: pixels.to_vec(), shifts } });
            latest_prediction.on_sent(id);
        });
    }

    /// A prediction arrived: shows it unless it is stale, and sends the next request if one is wanted.
    pub(super) fn on_prediction(self, request: RequestId, mut predictions: Vec<Prediction>) {
        let current = self.worker_link.try_update_value(|link| link.latest_prediction.on_answer(request));
        if current == Some(true) {
            self.answer.try_set((request.0, predictions.pop()));
        }
        self.send_prediction_request();
    }
}
