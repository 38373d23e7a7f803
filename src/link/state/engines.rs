//! Which worker trains, and who reads the pad while none does: a graphics card takes seconds to open and can be lost, and
//! the pad waits for neither.

use inkling_core::protocol::{
    Command, EngineKind, EngineReport, EngineRequest, Event, Fault, Kernels, Phase, Progress,
};
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, EngineChoice};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Page;
use super::loss::Loss;
use super::reader::Reader;
use crate::link::client::{Client, Heard, Kind};
use crate::link::{BUILD, browser};

/// Where a browser keeps which kernels are faster on its card.
const KERNELS: &str = "inkling-kernels";

/// The engines of the page.
#[derive(Default)]
pub(super) struct Engines {
    /// A small worker that reads on the CPU while the one that trains has no engine.
    pub(super) reader: Option<Reader>,
    /// What to do should the card be lost, or since it was.
    pub(super) loss: Loss,
    /// The browser is being asked for a card.
    looking: bool,
    /// Why the CPU computes although a card was wanted.
    passed_over: Option<String>,
    /// A graphics card is used whatever its self-test says.
    pub(super) untested: bool,
    /// WebGPU's classes stay as they are.
    pub(super) unpatched: bool,
    /// Of the last worker.
    serial: u32,
}

impl Engines {
    pub(super) fn is_looking(&self) -> bool {
        self.looking
    }

    fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }
}

impl Page {
    /// Opens the engine that is chosen, with fresh workers. What was shown stays.
    pub(super) fn spawn(self) {
        self.show_waiting();
        self.line.update_value(|line| {
            let engines = &mut line.engines;
            (engines.reader, engines.loss) = (None, Loss::default());
            (engines.looking, engines.passed_over) = (false, None);
            // Whoever was there is not heard any more.
            line.client = None;
        });
        self.run.update(Run::renew);
        self.open_workers();
    }

    fn open_workers(self) {
        match self.spec.with_untracked(|spec| spec.engine) {
            EngineChoice::Auto => {
                self.spawn_reader(Kind::for_cpu());
                self.look_for_card();
            }
            EngineChoice::WebGpu => {
                self.spawn_reader(Kind::for_cpu());
                self.spawn_client(Kind::Graphics);
            }
            _ => self.spawn_client(Kind::for_cpu()),
        }
    }

    /// Asks the browser for a card: the large worker is worth loading only for a real one.
    fn look_for_card(self) {
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Engine, done: 0, total: 0 })));
        self.line.update_value(|line| (line.doomed, line.engines.looking) = (false, true));
        spawn_local(async move {
            let found = inkling_adapter::find(false).await;
            // Another engine may have been chosen meanwhile.
            match found {
                _ if !self.line.with_value(|line| line.engines.looking) => {}
                Ok(_) => self.spawn_client(Kind::Graphics),
                Err(why) => self.take_cpu(why),
            }
        });
    }

    /// Has a worker open an engine and train.
    pub(super) fn spawn_client(self, kind: Kind) {
        self.show_waiting();
        match self.call(kind) {
            Ok(client) => self.seat(Some(client)),
            Err(fault) => {
                self.seat(None);
                self.die(fault);
            }
        }
    }

    /// Whoever trained before knows nothing of what this one is asked.
    fn seat(self, client: Option<Client>) {
        self.line.update_value(|line| {
            line.client = client;
            line.question.lost();
            line.own.lost();
            (line.doomed, line.silence, line.engines.looking) = (false, 0, false);
        });
    }

    /// Starts a worker of this kind.
    pub(super) fn call(self, kind: Kind) -> Result<Client, Fault> {
        let serial = self.line.try_update_value(|line| line.engines.next_serial()).unwrap_or_default();
        Client::spawn(kind, serial, move |heard| self.hear_from(serial, heard))
    }

    /// Whoever was sent away is not listened to.
    fn hear_from(self, serial: u32, heard: Heard) {
        let is = |client: Option<&Client>| client.is_some_and(|client| client.serial == serial);
        let (trains, reads) = self.line.with_value(|line| {
            (is(line.client.as_ref()), is(line.engines.reader.as_ref().map(|reader| &reader.client)))
        });
        match heard {
            heard if trains => self.hear(heard),
            Heard::Dead(_) if reads => self.lose_reader(),
            Heard::Event(event) if reads => self.hear_reader(event),
            _ => {}
        }
    }

    /// Whether the worker that trains is of this kind.
    pub(super) fn is_on(self, kind: Kind) -> bool {
        self.line.with_value(|line| line.client.as_ref().is_some_and(|client| client.kind == kind))
    }

    /// The worker that trains listens: has it open its engine.
    pub(super) fn open_engine(self) {
        let (choice, model) = self.spec.with_untracked(|spec| (spec.engine, spec.model));
        let choice = if self.is_on(Kind::Graphics) { choice } else { EngineChoice::Cpu };
        let (untested, patches) = self.line.with_value(|line| (line.engines.untested, !line.engines.unpatched));
        let starts = self.line.with_value(|line| line.start_when_open);
        let needs_mnist = starts && self.spec.with_untracked(|spec| spec.dataset == DatasetId::Mnist);
        let kernels = browser::kept(KERNELS).and_then(|kept| Kernels::kept(&kept, BUILD));
        self.send(Command::Open(EngineRequest { choice, model, untested, patches, kernels, needs_mnist }));
    }

    /// Keeps what was measured of a card, for the next visit.
    pub(super) fn keep_kernels(self, report: &EngineReport) {
        if let Some(kernels) = report.kernels {
            browser::keep(KERNELS, &kernels.to_keep(BUILD));
        }
    }

    /// There is no card to be had: the reader trains from now on.
    pub(super) fn take_cpu(self, why: String) {
        let reader = self.line.try_update_value(|line| {
            line.engines.passed_over = Some(why);
            line.engines.reader.take()
        });
        let Some(Reader { client, engine, network, .. }) = reader.flatten() else {
            self.run.update(Run::reopen);
            return self.spawn_client(Kind::for_cpu());
        };
        self.seat(Some(client));
        // What it said before anybody else was to hear it.
        let told = engine.map(Event::Engine).into_iter().chain(network.map(Event::Using));
        told.for_each(|event| self.hear(Heard::Event(event)));
    }

    /// Why the CPU computes, if a card was wanted, belongs to its report.
    pub(super) fn explained(self, event: Event) -> Event {
        match event {
            Event::Engine(report) if report.kind == EngineKind::Cpu => {
                let passed_over = self.line.with_value(|line| line.engines.passed_over.clone());
                Event::Engine(EngineReport { passed_over: report.passed_over.or(passed_over), ..report })
            }
            event => event,
        }
    }

    pub(super) fn is_auto(self) -> bool {
        self.spec.with_untracked(|spec| spec.engine == EngineChoice::Auto)
    }
}
