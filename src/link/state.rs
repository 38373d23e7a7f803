//! The page's state as signals around [`Run`], and the actions of the user. It never holds a view.

mod engines;
mod predictions;
mod predictor;
mod recovery;
mod worker_link;

use gloo::timers::callback::Interval;
use inkling_core::preprocess;
use inkling_core::protocol::{Activity, Command, Event, Fault, Offer, Phase, Progress, RunState, SessionState};
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, IMAGE_PIXELS, ModelId, Prediction, TrainSpec};
use leptos::prelude::*;
use worker_link::WorkerLink;

use crate::link::browser;
use crate::model::address::{self, Address, Parameter};
use crate::model::drawing::Drawing;
use crate::model::model_status;
use crate::model::user_files::Files;

/// Milliseconds between two checks whether a busy worker still sends messages.
const SILENCE_CHECK_MILLIS: u32 = 5_000;

/// The state of the whole page. Copies are handles to the same signals, which the root component owns.
#[derive(Clone, Copy)]
pub struct Page {
    /// The engine and the current run.
    pub run: RwSignal<Run>,
    /// The settings of the next run.
    pub spec: RwSignal<TrainSpec>,
    /// Settings whose form fields hold an invalid value.
    pub invalid: RwSignal<Vec<Parameter>>,
    /// The strokes on the pad.
    pub drawing: RwSignal<Drawing>,
    /// The network's input for the drawing: 784 bytes, row by row. `None` while the pad is empty.
    pub pixels: Memo<Option<[u8; IMAGE_PIXELS]>>,
    /// The newest prediction for the drawing, with the number of its request. It is separate from `run`, so that it is shown without
    /// delay.
    pub answer: RwSignal<(u64, Option<Prediction>)>,
    /// Messages about the address, user files and lost graphics cards that the user has not dismissed.
    pub messages: RwSignal<Vec<String>>,
    /// A run waits to be resumed after the graphics card was lost.
    pub recovering: RwSignal<bool>,
    /// A user data set is available for training.
    pub has_user_data: RwSignal<bool>,
    /// The pretrained networks of the other models predict together with the current network, as an ensemble.
    pub ensemble: RwSignal<bool>,
    worker_link: StoredValue<WorkerLink, LocalStorage>,
}

impl Page {
    /// Creates the page with the settings of its address, and starts its first worker.
    pub fn open() -> Self {
        let Address { spec, start, unpatched, messages } = Address::read(browser::parameters(), browser::n_cores());
        let drawing = RwSignal::new(Drawing::default());
        let page = Self {
            run: RwSignal::new(Run::default()),
            spec: RwSignal::new(spec),
            invalid: RwSignal::default(),
            drawing,
            pixels: Memo::new(move |_| drawing.with(|drawing| preprocess::prepare(drawing.strokes()))),
            answer: RwSignal::new((0, None)),
            messages: RwSignal::new(messages),
            recovering: RwSignal::new(false),
            has_user_data: RwSignal::new(false),
            ensemble: RwSignal::new(false),
            worker_link: StoredValue::new_local(WorkerLink::default()),
        };
        page.worker_link.update_value(|link| (link.start_when_open, link.engines.unpatched) = (start, unpatched));
        page.restart_workers();
        Interval::new(SILENCE_CHECK_MILLIS, move || page.check_silence()).forget();
        Effect::new(move |_| page.pixels.with(|pixels| page.on_drawing(pixels.is_some())));
        page
    }

    /// Sets the settings of the next run and writes them to the address. Another engine choice restarts the workers.
    /// Another model is loaded for predictions, and its recipe resets every form field.
    pub fn set_spec(self, spec: TrainSpec) {
        let other = |is: fn(&TrainSpec, &TrainSpec) -> bool| self.spec.with_untracked(|old| is(old, &spec));
        let other_engine = other(|old, new| old.engine != new.engine);
        let other_model = other(|old, new| old.model != new.model);
        browser::replace_address(&address::query(&spec));
        self.spec.set(spec);
        if other_model {
            self.invalid.set(Vec::new());
        }
        if other_engine {
            self.change_engine();
        } else if other_model {
            self.load_chosen_model();
        }
    }

    /// Resets the recipe and the split to those of the chosen model.
    pub fn reset_recipe(self) {
        self.invalid.set(Vec::new());
        self.set_spec(self.spec.with_untracked(address::by_own_recipe));
    }

    /// Loads the chosen model for predictions, pretrained where there are weights. Ends an evaluation or a measurement.
    /// Does nothing during a run.
    fn load_chosen_model(self) {
        if self.run.with_untracked(model_status::can_load_model) {
            self.send(Command::LoadModel(self.spec.with_untracked(|spec| spec.model)));
        }
    }

    /// Evaluates the current network on the test images.
    pub fn evaluate(self) {
        let spec =
            self.run.with_untracked(|run| self.spec.with_untracked(|chosen| model_status::evaluated_on(run, chosen)));
        // Shown until the session answers, so that a second click does not start a second evaluation.
        self.expect_activity(Activity::Evaluating, Phase::Test);
        self.send_user_data(&spec.dataset);
        self.send(Command::Evaluate(spec));
    }

    fn expect_activity(self, activity: Activity, phase: Phase) {
        self.run.update(|run| {
            run.expect(SessionState { run: run.state, activity: Some(activity) });
            run.apply(&Event::Progress(Progress { phase, done: 0, total: 0 }).into());
        });
    }

    /// Measures the training speed of the current engine.
    pub fn measure(self) {
        // Shown until the session answers, so that a second click does not restart the measurement.
        self.expect_activity(Activity::Measuring, Phase::Measure);
        self.send(Command::Measure { workers: self.spec.with_untracked(|spec| spec.workers) });
    }

