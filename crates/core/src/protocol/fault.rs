//! Errors for the user. Every one has a remedy.

use serde::{Deserialize, Serialize};

/// An error for the user: what went wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What went wrong, as a sentence.
    pub what: String,
    /// What the user can do, as a sentence.
    pub remedy: String,
    /// A remedy that the page offers as a button, in addition to the sentence.
    pub offer: Option<Offer>,
}

/// A remedy that the page offers as a button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    /// Use a graphics card that failed its self-test ([`untested`](super::EngineRequest::untested)).
    UseUntested,
    /// Open a new engine, because this one was lost. A run continues from its last checkpoint.
    Reopen,
}

impl Fault {
    /// An error without a button.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into(), offer: None }
    }

    /// The same error with a remedy that the page offers as a button.
    pub fn offering(self, offer: Offer) -> Self {
        Self { offer: Some(offer), ..self }
    }
}

/// Prints both sentences.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}. {}", self.what.trim_end_matches('.'), self.remedy)
    }
}
