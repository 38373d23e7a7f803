//! Which worker trains, and who reads the pad while none does: a graphics card takes seconds to open and can be lost, and
//! the pad waits for neither.

#![cfg(all(feature = "page", target_family = "wasm"))]

use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Page;
use crate::protocol::{
    self, Command, EngineKind, EngineReport, EngineRequest, Event, Fault, NetworkReport, Offer, Phase, Progress,
};
use crate::run::{Run, State};
use crate::spec::EngineChoice;
use crate::ui::client::{Client, Heard, Kind, Snapshot};
use crate::webgpu;

/// What every message about a lost card begins with.
pub(super) const LOST: &str = "The graphics card was lost";
/// How often in an epoch a lost card is opened again.
const MOST_LOST: usize = 2;

/// The engines of the page.
#[derive(Default)]
pub(super) struct Engines {
    /// A small worker that reads on the CPU while the one that trains has no engine.
    pub(super) reader: Option<Reader>,
    /// What a run can go on from; after it, its network.
    pub(super) snapshot: Option<Snapshot>,
    /// What to do with it as soon as an engine is open.
    resume: Option<Resume>,
    /// The worker that trains was told so and has not answered yet.
    restoring: Option<Resume>,
    /// How often a card was lost in this epoch.
    pub(super) n_lost: usize,
    /// The browser is being asked for a card.
    looking: bool,
    /// Why the CPU computes although a card was wanted.
    passed_over: Option<String>,
    /// A graphics card is used whatever its self-test says.
    pub(super) untested: bool,
    /// WebGPU's classes stay as they are.
    pub(super) unpatched: bool,
    /// Of the last worker, or the last question about a card.
    serial: u32,
}

/// A worker that reads.
pub(super) struct Reader {
    pub(super) client: Client,
    /// Its network is at hand.
    pub(super) reads: bool,
    engine: Option<EngineReport>,
    network: Option<NetworkReport>,
}

/// How to go on.
#[derive(Clone, Copy)]
struct Resume {
    /// A run was under way.
    go_on: bool,
    paused: bool,
}

impl Engines {
    pub(super) fn is_looking(&self) -> bool {
        self.looking
    }

    /// Whether the network at hand is about to be that of the snapshot.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// The snapshot was restored, or could not be.
    pub(super) fn restored(&mut self) {
        self.restoring = None;
    }