    /// Starts the sprint: the fastest recipe for 99 % test accuracy, with the chosen engine, seed and workers.
    pub fn sprint(self) {
        let TrainSpec { engine, seed, workers, .. } = self.spec.get_untracked();
        self.set_spec(TrainSpec { engine, seed, workers, ..TrainSpec::of(ModelId::Sprint) });
        // Form fields that were invalid now hold the sprint's values.
        self.invalid.set(Vec::new());
        self.start();
    }

    /// Copies the settings of a recorded run; the chosen engine stays.
    pub fn repeat(self, recorded: &TrainSpec) {
        let engine = self.spec.with_untracked(|spec| spec.engine);
        self.set_spec(TrainSpec { engine, ..recorded.clone() });
        // Form fields that were invalid now hold the recorded run's values.
        self.invalid.set(Vec::new());
    }

    /// Switches the ensemble on or off. When it is off, the current network predicts alone.
    pub fn set_ensemble(self, active: bool) {
        self.ensemble.set(active);
        if self.run.with_untracked(|run| run.engine.is_some()) {
            self.send(Command::SetEnsemble(active));
        }
    }

    /// Submits files as the user data set, now or as soon as an engine is open. The session validates them. During a
    /// run it only asks the user to stop the run first.
    pub fn add_user_files(self, files: Files) {
        let busy = |run: &Run| run.engine.is_some() && model_status::is_running(run);
        if self.run.with_untracked(busy) {
            self.add_message("A run is in progress. Stop it, then add the files again.");
            return;
        }
        let disconnected = self.worker_link.try_update_value(|link| {
            link.user_data.add(files);
            link.is_disconnected()
        });
        if disconnected == Some(true) { self.restart_workers() } else { self.submit_files() }
    }

    /// Shows a message: the problem and its remedy. A message that is already shown moves to the end.
    pub fn add_message(self, message: &str) {
        self.messages.update(|messages| {
            messages.retain(|known| known != message);
            messages.push(message.into());
        });
    }

    /// Sends pending user files to the session for validation, if an engine is open.
    fn submit_files(self) {
        if self.run.with_untracked(|run| run.engine.is_some()) {
            let command = self.worker_link.try_update_value(|link| link.user_data.submit());
            command.flatten().into_iter().for_each(|command| self.send(command));
        }
    }

    /// Sends the user data set before a command that needs it, unless the worker has it already.
    fn send_user_data(self, dataset: &DatasetId) {
        if *dataset == DatasetId::UserFiles {
            let command = self.worker_link.try_update_value(|link| link.user_data.load_command());
            command.flatten().into_iter().for_each(|command| self.send(command));
        }
    }

    /// The session accepted the user files: selects them for the next run.
    fn use_user_data(self) {
        if self.worker_link.try_update_value(|link| link.user_data.on_accepted()) == Some(true) {
            self.dismiss();
            self.has_user_data.set(true);
            self.set_spec(self.spec.with_untracked(|spec| TrainSpec { dataset: DatasetId::UserFiles, ..spec.clone() }));
            self.submit_files();
        }
    }

    /// The session rejected user files: shows the reason as a message. The worker stays usable.
    fn on_files_rejected(self, fault: &Fault) {
        self.worker_link.update_value(|link| {
            link.user_data.on_rejected();
        });
        self.add_message(&fault.to_string());
        self.submit_files();
    }

    /// Starts a run with the current settings, now or as soon as an engine is open.
    pub fn start(self) {
        let needs_worker = self.worker_link.try_update_value(|link| {
            link.start_when_open = true;
            link.needs_new_worker || link.is_disconnected()
        });
        if needs_worker == Some(true) {
            self.restart_workers();
        } else if self.run.with_untracked(|run| run.engine.is_some()) {
            self.begin_run();
        }
    }

    /// Pauses the run after the current step.
    pub fn pause(self) {
        if !self.pauses_recovery() {
            self.request_state(RunState::Paused, Command::Pause);
        }
    }

    /// Resumes a paused run.
    pub fn resume(self) {
        self.request_state(RunState::Training, Command::Resume);
    }

    /// Takes one step of a paused run.
    pub fn step(self) {
        self.send(Command::Step);
    }

    /// Ends the run after the current step. The weights stay.
    pub fn stop(self) {
        if !self.stops_recovery() {
            // A run whose images are being loaded has not started, and must not start when another engine opens.
            self.worker_link.update_value(|link| link.start_when_open = false);
            self.request_state(RunState::Finished, Command::Stop);
        }
    }

    /// Sends a command that changes the run's state. The requested state is remembered until the worker confirms it,
    /// because the worker may be lost before.
    fn request_state(self, state: RunState, command: Command) {
        self.worker_link.update_value(|link| link.engines.recovery.requested = Some(state));
        self.send(command);
    }

    /// Clears all messages and the fault. A failed run stays failed.
    pub fn dismiss(self) {
        self.messages.set(Vec::new());
        self.run.update(|run| run.fault = None);
    }

    /// Accepts the offer of a fault and retries.
    pub fn accept_offer(self, offer: Offer) {
        match offer {
            Offer::UseUntested => self.worker_link.update_value(|link| link.engines.untested = true),
            Offer::Reopen => {}
        }
        self.retry();
    }

    /// Restarts the workers, and the run if there was one.
    pub fn retry(self) {
        let had_run = self.run.with_untracked(|run| run.plan.is_some());
        self.dismiss();
        if had_run { self.start() } else { self.restart_workers() }
    }
}
