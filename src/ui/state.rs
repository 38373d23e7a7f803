//! What the page knows, as signals around [`Run`], and what a person can do. Holds no view.

#![cfg(all(feature = "page", target_family = "wasm"))]

use gloo::timers::callback::{Interval, Timeout};
use leptos::prelude::*;

use super::address::{self, Address, Parameter};
use super::browser;
use super::client::{Client, Heard, Kind};
use super::drawing::Drawing;
use super::own::{Files, Own};
use super::question::Question;
use super::worth;
use crate::ink;
use crate::protocol::{self, Command, Event, Fault, Phase, Progress};
use crate::run::{Run, State};
use crate::spec::{DatasetId, EngineChoice, IMAGE_PIXELS, Prediction, TrainSpec};

/// Events that only move figures are shown together, this often.
const REFRESH_MILLIS: u32 = 100;
/// How often silence is noticed, and how many times in a row until the worker counts as dead.
const LISTEN_MILLIS: u32 = 5_000;
const PATIENCE: u32 = 36;

/// Everything on the page. Copies are handles of the same; the root owns it all.
#[derive(Clone, Copy)]
pub struct Page {
    /// The engine and the current run.
    pub run: RwSignal<Run>,
    /// The settings of the next run.
    pub spec: RwSignal<TrainSpec>,
    /// Settings whose fields hold something else than a valid value.
    pub invalid: RwSignal<Vec<Parameter>>,
    /// What is on the pad.
    pub drawing: RwSignal<Drawing>,
    /// The image that the network sees of it.
    pub pixels: Memo<Option<[u8; IMAGE_PIXELS]>>,
    /// The newest answer about it, with its version; kept apart from the run, since it must not wait.
    pub answer: RwSignal<(u64, Option<Prediction>)>,
    /// What is wrong and not dismissed: messages of the address, then of the run.
    pub mistakes: RwSignal<Vec<String>>,
    /// There are images of the person's own to learn from.
    pub has_own: RwSignal<bool>,
    /// The other networks read the pad too.
    pub together: RwSignal<bool>,
    line: StoredValue<Line, LocalStorage>,
}

/// What belongs to the worker of the moment.
#[derive(Default)]
struct Line {
    client: Option<Client>,
    /// Events that wait to be shown.
    waiting: Vec<Event>,
    timer: Option<Timeout>,
    question: Question,
    own: Own,
    /// Something failed: the next start gets a fresh worker.
    doomed: bool,
    /// Start as soon as the engine is open.
    start_when_open: bool,
    /// Times in a row that nothing was heard.
    silence: u32,
}

impl Page {
    /// The page as its address describes it, with a worker on its way.
    pub fn open() -> Self {
        let Address { spec, start, mistakes } = Address::read(browser::parameters());
        let drawing = RwSignal::new(Drawing::default());
        let page = Self {
            run: RwSignal::new(Run::default()),
            spec: RwSignal::new(spec),
            invalid: RwSignal::default(),
            drawing,
            pixels: Memo::new(move |_| drawing.with(|drawing| ink::prepare(drawing.strokes()))),
            answer: RwSignal::new((0, None)),
            mistakes: RwSignal::new(mistakes),
            has_own: RwSignal::new(false),
            together: RwSignal::new(false),
            line: StoredValue::new_local(Line::default()),
        };
        page.line.update_value(|line| line.start_when_open = start);
        page.spawn();
        Interval::new(LISTEN_MILLIS, move || page.listen()).forget();
        Effect::new(move |_| page.pixels.with(|pixels| page.look(pixels.is_some())));
        page
    }

    /// Takes new settings over, into the address too. Another engine needs another worker; another network reads from
    /// now on, and its recipe fills every field anew.
    pub fn adopt(self, spec: TrainSpec) {
        let other = |is: fn(&TrainSpec, &TrainSpec) -> bool| self.spec.with_untracked(|old| is(old, &spec));
        let other_engine = other(|old, new| old.engine != new.engine);
        let other_model = other(|old, new| old.model != new.model);
        browser::replace_address(&address::query(&spec));
        self.spec.set(spec);
        if other_model {
            self.invalid.set(Vec::new());
        }
        if other_engine {
            self.spawn();
        } else if other_model {
            self.use_chosen();
        }
    }

    /// Back to what the chosen network's recipe says, in every field that it decides.
    pub fn reset_recipe(self) {
        self.invalid.set(Vec::new());
        self.adopt(self.spec.with_untracked(address::by_own_recipe));
    }

    /// Takes the chosen network to read with, as it came with the page; not while a run goes on.
    fn use_chosen(self) {
        if self.run.with_untracked(worth::is_idle) {
            self.send(Command::Use(self.spec.with_untracked(|spec| spec.model)));
        }
    }

