//! The user data set: which files the session accepted, and which it still has to validate. Pure: it never reads a
//! file.

use inkling_core::protocol::Command;

/// Files as name and bytes.
pub type Files = Vec<(String, Vec<u8>)>;

/// Keeps the files for the lifetime of the tab, because a new worker does not have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserData {
    /// The files that the session accepted.
    accepted: Option<Files>,
    /// The current worker has the accepted files.
    is_loaded: bool,
    /// Files that were sent for validation and are not answered yet.
    submitted: Option<Files>,
    /// Files that are not sent yet. Newer files replace them.
    pending: Option<Files>,
}

impl UserData {
    /// The user added files.
    pub fn add(&mut self, files: Files) {
        self.pending = Some(files);
    }

    /// Returns the command that sends pending files for validation, if none are being validated.
    pub fn submit(&mut self) -> Option<Command> {
        if self.submitted.is_some() {
            return None;
        }
        self.submitted = self.pending.take();
        self.submitted.clone().map(Command::LoadUserFiles)
    }

    /// The session reported a user data set. Returns whether it was submitted for validation and is now accepted.
    pub fn on_accepted(&mut self) -> bool {
        let Some(files) = self.submitted.take() else { return false };
        (self.accepted, self.is_loaded) = (Some(files), true);
        true
    }

    /// A command failed. Returns whether it was the validation of files. Files accepted before stay.
    pub fn on_rejected(&mut self) -> bool {
        self.submitted.take().is_some()
    }

    /// Returns the command that loads the accepted files, to be sent before a command that needs them. `None` if the
    /// worker has them.
    pub fn load_command(&mut self) -> Option<Command> {
        if std::mem::replace(&mut self.is_loaded, true) {
            return None;
        }
        self.accepted.clone().map(Command::LoadUserFiles)
    }

    /// The worker was replaced, so it has no files. Files that were being validated are pending again.
    pub fn on_worker_replaced(&mut self) {
        self.is_loaded = false;
        self.pending = self.pending.take().or(self.submitted.take());
        self.submitted = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(name: &str) -> Files {
        vec![(name.into(), vec![1, 2])]
    }

    fn loads(name: &str) -> Option<Command> {
        Some(Command::LoadUserFiles(files(name)))
    }

    #[test]
    fn files_are_validated_one_set_at_a_time() {
        let mut user_data = UserData::default();
        assert_eq!(user_data.submit(), None);
        user_data.add(files("a"));
        assert_eq!(user_data.submit(), loads("a"));
        user_data.add(files("b"));
        user_data.add(files("c"));
        assert_eq!(user_data.submit(), None);
        assert!(user_data.on_accepted() && !user_data.on_accepted());
        assert_eq!(user_data.submit(), loads("c"));
    }

    #[test]
    fn rejected_files_leave_the_accepted_ones() {
        let mut user_data = UserData::default();
        assert!(!user_data.on_rejected());
        user_data.add(files("a"));
        user_data.submit();
        user_data.on_accepted();
        user_data.add(files("b"));
        user_data.submit();
        assert!(user_data.on_rejected() && !user_data.on_rejected());
        assert_eq!(
            (user_data.load_command(), user_data.submit()),
            (None, None),
            "the worker still has the first files"
        );
    }

    #[test]
    fn a_new_worker_gets_the_files_once_when_it_needs_them() {
        let mut user_data = UserData::default();
        user_data.add(files("a"));
        user_data.submit();
        user_data.on_accepted();
        user_data.on_worker_replaced();
        assert_eq!((user_data.submit(), user_data.load_command(), user_data.load_command()), (None, loads("a"), None));
    }

    #[test]
    fn a_new_worker_validates_what_the_old_one_did_not_answer() {
        let mut user_data = UserData::default();
        user_data.add(files("a"));
        user_data.submit();
        user_data.on_worker_replaced();
        assert_eq!(user_data.submit(), loads("a"));
        user_data.add(files("b"));
        user_data.on_worker_replaced();
        assert_eq!(user_data.submit(), loads("b"), "the newest files count");
    }
}
