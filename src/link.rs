//! The page's connections to its workers and to the browser, and the signals that carry the incoming events.

pub mod browser;
pub mod client;
pub mod panic_notice;
pub mod share;
pub mod state;

/// Id of the sources that this page was built from. The page talks only to workers with the same build id.
pub const BUILD: &str = env!("INKLING_BUILD");
