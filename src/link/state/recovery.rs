//! Recovery from a lost graphics card: the card is opened again or the CPU takes over, and the run resumes from its
//! last checkpoint. It never decides which worker predicts meanwhile; `predictor` does.

use inkling_core::protocol::{Fault, Offer, RunState};
use inkling_core::run::Run;
use leptos::prelude::*;

use super::Page;
use super::worker_link::WorkerLink;
use crate::link::client::{Checkpoint, Kind};
use crate::model::model_status;

/// The beginning of every message about a lost graphics card.
pub(super) const CARD_LOST: &str = "The graphics card was lost";
/// How often a lost graphics card is opened again within one epoch.
const MAX_LOSSES: usize = 2;

/// The state of the recovery from a lost graphics card.
#[derive(Default)]
pub(super) struct Recovery {
    /// The last checkpoint of the run. After the run, a checkpoint of its network.
    pub(super) checkpoint: Option<Checkpoint>,
    /// What to restore as soon as an engine is open.
    resume: Option<Resume>,
    /// What the training worker was asked to restore, until it answers.
    restoring: Option<Resume>,
    /// How often the graphics card was lost in this epoch.
    pub(super) n_losses: usize,
    /// The state that the user requested for the run and that the worker has not confirmed yet.
    pub(super) requested: Option<RunState>,
}

/// How to continue from a checkpoint.
#[derive(Clone, Copy)]
struct Resume {
    /// A run was in progress and continues. Otherwise only its network is restored.
    go_on: bool,
    /// The run was paused.
    paused: bool,
}

/// What follows after a graphics card was lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The run resumes, or starts over.
    Resumes,
    /// The run resumes and is paused again.
    Paused,
    /// No run was in progress.
    Opens,
}

impl Next {
    fn sentence(self) -> &'static str {
        match self {
            Self::Resumes => "The run resumes in a moment",
            Self::Paused => "The paused run is restored in a moment",
            Self::Opens => "It is being opened again",
        }
    }
}

impl Recovery {
    /// Whether the training worker was asked to restore a checkpoint and has not answered yet.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// Whether a restored checkpoint is not the one that was asked for. A predictor was first asked for the network alone,
    /// and then became the training worker.
    pub(super) fn is_outdated(&self, goes_on: bool) -> bool {
        self.restoring.is_some_and(|resume| resume.go_on != goes_on)
    }

    /// The checkpoint was restored, or could not be.
    pub(super) fn end_restoring(&mut self) {
        self.restoring = None;
    }

    /// A new run begins: the last run's checkpoint and losses do not apply to it.
    pub(super) fn begin_run(&mut self) {
        *self = Self::default();
    }

    /// The engine is replaced by another. What waits to be restored is restored there; anything else is forgotten.
    pub(super) fn restart(&mut self) {
        let resume = self.resume.take().or(self.restoring.take());
        let checkpoint = self.checkpoint.take().filter(|_| resume.is_some());
        *self = Self { checkpoint, resume, ..Self::default() };
    }

    /// Ends the run that waits to be resumed: only its network is restored. Returns whether there is one.
    fn cancel_resume(&mut self) -> bool {
        self.resume.as_mut().is_some_and(|resume| std::mem::take(&mut resume.go_on))
    }

    /// Pauses the run that waits to be resumed. Returns whether there is one.
    fn pause_resumed(&mut self) -> bool {
        self.resume.as_mut().is_some_and(|resume| {
            resume.paused = true;
            resume.go_on
        })
    }

    /// An engine is open: returns what to restore, if there is a checkpoint.
    fn begin_restoring(&mut self) -> Option<Resume> {
        self.restoring = self.resume.take().filter(|_| self.checkpoint.is_some());
        self.restoring
    }
}

impl WorkerLink {
    /// Remembers how to continue a run that was in this state. Returns what happens next.
    fn prepare_resume(&mut self, state: RunState) -> Next {
        let recovery = &mut self.engines.recovery;
        recovery.n_losses += 1;
        let state = recovery.requested.take().unwrap_or(state);
        let go_on = matches!(state, RunState::Training | RunState::Paused);
        // The card may be lost again before the run resumed.
        let unfinished = recovery.resume.take().or(recovery.restoring.take());
        let resume = unfinished.unwrap_or(Resume { go_on, paused: state == RunState::Paused });
        let has_checkpoint = recovery.checkpoint.is_some();
        recovery.resume = has_checkpoint.then_some(resume);
        // Without a checkpoint the run starts over.
        self.start_when_open |= resume.go_on && !has_checkpoint;
        match resume {
            Resume { go_on: true, paused: true } if has_checkpoint => Next::Paused,
            Resume { go_on, .. } if go_on || self.start_when_open => Next::Resumes,
            _ => Next::Opens,
        }
    }
}

