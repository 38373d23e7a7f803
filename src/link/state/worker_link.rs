//! The connection to the current training worker: which commands it gets, how its events reach the signals, and which
//! commands the page sends by itself after an event. It never chooses an engine; `engines` and `recovery` do.

use gloo::timers::callback::Timeout;
use inkling_core::protocol::{
    Command, CommandName, EngineKind, Event, Fault, Message, Phase, Progress, Request, RequestId, RunState,
    SessionState,
};
use inkling_core::run::Run;
use inkling_core::spec::DatasetId;
use leptos::prelude::*;

use super::Page;
use super::engines::Engines;
use super::recovery::{CARD_LOST, Recovery};
use crate::link::client::{Client, Kind, WorkerMessage};
use crate::link::{BUILD, browser};
use crate::model::latest_prediction::LatestPrediction;
use crate::model::user_files::UserData;
use crate::model::{labels, model_status};

/// Milliseconds for which progress events are collected before they are shown together.
const REFRESH_MILLIS: u32 = 100;
/// Consecutive silent checks after which a busy worker counts as failed: three minutes.
const MAX_SILENT_CHECKS: u32 = 36;
/// Consecutive silent checks after which a program for graphics cards that is still not loaded counts as failed: half a
/// minute. Its three megabytes take longer on the slowest connections; those train sooner on the CPU.
const MAX_LOADING_CHECKS: u32 = 6;

/// The state that belongs to the current training worker.
#[derive(Default)]
pub(super) struct WorkerLink {
    /// The training worker.
    pub(super) client: Option<Client>,
    pub(super) engines: Engines,
    /// Number of requests sent, to any worker.
    n_requests: u64,
    /// Messages that are not applied to the run yet.
    pub(super) pending_messages: Vec<Message>,
    /// Set while the next refresh is scheduled.
    pub(super) refresh_timer: Option<Timeout>,
    pub(super) latest_prediction: LatestPrediction,
    pub(super) user_data: UserData,
    /// Something failed: the next start needs a new worker.
    pub(super) needs_new_worker: bool,
    /// Start a run as soon as an engine is open. Cleared when the run has started.
    pub(super) start_when_open: bool,
    /// Consecutive checks without a message from a busy worker.
    pub(super) n_silent_checks: u32,
}

impl WorkerLink {
    /// There is no training worker, and none is going to be spawned.
    pub(super) fn is_disconnected(&self) -> bool {
        self.client.is_none() && !self.engines.is_searching()
    }
}

impl Page {
    /// Starts a run with the current settings on the open engine.
    pub(super) fn begin_run(self) {
        // Shown until the session answers, so that a second click does not start a second run.
        self.run.update(|run| {
            run.expect(SessionState { run: RunState::Loading, activity: None });
            run.apply(&Event::Progress(Progress { phase: Phase::Data, done: 0, total: 0 }).into());
        });
        let spec = self.spec.get_untracked();
        self.send_user_data(&spec.dataset);
        self.send(Command::Start(spec));
    }

    /// Sends a command to the training worker, if there is one.
    pub(super) fn send(self, command: Command) {
        let id = self.next_request();
        self.worker_link.update_value(|link| {
            if let Some(client) = &mut link.client {
                client.send(Request { id, command });
            }
        });
    }

    /// The id of a new request, greater than any before, whichever worker gets it.
    pub(super) fn next_request(self) -> RequestId {
        let number = self.worker_link.try_update_value(|link| {
            link.n_requests += 1;
            link.n_requests
        });
        RequestId(number.unwrap_or_default())
    }

