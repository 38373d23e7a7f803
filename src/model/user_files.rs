//! The image files that a person brought: which of them the session found right, and which it still has to see. Pure.

use inkling_core::protocol::Command;

/// Files by name and bytes.
pub type Files = Vec<(String, Vec<u8>)>;

/// Keeps files for as long as the tab lives: a fresh worker knows nothing of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Found right.
    kept: Option<Files>,
    /// The worker of the moment has those.
    there: bool,
    /// Sent, and not answered yet.
    asked: Option<Files>,
    /// Not sent yet; only the newest are.
    waiting: Option<Files>,
}

impl Own {
    /// Somebody brings files.
    pub fn offer(&mut self, files: Files) {
        self.waiting = Some(files);
    }

    /// What to ask the session, when it is time to ask.
    pub fn ask(&mut self) -> Option<Command> {
        if self.asked.is_some() {
            return None;
        }
        self.asked = self.waiting.take();
        self.asked.clone().map(Command::Files)
    }

    /// The session has images that were dropped. Says whether it did not have them before.
    pub fn accepted(&mut self) -> bool {
        let Some(files) = self.asked.take() else { return false };
        (self.kept, self.there) = (Some(files), true);
        true
    }

    /// Something failed. Says whether it was files that were asked about; those before stay.
    pub fn refused(&mut self) -> bool {
        self.asked.take().is_some()
    }

    /// What to say before a command that needs the files, if the worker lacks them.
    pub fn bring(&mut self) -> Option<Command> {
        if std::mem::replace(&mut self.there, true) {
            return None;
        }
        self.kept.clone().map(Command::Files)
    }

    /// The worker is gone, and with it what it had and what it was asked.
    pub fn lost(&mut self) {
        self.there = false;
        self.waiting = self.waiting.take().or(self.asked.take());
        self.asked = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> Files {
        vec![(name.into(), vec![1, 2])]
    }

    fn asks(name: &str) -> Option<Command> {
        Some(Command::Files(files(name)))
    }

    #[test]
    fn files_are_asked_about_one_after_the_other() {
        let mut own = Own::default();
        assert_eq!(own.ask(), None);
        own.offer(files("a"));
        assert_eq!(own.ask(), asks("a"));
        own.offer(files("b"));
        own.offer(files("c"));
        assert_eq!(own.ask(), None);
        assert!(own.accepted() && !own.accepted());
        assert_eq!(own.ask(), asks("c"));
    }

    #[test]
    fn wrong_files_leave_those_before() {
        let mut own = Own::default();
        assert!(!own.refused());
        own.offer(files("a"));
        own.ask();
        own.accepted();
        own.offer(files("b"));
        own.ask();
        assert!(own.refused() && !own.refused());
        assert_eq!((own.bring(), own.ask()), (None, None), "the worker has the first ones still");
    }

    #[test]
    fn a_fresh_worker_is_brought_the_files_once_when_it_needs_them() {
        let mut own = Own::default();
        own.offer(files("a"));
        own.ask();
        own.accepted();
        own.lost();
        assert_eq!((own.ask(), own.bring(), own.bring()), (None, asks("a"), None));
    }

    #[test]
    fn a_fresh_worker_is_asked_what_the_old_one_did_not_answer() {
        let mut own = Own::default();
        own.offer(files("a"));
        own.ask();
        own.lost();
        assert_eq!(own.ask(), asks("a"));
        own.offer(files("b"));
        own.lost();
        assert_eq!(own.ask(), asks("b"), "the newest files count");
    }
}
