//! Which worker trains, and which worker predicts while none can train. A graphics card takes seconds to open and can
//! be lost; the pad never waits for either.

use inkling_core::protocol::{
    Command, EngineKind, EngineReport, EngineRequest, Event, Fault, Kernels, Message, Phase, Progress,
};
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, EngineChoice};
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Page;
use super::predictor::Predictor;
use super::recovery::Recovery;
use crate::link::client::{Client, Kind, WorkerMessage};
use crate::link::{BUILD, browser};

/// Local storage key for the kernels that were measured to be faster on this browser's graphics card.
const KERNELS: &str = "inkling-kernels";

/// The engines of the page.
#[derive(Default)]
pub(super) struct Engines {
    /// Predicts on the CPU while the training worker has no engine.
    pub(super) predictor: Option<Predictor>,
    /// How to continue after the graphics card was lost.
    pub(super) recovery: Recovery,
    /// The browser was asked for an adapter and has not answered yet.
    is_searching: bool,
    /// Why the CPU is used although a graphics card was wanted.
    fallback_reason: Option<String>,
    /// Use the graphics card even if it fails its self-test.
    pub(super) untested: bool,
    /// Do not patch WebGPU's classes.
    pub(super) unpatched: bool,
    /// Serial number of the newest worker.
    serial: u32,
}

impl Engines {
    pub(super) fn is_searching(&self) -> bool {
        self.is_searching
    }

    fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }
}

impl Page {
    /// Replaces all workers and opens the chosen engine. The last run's results stay visible.
    pub(super) fn restart_workers(self) {
        self.worker_link.update_value(|link| link.engines.recovery = Recovery::default());
        self.recovering.set(false);
        self.change_engine();
    }

    /// The same, but a run that waits for its recovery from a lost graphics card resumes on the chosen engine.
    pub(super) fn change_engine(self) {
        self.apply_pending();
        self.worker_link.update_value(|link| {
            let engines = &mut link.engines;
            engines.predictor = None;
            engines.recovery.restart();
            (engines.is_searching, engines.fallback_reason) = (false, None);
            // Dropping the client also drops messages that are still on their way.
            link.client = None;
        });
        self.run.update(if self.recovering.get_untracked() { Run::on_engine_lost } else { Run::on_new_worker });
        self.spawn_workers();
    }

    fn spawn_workers(self) {
        match self.spec.with_untracked(|spec| spec.engine) {
            EngineChoice::Auto => {
                self.spawn_predictor(Kind::for_cpu());
                self.find_adapter();
            }
            EngineChoice::WebGpu => {
                self.spawn_predictor(Kind::for_cpu());
                self.spawn_client(Kind::Graphics);
            }
            _ => self.spawn_client(Kind::for_cpu()),
        }
    }

    /// Asks the browser for an adapter. The large worker is worth loading only for a hardware adapter.
    fn find_adapter(self) {
        self.run.update(|run| run.apply(&Event::Progress(Progress { phase: Phase::Engine, done: 0, total: 0 }).into()));
        self.worker_link.update_value(|link| (link.needs_new_worker, link.engines.is_searching) = (false, true));
        spawn_local(async move {
            let found = inkling_gpu_adapter::find(false).await;
            // The user may have chosen another engine meanwhile.
            match found {
                _ if !self.worker_link.with_value(|link| link.engines.is_searching) => {}
                Ok(_) => self.spawn_client(Kind::Graphics),
                Err(why) => self.use_cpu(why),
            }
        });
    }

    /// Starts a training worker of this kind.
    pub(super) fn spawn_client(self, kind: Kind) {
        self.apply_pending();
        match self.spawn_worker(kind) {
            Ok(client) => self.set_client(Some(client)),
            Err(fault) => {
                self.set_client(None);
                self.fail(fault);
            }
        }
    }

    /// Replaces the training worker. The new one knows neither the pending prediction nor the user data set.
    fn set_client(self, client: Option<Client>) {
        self.worker_link.update_value(|link| {
            link.client = client;
            link.latest_prediction.on_lost();
            link.user_data.on_worker_replaced();
            (link.needs_new_worker, link.n_silent_checks, link.engines.is_searching) = (false, 0, false);
        });
    }

