//! What the network is asked about the pad: one question at a time, and always the newest. Pure.

/// Keeps one question under way; the pen may move faster than the network answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The version of the newest question.
    version: u64,
    under_way: bool,
    /// Something changed since the newest question.
    wanted: bool,
    /// Answers up to this version are about a drawing that is gone.
    stale: u64,
}

impl Question {
    /// The drawing or the network changed: its answer is not known.
    pub fn want(&mut self) {
        self.wanted = true;
    }

    /// The version to ask with, when it is time to ask.
    pub fn ask(&mut self) -> Option<u64> {
        if !self.wanted || self.under_way {
            return None;
        }
        (self.wanted, self.under_way) = (false, true);
        self.version += 1;
        Some(self.version)
    }

    /// An answer came. Says whether it is still about what is on the pad.
    pub fn answered(&mut self, version: u64) -> bool {
        if version == self.version {
            self.under_way = false;
        }
        version > self.stale
    }

    /// The pad is empty: answers under way are about nothing.
    pub fn forget(&mut self) {
        self.stale = self.version;
        self.wanted = false;
    }

    /// The one who was asked is gone, or begins anew: the question under way will not be answered.
    pub fn lost(&mut self) {
        self.wanted |= self.under_way;
        self.under_way = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_at_a_time_and_the_newest() {
        let mut question = Question::default();
        assert_eq!(question.ask(), None);
        question.want();
        assert_eq!(question.ask(), Some(1));
        question.want();
        question.want();
        assert_eq!(question.ask(), None);
        assert!(question.answered(1));
        assert_eq!(question.ask(), Some(2));
        assert!(question.answered(2));
        assert_eq!(question.ask(), None);
    }

    #[test]
    fn an_answer_about_a_cleared_pad_is_stale() {
        let mut question = Question::default();
        question.want();
        question.ask();
        question.forget();
        assert!(!question.answered(1));
        question.want();
        assert_eq!(question.ask(), Some(2));
        assert!(question.answered(2));
    }

    #[test]
    fn a_lost_question_is_asked_again() {
        let mut question = Question::default();
        question.want();
        question.ask();
        question.lost();
        assert_eq!(question.ask(), Some(2));
    }
}
