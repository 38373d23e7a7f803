//! The line to the worker of the moment: what goes over it, what comes back, and what the page does by itself then.

use gloo::timers::callback::Timeout;
use inkling_core::protocol::{Command, EngineKind, Event, Fault, Phase, Progress};
use inkling_core::run::{Run, State};
use inkling_core::spec::{DatasetId, Prediction};
use leptos::prelude::*;

use super::Page;
use super::engines::Engines;
use super::loss::LOST;
use crate::link::client::{Client, Heard, Kind};
use crate::link::{BUILD, browser};
use crate::model::latest_prediction::Question;
use crate::model::user_files::Own;
use crate::model::{labels, model_status};

/// Events that only move figures are shown together, this often.
const REFRESH_MILLIS: u32 = 100;
/// How many times in a row silence is noticed until the worker counts as dead.
const PATIENCE: u32 = 36;

/// What belongs to the worker of the moment.
#[derive(Default)]
pub(super) struct Line {
    /// The worker that trains.
    pub(super) client: Option<Client>,
    pub(super) engines: Engines,
    /// Events that wait to be shown.
    pub(super) waiting: Vec<Event>,
    pub(super) timer: Option<Timeout>,
    pub(super) question: Question,
    pub(super) own: Own,
    /// Something failed: the next start gets a fresh worker.
    pub(super) doomed: bool,
    /// Start as soon as an engine is open: until a run has begun.
    pub(super) start_when_open: bool,
    /// Times in a row that nothing was heard.
    pub(super) silence: u32,
}

impl Line {
    /// Nobody is there who could train, or is on the way.
    pub(super) fn is_dead(&self) -> bool {
        self.client.is_none() && !self.engines.is_looking()
    }
}

