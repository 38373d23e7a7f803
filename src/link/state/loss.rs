//! What follows when a graphics card is lost: it is opened again, or the CPU computes, and a run goes on from its last
//! snapshot.

use inkling_core::protocol::{Fault, Offer};
use inkling_core::run::{Run, State};
use leptos::prelude::*;

use super::Page;
use super::line::Line;
use crate::link::client::{Kind, Snapshot};

/// What every message about a lost card begins with.
pub(super) const LOST: &str = "The graphics card was lost";
/// How often in an epoch a lost card is opened again.
const MOST_LOST: usize = 2;

/// What to do should the card be lost, or since it was.
#[derive(Default)]
pub(super) struct Loss {
    /// What a run can go on from; after it, its network.
    pub(super) snapshot: Option<Snapshot>,
    /// What to do with it as soon as an engine is open.
    resume: Option<Resume>,
    /// The worker that trains was told so and has not answered yet.
    restoring: Option<Resume>,
    /// How often a card was lost in this epoch.
    pub(super) n_lost: usize,
    /// What a person wants of the run and was not answered yet.
    pub(super) wanted: Option<State>,
}

/// How to go on.
#[derive(Clone, Copy)]
struct Resume {
    /// A run was under way.
    go_on: bool,
    paused: bool,
}

impl Loss {
    /// Whether the network at hand is about to be that of the snapshot.
    pub(super) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// Whether this is not the answer that is waited for: a reader had only to read, and was made to train since.
    pub(super) fn is_late(&self, goes_on: bool) -> bool {
        self.restoring.is_some_and(|resume| resume.go_on != goes_on)
    }

    /// The snapshot was restored, or could not be.
    pub(super) fn restored(&mut self) {
        self.restoring = None;
    }

    /// Another run begins: the last one's snapshot is not its.
    pub(super) fn begin_run(&mut self) {
        *self = Self::default();
    }

    /// How to go on, now that an engine is open.
    fn begin_restoring(&mut self) -> Option<Resume> {
        self.restoring = self.resume.take().filter(|_| self.snapshot.is_some());
        self.restoring
    }
}

impl Line {
    /// Remembers how to go on from where a run in this state was. Says whether a run was under way.
    fn keep_place(&mut self, state: State) -> bool {
        let loss = &mut self.engines.loss;
        loss.n_lost += 1;
        let state = loss.wanted.take().unwrap_or(state);
        let go_on = matches!(state, State::Training | State::Paused);
        // It may be lost again before it went on.
        let before = loss.resume.take().or(loss.restoring.take());
        let resume = before.unwrap_or(Resume { go_on, paused: state == State::Paused });
        let trained = loss.snapshot.is_some();
        loss.resume = trained.then_some(resume);
        // Lost before anything could be kept: begins anew.
        self.start_when_open |= resume.go_on && !trained;
        resume.go_on || self.start_when_open
    }
}

impl Page {
    /// An engine is open: goes on with what was lost, if something was.
    pub(super) fn go_on(self) {
        let resume = self.line.try_update_value(|line| line.engines.loss.begin_restoring());
        let Some(Resume { go_on, paused }) = resume.flatten() else { return self.dismiss_reader() };
        let dataset = self.run.with_untracked(|run| run.plan.as_ref().map(|plan| plan.spec.dataset.clone()));
        dataset.iter().for_each(|dataset| self.bring_own(dataset));
        let workers = self.spec.with_untracked(|spec| spec.workers);
        self.line.update_value(|line| {
            if let (Some(client), Some(snapshot)) = (&line.client, &line.engines.loss.snapshot) {
                client.restore(snapshot, go_on, workers);
            }
        });
        if paused {
            self.pause();
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
        let lost = self.line.with_value(|line| line.engines.loss.n_lost > 0);
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

    /// The worker that trains is gone; with a card, something else may go on.
    pub(super) fn broke_down(self, fault: Fault) {
        let lost = self.line.with_value(|line| line.engines.loss.n_lost > 0);
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
        let going = self.line.try_update_value(|line| {
            line.client = None;
            line.question.lost();
            line.keep_place(state)
        });
        self.run.update(Run::reopen);
        let what_follows = if going == Some(true) { "The run goes on in a moment" } else { "It is opened again" };
        self.complain(&format!("{LOST}. {what_follows}."));
        let (n_lost, reads) = self.line.with_value(|line| (line.engines.loss.n_lost, line.engines.reader.is_some()));
        if !reads {
            self.spawn_reader(Kind::for_cpu());
        }
        if n_lost <= MOST_LOST {
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