    /// Another run begins: the last one's snapshot is not its.
    pub(super) fn begin_run(&mut self) {
        (self.snapshot, self.n_lost) = (None, 0);
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
            (engines.reader, engines.snapshot, engines.resume) = (None, None, None);
            (engines.restoring, engines.n_lost, engines.looking, engines.passed_over) = (None, 0, false, None);
            // Whoever was there is not heard any more.
            line.client = None;
        });
        self.run.update(Run::renew);
        self.open_workers();
    }

    fn open_workers(self) {
        match self.spec.with_untracked(|spec| spec.engine) {
            EngineChoice::Auto => {
                self.spawn_reader();
                self.look_for_card();
            }
            EngineChoice::WebGpu => {
                self.spawn_reader();
                self.spawn_client(Kind::Graphics);
            }
            _ => self.spawn_client(Kind::for_cpu()),
        }
    }

    /// Asks the browser for a card: the large worker is worth loading only for a real one.
    fn look_for_card(self) {
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Engine, done: 0, total: 0 })));
        let asked = self.line.try_update_value(|line| {
            (line.doomed, line.engines.looking) = (false, true);
            line.engines.next_serial()
        });
        spawn_local(async move {
            let found = webgpu::find(false).await;
            let current = self.line.try_update_value(|line| {
                let current = line.engines.looking && line.client.is_none();
                line.engines.looking &= !current;
                current
            });
            match found {
                _ if current != Some(true) || asked.is_none() => {}
                Ok(_) => self.spawn_client(Kind::Graphics),
                Err(why) => self.take_cpu(why),
            }
        });
    }

    /// Has a worker open an engine and train.
    pub(super) fn spawn_client(self, kind: Kind) {
        self.show_waiting();
        let client = self.call(kind);
        let fault = self.line.try_update_value(|line| {
            line.question.lost();
            line.own.lost();
            (line.doomed, line.silence, line.engines.looking) = (false, 0, false);
            match client {
                Ok(client) => {
                    line.client = Some(client);
                    None
                }
                Err(fault) => Some(fault),
            }
        });
        if let Some(fault) = fault.flatten() {
            self.die(fault);
        }
    }

    /// Has a small worker read.
    fn spawn_reader(self) {
        // Without it the pad waits, as it does for everything else.
        let Ok(client) = self.call(Kind::for_cpu()) else { return };
        self.line.update_value(|line| {
            line.engines.reader = Some(Reader { client, reads: false, engine: None, network: None });
        });
    }

    fn call(self, kind: Kind) -> Result<Client, Fault> {
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
        self.send(Command::Open(EngineRequest { choice, model, untested, patches }));
    }

    fn hear_reader(self, event: Event) {
        match event {
            Event::Ready { protocol, build } if (protocol, &*build) == (protocol::VERSION, protocol::BUILD) => {
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
            let snapshot = line.engines.snapshot.clone();
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
    fn lose_reader(self) {
        let kind = self.line.try_update_value(|line| {
            line.question.lost();
            line.engines.reader.take().and_then(|reader| reader.client.substitute())
        });
        if let Some(kind) = kind.flatten()
            && let Ok(client) = self.call(kind)
        {
            self.line.update_value(|line| {
                line.engines.reader = Some(Reader { client, reads: false, engine: None, network: None });
            });
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
        self.line.update_value(|line| {
            line.client = Some(client);
            (line.doomed, line.silence, line.engines.looking) = (false, 0, false);
            line.question.lost();
            line.own.lost();
        });
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

    /// An engine is open: goes on with what was lost, if something was.
    pub(super) fn go_on(self) {
        let resume = self.line.try_update_value(|line| {
            let resume = line.engines.resume.take().filter(|_| line.engines.snapshot.is_some());
            line.engines.restoring = resume;
            if resume.is_none() {
                line.engines.reader = None;
            }
            resume
        });
        let Some(Resume { go_on, paused }) = resume.flatten() else { return };
        let dataset = self.run.with_untracked(|run| run.plan.as_ref().map(|plan| plan.spec.dataset.clone()));
        dataset.iter().for_each(|dataset| self.bring_own(dataset));
        let workers = self.spec.with_untracked(|spec| spec.workers);
        self.line.update_value(|line| {
            if let (Some(client), Some(snapshot)) = (&line.client, &line.engines.snapshot) {
                client.restore(snapshot, go_on, workers);
            }
        });
        if paused {
            self.send(Command::Pause);
        }
    }

    /// Says how it went on, where it was told that a card was lost.
    pub(super) fn tell_of_loss(self, told: Option<String>) {
        let is_told = |known: &String| known.starts_with(LOST);
        if self.mistakes.with_untracked(|mistakes| mistakes.iter().any(is_told)) {
            self.mistakes.update(|mistakes| mistakes.retain(|known| !is_told(known)));
            told.iter().for_each(|told| self.complain(told));
        }
    }

    /// Whether a failure is that of a card, and something else computes instead.
    pub(super) fn is_recovered(self, fault: &Fault) -> bool {
        let lost = self.line.with_value(|line| line.engines.n_lost > 0);
        let opening = self.run.with_untracked(|run| run.engine.is_none());
        match fault.offer {
            _ if !self.is_on(Kind::Graphics) => return false,
            Some(Offer::Reopen) => self.reopen(),
            // A network that this card computes wrongly: nobody asked for this card.
            Some(Offer::UseUntested) if self.is_auto() => self.take_cpu(reason(fault)),
            // It was there and cannot be had again.
            _ if lost && opening => self.take_cpu(reason(fault)),
            _ => return false,
        }
        true
    }

    fn is_auto(self) -> bool {
        self.spec.with_untracked(|spec| spec.engine == EngineChoice::Auto)
    }

    /// The worker that trains is gone; with a card, something else may go on.
    pub(super) fn broke_down(self, fault: Fault) {
        let lost = self.line.with_value(|line| line.engines.n_lost > 0);
        match self.run.with_untracked(|run| run.engine.is_some()) {
            _ if !self.is_on(Kind::Graphics) => self.die(fault),
            true => self.reopen(),
            false if lost || self.is_auto() => self.take_cpu(fault.what),
            false => self.die(fault),
        }
    }

    /// The card is lost. A reader takes its place at the pad, and a fresh worker opens it again, or the CPU computes.
    fn reopen(self) {
        self.show_waiting();
        let state = self.run.with_untracked(|run| run.state);
        let going = matches!(state, State::Training | State::Paused);
        let again = self.line.try_update_value(|line| {
            line.client = None;
            line.question.lost();
            let engines = &mut line.engines;
            engines.n_lost += 1;
            let trained = engines.snapshot.is_some();
            let resume = Resume { go_on: going, paused: state == State::Paused };
            let before = engines.resume.take().or(engines.restoring.take());
            engines.resume = before.or_else(|| trained.then_some(resume));
            // Lost before anything could be kept: begins anew.
            line.start_when_open |= going && !trained;
            engines.n_lost <= MOST_LOST
        });
        self.run.update(Run::reopen);
        self.complain(&format!(
            "{LOST}. {}.",
            if going { "The run goes on in a moment" } else { "It is opened again" }
        ));
        if self.line.with_value(|line| line.engines.reader.is_none()) {
            self.spawn_reader();
        }
        if again == Some(true) {
            self.spawn_client(Kind::Graphics);
        } else {
            self.take_cpu("the graphics card was lost again and again".into());
        }
    }
}

/// Why an engine cannot be used: what comes behind its name.
fn reason(fault: &Fault) -> String {
    fault.what.split_once(": ").map_or(&*fault.what, |(_, why)| why).to_owned()
}
