//! Who reads the pad while the worker that trains has no engine: a small worker on the CPU.

use inkling_core::protocol::{Command, EngineReport, EngineRequest, Event, NetworkReport};
use inkling_core::spec::EngineChoice;
use leptos::prelude::*;

use super::Page;
use crate::link::BUILD;
use crate::link::client::{Client, Kind};

/// A worker that reads.
pub(super) struct Reader {
    pub(super) client: Client,
    /// Its network is at hand.
    pub(super) reads: bool,
    pub(super) engine: Option<EngineReport>,
    pub(super) network: Option<NetworkReport>,
}

impl Page {
    /// Has a small worker read.
    pub(super) fn spawn_reader(self, kind: Kind) {
        // Without it the pad waits, as it does for everything else.
        let Ok(client) = self.call(kind) else { return };
        self.line.update_value(|line| {
            line.engines.reader = Some(Reader { client, reads: false, engine: None, network: None });
        });
    }

    pub(super) fn hear_reader(self, event: Event) {
        match event {
            Event::Ready { build } if build == BUILD => {
                let model = self.spec.with_untracked(|spec| spec.model);
                self.with_reader(|reader| {
                    reader.client.listens();
                    reader.client.send(Command::Open(EngineRequest::new(EngineChoice::Cpu, model)));
                });
            }
            Event::Engine(report) => self.with_reader(|reader| reader.engine = Some(report)),
            Event::Using(network) => self.reader_uses(network),
            Event::Restored(_) => {
                self.with_reader(|reader| reader.reads = true);
                self.ask_again();
            }
            Event::Predicted { version, prediction } => self.answered(version, prediction),
            Event::Ready { .. } | Event::Failed(_) | Event::Crashed(_) => self.lose_reader(),
            _ => {}
        }
    }

    fn with_reader(self, change: impl FnOnce(&mut Reader)) {
        self.line.update_value(|line| {
            if let Some(reader) = &mut line.engines.reader {
                change(reader);
            }
        });
    }

    /// The reader has the network that came with the page, and takes that of the snapshot if there is one.
    fn reader_uses(self, network: NetworkReport) {
        let taken = self.line.try_update_value(|line| {
            let snapshot = line.engines.loss.snapshot.clone();
            let reader = line.engines.reader.as_mut()?;
            reader.network = Some(network.clone());
            reader.reads = snapshot.is_none();
            snapshot.iter().for_each(|snapshot| reader.client.restore(snapshot, false, 1));
            reader.reads.then_some(network)
        });
        if let Some(network) = taken.flatten() {
            let opening = self.run.with_untracked(|run| run.engine.is_none());
            if opening {
                self.run.update(|run| run.apply(&Event::Using(network)));
            }
            self.ask_again();
        }
    }

    /// The reader is gone: one that did not load is replaced by one that does.
    pub(super) fn lose_reader(self) {
        let kind = self.line.try_update_value(|line| {
            line.question.lost();
            line.engines.reader.take().and_then(|reader| reader.client.substitute())
        });
        if let Some(kind) = kind.flatten() {
            self.spawn_reader(kind);
        }
    }

    /// The one who trains reads too, from now on.
    pub(super) fn dismiss_reader(self) {
        self.line.update_value(|line| {
            line.engines.reader = None;
            line.question.lost();
        });
    }
}
