//! The predictor: a small CPU worker that predicts the digit on the pad while the training worker has no engine. It never
//! trains, unless it becomes the training worker.

use inkling_core::protocol::{
    Command, EngineReport, EngineRequest, Event, Message, NetworkReport, Request, SessionState,
};
use inkling_core::spec::EngineChoice;
use leptos::prelude::*;

use super::Page;
use crate::link::BUILD;
use crate::link::client::{Client, Kind};

/// A worker that only predicts.
pub(super) struct Predictor {
    pub(super) client: Client,
    /// Its network is loaded: it answers predictions.
    pub(super) is_ready: bool,
    /// Its engine, once it is open.
    pub(super) engine: Option<EngineReport>,
    /// The network that it loaded first.
    pub(super) network: Option<NetworkReport>,
    /// What its session does.
    pub(super) state: Option<SessionState>,
}

impl Page {
    /// Starts a predictor.
    pub(super) fn spawn_predictor(self, kind: Kind) {
        // Without a predictor, predictions wait until the training worker has an engine.
        let Ok(client) = self.spawn_worker(kind) else { return };
        self.worker_link.update_value(|link| {
            link.engines.predictor =
                Some(Predictor { client, is_ready: false, engine: None, network: None, state: None });
        });
    }

    /// Handles a message of the predictor.
    pub(super) fn on_predictor_message(self, Message { request, event }: Message) {
        match event {
            Event::Ready { build } if build == BUILD => {
                let model = self.spec.with_untracked(|spec| spec.model);
                let command = Command::Open(EngineRequest::new(EngineChoice::Cpu, model));
                let id = self.next_request();
                self.update_predictor(|predictor| {
                    predictor.client.on_ready();
                    predictor.client.send(Request { id, command });
                });
            }
            Event::Engine(report) => self.update_predictor(|predictor| predictor.engine = Some(report)),
            Event::State(state) => self.update_predictor(|predictor| predictor.state = Some(state)),
            Event::ModelLoaded(network) => self.on_predictor_model(network),
            Event::Restored(_) => {
                self.update_predictor(|predictor| predictor.is_ready = true);
                self.request_prediction();
            }
            Event::Predicted(predictions) => self.on_prediction(request, predictions),
            Event::Ready { .. } | Event::Failed { .. } | Event::Crashed(_) => self.replace_predictor(),
            _ => {}
        }
    }

    fn update_predictor(self, change: impl FnOnce(&mut Predictor)) {
        self.worker_link.update_value(|link| {
            if let Some(predictor) = &mut link.engines.predictor {
                change(predictor);
            }
        });
    }

    /// The predictor loaded its first network. If there is a checkpoint of a lost run, the predictor restores that network too.
    fn on_predictor_model(self, network: NetworkReport) {
        let request = self.next_request();
        let ready = self.worker_link.try_update_value(|link| {
            let checkpoint = link.engines.recovery.checkpoint.clone();
            let predictor = link.engines.predictor.as_mut()?;
            predictor.network = Some(network.clone());
            predictor.is_ready = checkpoint.is_none();
            checkpoint.iter().for_each(|checkpoint| predictor.client.restore(request, checkpoint, false, 1));
            predictor.is_ready.then_some(network)
        });
        if let Some(network) = ready.flatten() {
            let opening = self.run.with_untracked(|run| run.engine.is_none());
            if opening {
                self.run.update(|run| run.apply(&Event::ModelLoaded(network).into()));
            }
            self.request_prediction();
        }
    }

    /// The predictor failed. If its program did not load, a predictor with the substitute program replaces it.
    pub(super) fn replace_predictor(self) {
        let substitute = self.worker_link.try_update_value(|link| {
            link.latest_prediction.on_lost();
            link.engines.predictor.take().and_then(|predictor| predictor.client.substitute())
        });
        if let Some(kind) = substitute.flatten() {
            self.spawn_predictor(kind);
        }
    }

    /// Ends the predictor: from now on the training worker predicts.
    pub(super) fn end_predictor(self) {
        self.worker_link.update_value(|link| {
            link.engines.predictor = None;
            link.latest_prediction.on_lost();
        });
    }
}