    /// Handles a message of the training worker.
    pub(super) fn on_message(self, message: WorkerMessage) {
        self.worker_link.update_value(|link| link.n_silent_checks = 0);
        match message {
            WorkerMessage::Dead(fault) => {
                match self.worker_link.with_value(|link| link.client.as_ref().and_then(Client::substitute)) {
                    Some(kind) => self.spawn_client(kind),
                    None => self.on_worker_failed(fault),
                }
            }
            // Another build may encode its first message in another way.
            WorkerMessage::Unreadable(_)
                if self.worker_link.with_value(|link| link.client.as_ref().is_some_and(|it| !it.is_loaded())) =>
            {
                self.on_ready("unknown");
            }
            WorkerMessage::Unreadable(fault) => self.on_worker_failed(fault),
            WorkerMessage::Message(message) => self.on_session_message(message),
            WorkerMessage::Checkpoint(request, checkpoint) => {
                // Not one of a run that has been replaced meanwhile.
                if self.run.with_untracked(|run| run.id == Some(request)) {
                    self.worker_link.update_value(|link| link.engines.recovery.checkpoint = Some(checkpoint));
                }
            }
        }
    }

    /// Handles a message of the training worker's session.
    fn on_session_message(self, message: Message) {
        let recovery = |is: fn(&Recovery) -> bool| self.worker_link.with_value(|link| is(&link.engines.recovery));
        match message.event {
            Event::Crashed(fault) => self.on_worker_failed(fault),
            Event::Ready { build } => self.on_ready(&build),
            Event::Predicted(predictions) => self.on_prediction(message.request, predictions),
            Event::Engine(report) if report.kind == EngineKind::Cpu && self.trains_on(Kind::Graphics) => {
                self.use_cpu(report.fallback_reason.unwrap_or_default());
            }
            // The worker loads its first network before it restores the checkpoint's.
            Event::ModelLoaded(_) if recovery(Recovery::is_restoring) => {}
            Event::Restored(ref restored)
                if self.worker_link.with_value(|link| link.engines.recovery.is_outdated(restored.goes_on)) => {}
            Event::Failed { command: CommandName::LoadUserFiles, ref fault } => self.on_files_rejected(fault),
            Event::Failed { ref fault, .. } if self.recovers_from(fault) => {}
            _ => self.queue(message),
        }
    }

    /// The worker receives messages: opens its engine. The protocol may differ between builds, so a worker of another
    /// build gets no commands.
    fn on_ready(self, build: &str) {
        if build == BUILD {
            self.worker_link.update_value(|link| link.client.as_mut().into_iter().for_each(Client::on_ready));
            self.open_engine();
        } else if !browser::reload_once(build) {
            self.fail(Fault::new(
                "The page and its worker are different versions",
                "Clear the browser's cache for this site and reload the page.",
            ));
        }
    }

    /// Queues a message. Steps and progress wait for the next refresh. Any other event is applied at once, after those
    /// queued before it.
    pub(super) fn queue(self, message: Message) {
        let message = self.with_fallback_reason(message);
        let can_wait = matches!(message.event, Event::Stepped(_) | Event::Progress(_));
        let queued = self.worker_link.try_update_value(|link| {
            link.pending_messages.push(message);
            if can_wait && link.refresh_timer.is_none() {
                link.refresh_timer = Some(Timeout::new(REFRESH_MILLIS, move || self.apply_pending()));
            }
        });
        if queued.is_some() && !can_wait {
            self.apply_pending();
        }
    }

    /// Applies all pending messages to the run.
    pub(super) fn apply_pending(self) {
        let messages = self.worker_link.try_update_value(|link| {
            link.refresh_timer = None;
            std::mem::take(&mut link.pending_messages)
        });
        let messages = messages.unwrap_or_default();
        if !messages.is_empty() {
            self.run.try_update(|run| messages.iter().for_each(|message| run.apply(message)));
            messages.iter().for_each(|message| self.after_event(&message.event));
        }
    }