impl Page {
    /// An engine is open: restores the checkpoint of a lost run, if there is one. Otherwise the predictor is not needed any
    /// more.
    pub(super) fn restore_lost_run(self) {
        let resume = self.worker_link.try_update_value(|link| link.engines.recovery.begin_restoring());
        let Some(Resume { go_on, paused }) = resume.flatten() else { return self.end_predictor() };
        let dataset = self.run.with_untracked(|run| run.plan.as_ref().map(|plan| plan.spec.dataset.clone()));
        dataset.iter().for_each(|dataset| self.send_user_data(dataset));
        let (workers, request) = (self.spec.with_untracked(|spec| spec.workers), self.next_request());
        self.worker_link.update_value(|link| {
            if let (Some(client), Some(checkpoint)) = (&link.client, &link.engines.recovery.checkpoint) {
                client.restore(request, checkpoint, go_on, workers);
            }
        });
        if paused {
            self.pause();
        }
    }

    /// Stops the run that waits to be resumed on another engine. Returns whether there is one.
    pub(super) fn stops_recovery(self) -> bool {
        let stopped = self.worker_link.try_update_value(|link| {
            let waits = link.engines.recovery.cancel_resume();
            // Without a checkpoint the run would have started over.
            waits | (link.engines.recovery.n_losses > 0 && std::mem::take(&mut link.start_when_open))
        });
        if stopped == Some(true) {
            self.recovering.set(false);
            // Not a message about the card alone: that disappears when the card is open again.
            self.report_recovery(Some("The run was stopped after its graphics card was lost.".into()));
        }
        stopped == Some(true)
    }

    /// Pauses the run that waits to be resumed. Returns whether there is one.
    pub(super) fn pauses_recovery(self) -> bool {
        let paused = self.worker_link.try_update_value(|link| link.engines.recovery.pause_resumed()) == Some(true);
        if paused {
            self.report_recovery(Some(format!("{CARD_LOST}. {}.", Next::Paused.sentence())));
        }
        paused
    }

    /// Replaces the messages about a lost graphics card by this one. Does nothing if there is none.
    pub(super) fn report_recovery(self, message: Option<String>) {
        let is_loss = |known: &String| known.starts_with(CARD_LOST);
        if self.messages.with_untracked(|messages| messages.iter().any(is_loss)) {
            self.messages.update(|messages| messages.retain(|known| !is_loss(known)));
            message.iter().for_each(|message| self.add_message(message));
        }
    }

    /// Recovers from a fault of the graphics card. Returns whether another engine is being opened because of it.
    pub(super) fn recovers_from(self, fault: &Fault) -> bool {
        let was_lost = self.worker_link.with_value(|link| link.engines.recovery.n_losses > 0);
        let opening = self.run.with_untracked(|run| run.engine.is_none());
        match fault.offer {
            _ if !self.trains_on(Kind::Graphics) => return false,
            Some(Offer::Reopen) => self.reopen_card(),
            // This card computes the network wrongly, and the user did not ask for it by name.
            Some(Offer::UseUntested) if self.is_auto() => self.use_cpu(reason(fault)),
            // The card was open before and cannot be opened again.
            _ if was_lost && opening => self.use_cpu(reason(fault)),
            _ => return false,
        }
        true
    }

    /// The training worker failed. If it used a graphics card, that is opened again or the CPU takes over.
    pub(super) fn on_worker_failed(self, fault: Fault) {
        let was_lost = self.worker_link.with_value(|link| link.engines.recovery.n_losses > 0);
        match self.run.with_untracked(|run| run.engine.is_some()) {
            _ if !self.trains_on(Kind::Graphics) => self.fail(fault),
            true => self.reopen_card(),
            false if was_lost || self.is_auto() => self.use_cpu(fault.what),
            false => self.fail(fault),
        }
    }

    /// The graphics card was lost: a predictor predicts meanwhile, and a new worker opens the card again. After too many
    /// losses the CPU takes over.
    fn reopen_card(self) {
        self.apply_pending();
        let (state, evaluating) = self.run.with_untracked(|run| (run.state, model_status::is_evaluating(run)));
        let next = self.worker_link.try_update_value(|link| {
            link.client = None;
            link.latest_prediction.on_lost();
            link.prepare_resume(state)
        });
        self.run.update(Run::on_engine_lost);
        let next = next.unwrap_or(Next::Opens);
        self.recovering.set(next != Next::Opens);
        self.add_message(&format!("{CARD_LOST}. {}.", next.sentence()));
        if evaluating {
            self.add_message("The evaluation ended when the graphics card was lost. Evaluate again.");
        }
        let (n_losses, has_predictor) =
            self.worker_link.with_value(|link| (link.engines.recovery.n_losses, link.engines.predictor.is_some()));
        if !has_predictor {
            self.spawn_predictor(Kind::for_cpu());
        }
        if n_losses <= MAX_LOSSES {
            self.spawn_client(Kind::Graphics);
        } else {
            self.use_cpu("the graphics card was lost repeatedly".into());
        }
    }
}

/// Why an engine cannot be used: the text after the engine's name.
fn reason(fault: &Fault) -> String {
    fault.what.split_once(": ").map_or(&*fault.what, |(_, why)| why).to_owned()
}
