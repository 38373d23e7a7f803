//! The page's lines to its workers and to the browser, and the signals that carry what arrives.

pub mod browser;
pub mod client;
pub mod share;
pub mod state;

/// The sources that this page was built from: it talks to workers of the same ones only.
pub const BUILD: &str = env!("INKLING_BUILD");