    /// Updates the connection after an event was applied, and sends the commands that follow from it.
    fn after_event(self, event: &Event) {
        match event {
            Event::Engine(report) => {
                self.store_kernels(report);
                self.restore_lost_run();
                if self.ensemble.get_untracked() {
                    self.send(Command::SetEnsemble(true));
                }
                self.request_prediction();
                self.submit_files();
                if self.worker_link.with_value(|link| link.start_when_open) {
                    self.begin_run();
                }
            }
            Event::Started(_) => {
                self.worker_link.update_value(|link| {
                    link.start_when_open = false;
                    link.latest_prediction.on_lost();
                    link.engines.recovery.begin_run();
                });
                self.recovering.set(false);
                self.report_recovery(Some(format!("{CARD_LOST}. The run started over.")));
                self.request_prediction();
            }
            Event::Restored(_) => {
                self.worker_link.update_value(|link| link.engines.recovery.end_restoring());
                self.recovering.set(false);
                self.end_predictor();
                self.report_recovery(self.run.with_untracked(labels::resumed_message));
                self.request_prediction();
            }
            Event::ModelLoaded(_) => {
                self.worker_link.update_value(|link| link.engines.recovery.checkpoint = None);
                self.request_prediction();
            }
            Event::State(state) => self.after_state(*state),
            Event::Dataset(report) if report.id == DatasetId::UserFiles => self.use_user_data(),
            Event::EpochEnded(_) => {
                self.worker_link.update_value(|link| link.engines.recovery.n_losses = 0);
                self.request_prediction();
            }
            Event::Stepped(_) | Event::EnsembleChanged(_) => self.request_prediction(),
            Event::Failed { command, .. } if !command.ends_run() => {
                self.worker_link.update_value(|link| link.latest_prediction.on_lost());
            }
            Event::Failed { .. } => {
                self.recovering.set(false);
                self.worker_link.update_value(|link| {
                    link.latest_prediction.on_lost();
                    (link.needs_new_worker, link.start_when_open) = (true, false);
                    link.engines.recovery.end_restoring();
                    link.engines.recovery.requested = None;
                });
            }
            _ => {}
        }
    }

    /// The session has entered a state: a request for it is answered.
    fn after_state(self, state: SessionState) {
        self.worker_link.update_value(|link| {
            let ended = !matches!(state.run, RunState::Loading | RunState::Training | RunState::Paused);
            link.engines.recovery.requested.take_if(|requested| ended || *requested == state.run);
        });
        // The user may have chosen another model while the engine was opening. A run that is about to start loads its
        // own model.
        let starting = self.worker_link.with_value(|link| link.start_when_open);
        let loaded = self.run.with_untracked(|run| run.network.as_ref().map(|network| network.model));
        let is_other = |model| self.spec.with_untracked(|spec| spec.model != model);
        if state.run == RunState::Ready && !starting && loaded.is_some_and(is_other) {
            self.load_chosen_model();
        }
    }

    /// The training worker cannot be used any more: reports the fault once. The results so far stay visible.
    pub(super) fn fail(self, fault: Fault) {
        self.apply_pending();
        let first = self.worker_link.try_update_value(|link| {
            link.client = None;
            link.latest_prediction.on_lost();
            link.start_when_open = false;
            !std::mem::replace(&mut link.needs_new_worker, true)
        });
        self.recovering.set(false);
        // A worker reports its own panic before the browser reports that the worker ended.
        if first == Some(true) {
            self.run.update(|run| run.apply(&Event::Crashed(fault).into()));
        }
    }

    /// Counts checks without a message, not wall-clock time, because a laptop may have been asleep. Too many of them in
    /// a row from a busy worker count as its failure.
    pub(super) fn check_silence(self) {
        let busy = |run: &Run| {
            matches!(run.state, RunState::Loading | RunState::Training)
                || model_status::is_evaluating(run)
                || model_status::is_measuring(run)
        };
        let busy = self.run.with_untracked(busy);
        let checked = self.worker_link.try_update_value(|link| {
            link.n_silent_checks = if busy && link.client.is_some() { link.n_silent_checks + 1 } else { 0 };
            let loading = link.client.as_ref().is_some_and(|it| it.kind == Kind::Graphics && !it.is_loaded());
            (link.n_silent_checks >= MAX_SILENT_CHECKS, loading && link.n_silent_checks >= MAX_LOADING_CHECKS)
        });
        let (silent, not_loaded) = checked.unwrap_or_default();
        if not_loaded {
            self.on_worker_failed(Kind::Graphics.load_fault());
        } else if silent {
            self.on_worker_failed(Fault::new(
                "The worker has not responded for three minutes",
                "Try again; if it happens again, choose the CPU engine or a smaller batch.",
            ));
        }
    }
}