    /// Starts a worker of this kind, with a serial number of its own.
    pub(super) fn spawn_worker(self, kind: Kind) -> Result<Client, Fault> {
        let serial = self.worker_link.try_update_value(|link| link.engines.next_serial()).unwrap_or_default();
        Client::spawn(kind, serial, move |message| self.on_message_from(serial, message))
    }

    /// Passes a message to the handler of its worker. Messages of replaced workers are ignored.
    fn on_message_from(self, serial: u32, message: WorkerMessage) {
        let is_sender = |client: Option<&Client>| client.is_some_and(|client| client.serial == serial);
        let (from_trainer, from_predictor) = self.worker_link.with_value(|link| {
            let predictor = link.engines.predictor.as_ref().map(|predictor| &predictor.client);
            (is_sender(link.client.as_ref()), is_sender(predictor))
        });
        match message {
            message if from_trainer => self.on_message(message),
            WorkerMessage::Dead(_) | WorkerMessage::Unreadable(_) if from_predictor => self.replace_predictor(),
            WorkerMessage::Message(message) if from_predictor => self.on_predictor_message(message),
            _ => {}
        }
    }

    /// Whether the training worker is of this kind.
    pub(super) fn trains_on(self, kind: Kind) -> bool {
        self.worker_link.with_value(|link| link.client.as_ref().is_some_and(|client| client.kind == kind))
    }

    /// Has the training worker open its engine. Called once it receives messages.
    pub(super) fn open_engine(self) {
        let (choice, model) = self.spec.with_untracked(|spec| (spec.engine, spec.model));
        let choice = if self.trains_on(Kind::Graphics) { choice } else { EngineChoice::Cpu };
        let (untested, patches, starts) =
            self.worker_link.with_value(|link| (link.engines.untested, !link.engines.unpatched, link.start_when_open));
        let needs_mnist = starts && self.spec.with_untracked(|spec| spec.dataset == DatasetId::Mnist);
        let kernels = browser::load(KERNELS).and_then(|text| Kernels::from_stored(&text, BUILD));
        self.send(Command::Open(EngineRequest { choice, model, untested, patches, kernels, needs_mnist }));
    }

    /// Stores the kernels that were measured on the graphics card, for the next visit.
    pub(super) fn store_kernels(self, report: &EngineReport) {
        if let Some(kernels) = report.kernels {
            browser::store(KERNELS, &kernels.to_stored(BUILD));
        }
    }

    /// No graphics card can be used, for the reason `why`: the predictor becomes the training worker.
    pub(super) fn use_cpu(self, why: String) {
        let predictor = self.worker_link.try_update_value(|link| {
            link.engines.fallback_reason = Some(why);
            link.engines.predictor.take()
        });
        let Some(Predictor { client, engine, network, state, .. }) = predictor.flatten() else {
            self.run.update(Run::on_engine_lost);
            return self.spawn_client(Kind::for_cpu());
        };
        self.set_client(Some(client));
        // Replays what the predictor reported before it became the training worker.
        let reports = [engine.map(Event::Engine), network.map(Event::ModelLoaded), state.map(Event::State)];
        reports.into_iter().flatten().for_each(|event| self.on_message(WorkerMessage::Message(event.into())));
    }

    /// Adds the reason why no graphics card is used to the report of a CPU engine. Other messages stay as they are.
    pub(super) fn with_fallback_reason(self, mut message: Message) -> Message {
        if let Event::Engine(EngineReport { kind: EngineKind::Cpu, fallback_reason, .. }) = &mut message.event {
            let known = self.worker_link.with_value(|link| link.engines.fallback_reason.clone());
            *fallback_reason = fallback_reason.take().or(known);
        }
        message
    }

    /// Whether the user left the choice of the engine to the page.
    pub(super) fn is_auto(self) -> bool {
        self.spec.with_untracked(|spec| spec.engine == EngineChoice::Auto)
    }
}
