//! What the page knows, as signals around [`Run`], and what a person can do. Holds no view.

mod engines;
mod line;
mod loss;
mod reader;

use gloo::timers::callback::Interval;
use inkling_core::preprocess;
use inkling_core::protocol::{Command, Event, Fault, Offer, Phase, Progress};
use inkling_core::run::{Run, State};
use inkling_core::spec::{DatasetId, IMAGE_PIXELS, Prediction, TrainSpec};
use leptos::prelude::*;
use line::Line;

use crate::link::browser;
use crate::model::address::{self, Address, Parameter};
use crate::model::drawing::Drawing;
use crate::model::model_status;
use crate::model::user_files::Files;

/// How often silence is noticed.
const LISTEN_MILLIS: u32 = 5_000;

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

impl Page {
    /// The page as its address describes it, with a worker on its way.
    pub fn open() -> Self {
        let Address { spec, start, unpatched, mistakes } = Address::read(browser::parameters(), browser::n_cores());
        let drawing = RwSignal::new(Drawing::default());
        let page = Self {
            run: RwSignal::new(Run::default()),
            spec: RwSignal::new(spec),
            invalid: RwSignal::default(),
            drawing,
            pixels: Memo::new(move |_| drawing.with(|drawing| preprocess::prepare(drawing.strokes()))),
            answer: RwSignal::new((0, None)),
            mistakes: RwSignal::new(mistakes),
            has_own: RwSignal::new(false),
            together: RwSignal::new(false),
            line: StoredValue::new_local(Line::default()),
        };
        page.line.update_value(|line| (line.start_when_open, line.engines.unpatched) = (start, unpatched));
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
        if self.run.with_untracked(model_status::is_idle) {
            self.send(Command::Use(self.spec.with_untracked(|spec| spec.model)));
        }
    }

    /// Judges the network that reads on the test images.
    pub fn judge(self) {
        let spec =
            self.run.with_untracked(|run| self.spec.with_untracked(|chosen| model_status::judged_by(run, chosen)));
        // Until the session answers, so that a second press does not judge twice.
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Test, done: 0, total: 0 })));
        self.bring_own(&spec.dataset);
        self.send(Command::Judge(spec));
    }

    /// Measures how fast the engine that is open trains.
    pub fn measure(self) {
        // Until the session answers, so that a second press does not begin anew.
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Measure, done: 0, total: 0 })));
        self.send(Command::Measure { workers: self.spec.with_untracked(|spec| spec.workers) });
    }

    /// Trains the quickest network that reads 99 % of the test images rightly, from the seed that is chosen.
    pub fn sprint(self) {
        let TrainSpec { engine, seed, workers, .. } = self.spec.get_untracked();
        self.adopt(TrainSpec { engine, seed, workers, ..TrainSpec::sprint() });
        // The fields that were wrong hold the sprint's values now.
        self.invalid.set(Vec::new());
        self.start();
    }

    /// Takes over the settings of a recorded run, on the engine that is chosen here.
    pub fn repeat(self, recorded: &TrainSpec) {
        let engine = self.spec.with_untracked(|spec| spec.engine);
        self.adopt(TrainSpec { engine, ..recorded.clone() });
        // Fields that were wrong hold the run's values now.
        self.invalid.set(Vec::new());
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
        let busy = |run: &Run| run.engine.is_some() && model_status::is_running(run);
        if self.run.with_untracked(busy) {
            self.complain("A run is under way. Stop it, then bring the files again.");
            return;
        }
        let alone = self.line.try_update_value(|line| {
            line.own.offer(files);
            line.is_dead()
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
            line.doomed || line.is_dead()
        });
        if fresh == Some(true) {
            self.spawn();
        } else if self.run.with_untracked(|run| run.engine.is_some()) {
            self.begin();
        }
    }

    pub fn pause(self) {
        self.want(State::Paused, Command::Pause);
    }

    pub fn resume(self) {
        self.want(State::Training, Command::Resume);
    }

    pub fn step(self) {
        self.send(Command::Step);
    }

    pub fn stop(self) {
        self.want(State::Finished, Command::Stop);
    }

    /// Has the run be in another state, and remembers it until the worker answers: it may be lost before.
    fn want(self, state: State, command: Command) {
        self.line.update_value(|line| line.engines.loss.wanted = Some(state));
        self.send(command);
    }

    /// Takes the messages away; what failed stays failed.
    pub fn dismiss(self) {
        self.mistakes.set(Vec::new());
        self.run.update(|run| run.fault = None);
    }

    /// Does what a fault offers, and tries again.
    pub fn accept(self, offer: Offer) {
        match offer {
            Offer::UseUntested => self.line.update_value(|line| line.engines.untested = true),
            Offer::Reopen => {}
        }
        self.retry();
    }

    /// A fresh worker, and the run again if there was one.
    pub fn retry(self) {
        let had_run = self.run.with_untracked(|run| run.plan.is_some());
        self.dismiss();
        if had_run { self.start() } else { self.spawn() }
    }
}
