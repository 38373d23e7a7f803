//! The reader: a small CPU worker that predicts the digit on the pad while the training worker has no engine. It never
//! trains, unless it becomes the training worker.

use inkling_core::protocol::{Command, EngineReport, EngineRequest, Event, NetworkReport};
use inkling_core::spec::EngineChoice;
use leptos::prelude::*;

use super::Page;
use crate::link::BUILD;
use crate::link::client::{Client, Kind};

/// A worker that only predicts.
pub(super) struct Reader {
    pub(super) client: Client,
    /// Its network is loaded: it answers predictions.
    pub(super) is_ready: bool,
    /// Its engine, once it is open.
    pub(super) engine: Option<EngineReport>,
    /// The network that it loaded first.
    pub(super) network: Option<NetworkReport>,
}

impl Page {
    /// Starts a reader.
    pub(super) fn spawn_reader(self, kind: Kind) {
        // Without a reader, predictions wait until the training worker has an engine.
        let Ok(client) = self.spawn_worker(kind) else { return };
        self.worker_link.update_value(|link| {
            link.engines.reader = Some(Reader { client, is_ready: false, engine: None, network: None });
        });
    }

    /// Handles an event of the reader.
    pub(super) fn on_reader_event(self, event: Event) {
        match event {
            Event::Ready { build } if build == BUILD => {
                let model = self.spec.with_untracked(|spec| spec.model);
                self.update_reader(|reader| {
                    reader.client.listens();
                    reader.client.send(Command::Open(EngineRequest::new(EngineChoice::Cpu, model)));
                });
            }
            Event::Engine(report) => self.update_reader(|reader| reader.engine = Some(report)),
            Event::ModelLoaded(network) => self.on_reader_model(network),
            Event::Restored(_) => {
                self.update_reader(|reader| reader.is_ready = true);
                self.request_prediction();
            }
            Event::Predicted { version, prediction } => self.on_prediction(version, prediction),
            Event::Ready { .. } | Event::Failed(_) | Event::Crashed(_) => self.replace_reader(),
            _ => {}
        }
    }

    fn update_reader(self, change: impl FnOnce(&mut Reader)) {
        self.worker_link.update_value(|link| {
            if let Some(reader) = &mut link.engines.reader {
                change(reader);
            }
        });
    }

    /// The reader loaded its first network. If there is a snapshot of a lost run, the reader restores that network too.
    fn on_reader_model(self, network: NetworkReport) {
        let ready = self.worker_link.try_update_value(|link| {
            let snapshot = link.engines.recovery.snapshot.clone();
            let reader = link.engines.reader.as_mut()?;
            reader.network = Some(network.clone());
            reader.is_ready = snapshot.is_none();
            snapshot.iter().for_each(|snapshot| reader.client.restore(snapshot, false, 1));
            reader.is_ready.then_some(network)
        });
        if let Some(network) = ready.flatten() {
            let opening = self.run.with_untracked(|run| run.engine.is_none());
            if opening {
                self.run.update(|run| run.apply(&Event::ModelLoaded(network)));
            }
            self.request_prediction();
        }
    }

    /// The reader failed. If its program did not load, a reader with the substitute program replaces it.
    pub(super) fn replace_reader(self) {
        let substitute = self.worker_link.try_update_value(|link| {
            link.latest_prediction.on_worker_replaced();
            link.engines.reader.take().and_then(|reader| reader.client.substitute())
        });
        if let Some(kind) = substitute.flatten() {
            self.spawn_reader(kind);
        }
    }

    /// Ends the reader: from now on the training worker predicts.
    pub(super) fn end_reader(self) {
        self.worker_link.update_value(|link| {
            link.engines.reader = None;
            link.latest_prediction.on_worker_replaced();
        });
    }
}