impl Page {
    pub(super) fn begin(self) {
        // Until the session answers, so that a second press does not start a second run.
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Data, done: 0, total: 0 })));
        let spec = self.spec.get_untracked();
        self.bring_own(&spec.dataset);
        self.send(Command::Start(spec));
    }

    pub(super) fn send(self, command: Command) {
        self.line.update_value(|line| {
            if let Some(client) = &mut line.client {
                client.send(command);
            }
        });
    }

    /// What the worker that trains says.
    pub(super) fn hear(self, heard: Heard) {
        self.line.update_value(|line| line.silence = 0);
        match heard {
            Heard::Dead(fault) => {
                match self.line.with_value(|line| line.client.as_ref().and_then(Client::substitute)) {
                    Some(kind) => self.spawn_client(kind),
                    None => self.broke_down(fault),
                }
            }
            Heard::Event(Event::Crashed(fault)) => self.broke_down(fault),
            Heard::Event(Event::Ready { build }) => self.greet(&build),
            Heard::Event(Event::Predicted { version, prediction }) => self.answered(version, prediction),
            Heard::Event(Event::Engine(report)) if report.kind == EngineKind::Cpu && self.is_on(Kind::Graphics) => {
                self.take_cpu(report.passed_over.unwrap_or_default());
            }
            // The network that came with the page, before that of the snapshot.
            Heard::Event(Event::Using(_)) if self.line.with_value(|line| line.engines.loss.is_restoring()) => {}
            Heard::Event(Event::Restored(restored))
                if self.line.with_value(|line| line.engines.loss.is_late(restored.goes_on)) => {}
            Heard::Event(Event::Failed(fault)) if self.is_about_files(&fault) || self.is_recovered(&fault) => {}
            Heard::Event(event) => self.take(event),
            Heard::Snapshot(snapshot) => self.line.update_value(|line| line.engines.loss.snapshot = Some(snapshot)),
        }
    }

    /// A worker of another build may mean other things by its messages: it is not talked to.
    fn greet(self, build: &str) {
        if build == BUILD {
            self.line.update_value(|line| line.client.as_mut().into_iter().for_each(Client::listens));
            self.open_engine();
        } else if !browser::reload_once(build) {
            self.die(Fault::new(
                "The page and its worker are of different versions",
                "Clear the browser's cache for this site and reload the page.",
            ));
        }
    }

    /// Figures wait a little to be shown together; anything else is shown at once, and in its order.
    pub(super) fn take(self, event: Event) {
        let event = self.explained(event);
        let figures = matches!(event, Event::Stepped(_) | Event::Progress(_));
        let waits = self.line.try_update_value(|line| {
            line.waiting.push(event);
            if figures && line.timer.is_none() {
                line.timer = Some(Timeout::new(REFRESH_MILLIS, move || self.show_waiting()));
            }
        });
        if waits.is_some() && !figures {
            self.show_waiting();
        }
    }

    pub(super) fn show_waiting(self) {
        let events = self.line.try_update_value(|line| {
            line.timer = None;
            std::mem::take(&mut line.waiting)
        });
        let events = events.unwrap_or_default();
        if !events.is_empty() {
            self.run.try_update(|run| events.iter().for_each(|event| run.apply(event)));
            events.iter().for_each(|event| self.follow(event));
        }
    }

    /// What the page does by itself after an event.
    fn follow(self, event: &Event) {
        match event {
            Event::Engine(report) => {
                self.keep_kernels(report);
                self.go_on();
                if self.together.get_untracked() {
                    self.send(Command::Together(true));
                }
                self.ask_again();
                self.ask_about_files();
                if self.line.with_value(|line| line.start_when_open) {
                    self.begin();
                }
            }
            Event::Started(_) => {
                self.line.update_value(|line| {
                    line.start_when_open = false;
                    line.question.lost();
                    line.engines.loss.begin_run();
                });
                self.tell_of_loss(Some(format!("{LOST}. The run began anew.")));
                self.ask_again();
            }
            Event::Restored(_) => {
                self.line.update_value(|line| line.engines.loss.restored());
                self.dismiss_reader();
                self.tell_of_loss(self.run.with_untracked(labels::went_on));
                self.ask_again();
            }
            Event::Using(network) => {
                self.line.update_value(|line| line.engines.loss.snapshot = None);
                self.ask_again();
                // A fresh session reads with the default network. A run that is about to begin brings its own.
                let starting = self.line.with_value(|line| line.start_when_open);
                if !starting && self.spec.with_untracked(|spec| spec.model != network.model) {
                    self.use_chosen();
                }
            }
            Event::Dataset(report) if report.id == DatasetId::Dropped => self.use_own(),
            Event::EpochEnded(_) => {
                self.line.update_value(|line| line.engines.loss.n_lost = 0);
                self.ask_again();
            }
            Event::Stepped(_) | Event::Together(_) => self.ask_again(),
            Event::Paused | Event::Resumed | Event::Stopped | Event::Finished(_) => {
                self.line.update_value(|line| line.engines.loss.wanted = None);
            }
            Event::Failed(_) => self.line.update_value(|line| {
                line.question.lost();
                (line.doomed, line.start_when_open) = (true, false);
                line.engines.loss.restored();
                line.engines.loss.wanted = None;
            }),
            _ => {}
        }
    }

    /// The worker is no use any more: says so once, keeps what was shown.
    pub(super) fn die(self, fault: Fault) {
        self.show_waiting();
        let first = self.line.try_update_value(|line| {
            line.client = None;
            line.question.lost();
            line.start_when_open = false;
            !std::mem::replace(&mut line.doomed, true)
        });
        // A panic is told by the worker itself before the browser tells of its end.
        if first == Some(true) {
            self.run.update(|run| run.apply(&Event::Failed(fault)));
        }
    }

    /// Counts silence in ticks, not in hours: a laptop that slept was not silent.
    pub(super) fn listen(self) {
        let busy = |run: &Run| {
            matches!(run.state, State::Loading | State::Training)
                || model_status::is_judging(run)
                || model_status::is_measuring(run)
        };
        let busy = self.run.with_untracked(busy);
        let silent = self.line.try_update_value(|line| {
            line.silence = if busy && line.client.is_some() { line.silence + 1 } else { 0 };
            line.silence >= PATIENCE
        });
        if silent == Some(true) {
            self.broke_down(Fault::new(
                "Nothing was heard of the worker for three minutes",
                "Try again; if it happens again, choose the CPU engine or a smaller batch.",
            ));
        }
    }

    /// The pad changed.
    pub(super) fn look(self, has_ink: bool) {
        if has_ink {
            self.ask_again();
        } else {
            self.line.update_value(|line| line.question.forget());
            self.answer.try_update(|(_, prediction)| *prediction = None);
        }
    }

    /// Asks about the pad, now or as soon as the question under way is answered.
    pub(super) fn ask_again(self) {
        self.line.update_value(|line| line.question.want());
        self.ask();
    }

    fn ask(self) {
        let open = self.run.with_untracked(|run| run.engine.is_some());
        let Some(pixels) = self.pixels.get_untracked() else { return };
        self.line.update_value(|line| {
            let Line { client, engines, question, .. } = line;
            let asked = match &mut engines.reader {
                Some(reader) => Some(&mut reader.client).filter(|_| reader.reads),
                None => client.as_mut().filter(|_| open),
            };
            let Some(client) = asked else { return };
            if let Some(version) = question.ask() {
                client.send(Command::Predict { version, pixels: pixels.to_vec() });
            }
        });
    }

    pub(super) fn answered(self, version: u64, prediction: Prediction) {
        let current = self.line.try_update_value(|line| line.question.answered(version));
        if current == Some(true) {
            self.answer.try_set((version, Some(prediction)));
        }
        self.ask();
    }
}