    /// Judges the network that reads on the test images.
    pub fn judge(self) {
        let spec = self.run.with_untracked(|run| self.spec.with_untracked(|chosen| worth::judged_by(run, chosen)));
        // Until the session answers, so that a second press does not judge twice.
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Test, done: 0, total: 0 })));
        self.bring_own(&spec.dataset);
        self.send(Command::Judge(spec));
    }

    /// Has the other networks read the pad too, or not any more.
    pub fn read_together(self, together: bool) {
        self.together.set(together);
        if self.run.with_untracked(|run| run.engine.is_some()) {
            self.send(Command::Together(together));
        }
    }

    /// Takes files to learn from, if the session finds them right: now, or as soon as an engine is open.
    pub fn offer(self, files: Files) {
        let busy =
            |run: &Run| run.engine.is_some() && matches!(run.state, State::Loading | State::Training | State::Paused);
        if self.run.with_untracked(busy) {
            self.complain("A run is under way. Stop it, then bring the files again.");
            return;
        }
        let alone = self.line.try_update_value(|line| {
            line.own.offer(files);
            line.client.is_none()
        });
        if alone == Some(true) { self.spawn() } else { self.ask_about_files() }
    }

    /// Says what a person did wrong, and what to do.
    pub fn complain(self, mistake: &str) {
        self.mistakes.update(|mistakes| {
            mistakes.retain(|known| known != mistake);
            mistakes.push(mistake.into());
        });
    }

    fn ask_about_files(self) {
        if self.run.with_untracked(|run| run.engine.is_some()) {
            let command = self.line.try_update_value(|line| line.own.ask());
            command.flatten().into_iter().for_each(|command| self.send(command));
        }
    }

    /// A worker that is to work on images of one's own needs them first.
    fn bring_own(self, dataset: &DatasetId) {
        if *dataset == DatasetId::Dropped {
            let command = self.line.try_update_value(|line| line.own.bring());
            command.flatten().into_iter().for_each(|command| self.send(command));
        }
    }

    /// The session has images of one's own: the next run learns from them.
    fn use_own(self) {
        if self.line.try_update_value(|line| line.own.accepted()) == Some(true) {
            self.dismiss();
            self.has_own.set(true);
            self.adopt(self.spec.with_untracked(|spec| TrainSpec { dataset: DatasetId::Dropped, ..spec.clone() }));
            self.ask_about_files();
        }
    }

    /// Whether a failure is about files: it costs nothing else, and the worker is as good as before.
    fn is_about_files(self, fault: &Fault) -> bool {
        let about_files = self.line.try_update_value(|line| line.own.refused()) == Some(true);
        if about_files {
            self.complain(&fault.to_string());
            self.ask_about_files();
        }
        about_files
    }

    /// Begins a run with the present settings.
    pub fn start(self) {
        let fresh = self.line.try_update_value(|line| {
            line.start_when_open = true;
            line.doomed || line.client.is_none()
        });
        if fresh == Some(true) {
            self.spawn();
        } else if self.run.with_untracked(|run| run.engine.is_some()) {
            self.begin();
        }
    }

    pub fn pause(self) {
        self.send(Command::Pause);
    }

    pub fn resume(self) {
        self.send(Command::Resume);
    }

    pub fn step(self) {
        self.send(Command::Step);
    }

    pub fn stop(self) {
        self.send(Command::Stop);
    }

    /// Takes the messages away; what failed stays failed.
    pub fn dismiss(self) {
        self.mistakes.set(Vec::new());
        self.run.update(|run| run.fault = None);
    }

    /// A fresh worker, and the run again if there was one.
    pub fn retry(self) {
        let had_run = self.run.with_untracked(|run| run.plan.is_some());
        self.dismiss();
        if had_run { self.start() } else { self.spawn() }
    }

    /// Ends the worker and starts another. What was shown stays.
    fn spawn(self) {
        let graphics = self.spec.with_untracked(|spec| spec.engine == EngineChoice::WebGpu);
        self.spawn_kind(if graphics { Kind::Graphics } else { Kind::Cpu });
    }

    fn spawn_kind(self, kind: Kind) {
        self.show_waiting();
        let client = Client::spawn(kind, move |heard| self.hear(heard));
        let fault = self.line.try_update_value(|line| {
            line.question.lost();
            line.own.lost();
            (line.doomed, line.silence) = (false, 0);
            match client {
                Ok(client) => {
                    line.client = Some(client);
                    None
                }
                Err(fault) => Some(fault),
            }
        });
        match fault.flatten() {
            Some(fault) => self.die(fault),
            None => self.run.update(Run::renew),
        }
    }

    fn begin(self) {
        self.line.update_value(|line| line.start_when_open = false);
        // Until the session answers, so that a second press does not start a second run.
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Data, done: 0, total: 0 })));
        let spec = self.spec.get_untracked();
        self.bring_own(&spec.dataset);
        self.send(Command::Start(spec));
    }

    fn send(self, command: Command) {
        self.line.update_value(|line| {
            if let Some(client) = &mut line.client {
                client.send(command);
            }
        });
    }

    fn hear(self, heard: Heard) {
        self.line.update_value(|line| line.silence = 0);
        match heard {
            Heard::Dead(fault) | Heard::Event(Event::Crashed(fault)) => self.die(fault),
            Heard::Event(Event::Ready { protocol, build }) => self.greet(protocol, &build),
            Heard::Event(Event::Predicted { version, prediction }) => self.answered(version, prediction),
            Heard::Event(Event::Failed(fault)) if self.is_about_files(&fault) => {}
            Heard::Event(event) => self.take(event),
        }
    }

    /// A worker of another build may mean other things by its messages: it is not talked to.
    fn greet(self, version: u32, build: &str) {
        if (version, build) == (protocol::VERSION, protocol::BUILD) {
            self.line.update_value(|line| line.client.as_mut().into_iter().for_each(Client::listens));
            self.send(Command::Open(self.spec.with_untracked(|spec| spec.engine)));
        } else if !browser::reload_once(build) {
            self.die(Fault::new(
                "The page and its worker are of different versions",
                "Clear the browser's cache for this site and reload the page.",
            ));
        }
    }

    /// Figures wait a little to be shown together; anything else is shown at once, and in its order.
    fn take(self, event: Event) {
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

    fn show_waiting(self) {
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
            Event::Engine(_) => {
                if self.together.get_untracked() {
                    self.send(Command::Together(true));
                }
                self.ask_again();
                self.ask_about_files();
                if self.line.with_value(|line| line.start_when_open) {
                    self.begin();
                }
            }
            Event::Elsewhere => self.spawn_kind(Kind::Graphics),
            Event::Started(_) => {
                self.line.update_value(|line| line.question.lost());
                self.ask_again();
            }
            Event::Using(network) => {
                self.ask_again();
                // A fresh session reads with the default network.
                if self.spec.with_untracked(|spec| spec.model != network.model) {
                    self.use_chosen();
                }
            }
            Event::Dataset(report) if report.id == DatasetId::Dropped => self.use_own(),
            Event::Stepped(_) | Event::EpochEnded(_) | Event::Together(_) => self.ask_again(),
            Event::Failed(_) => self.line.update_value(|line| {
                line.question.lost();
                (line.doomed, line.start_when_open) = (true, false);
            }),
            _ => {}
        }
    }

    /// The worker is no use any more: says so once, keeps what was shown.
    fn die(self, fault: Fault) {
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
    fn listen(self) {
        let busy = |run: &Run| matches!(run.state, State::Loading | State::Training) || worth::is_judging(run);
        let busy = self.run.with_untracked(busy);
        let silent = self.line.try_update_value(|line| {
            line.silence = if busy && line.client.is_some() { line.silence + 1 } else { 0 };
            line.silence >= PATIENCE
        });
        if silent == Some(true) {
            self.die(Fault::new(
                "Nothing was heard of the worker for three minutes",
                "Try again; if it happens again, choose the CPU engine or a smaller batch.",
            ));
        }
    }

    /// The pad changed.
    fn look(self, has_ink: bool) {
        if has_ink {
            self.ask_again();
        } else {
            self.line.update_value(|line| line.question.forget());
            self.answer.try_update(|(_, prediction)| *prediction = None);
        }
    }

    /// Asks about the pad, now or as soon as the question under way is answered.
    fn ask_again(self) {
        self.line.update_value(|line| line.question.want());
        self.ask();
    }

    fn ask(self) {
        let open = self.run.with_untracked(|run| run.engine.is_some());
        let Some(pixels) = self.pixels.get_untracked().filter(|_| open) else { return };
        self.line.update_value(|line| {
            if let (Some(client), Some(version)) = (&mut line.client, line.question.ask()) {
                client.send(Command::Predict { version, pixels: pixels.to_vec() });
            }
        });
    }

    fn answered(self, version: u64, prediction: Prediction) {
        let current = self.line.try_update_value(|line| line.question.answered(version));
        if current == Some(true) {
            self.answer.try_set((version, Some(prediction)));
        }
        self.ask();
    }
}
