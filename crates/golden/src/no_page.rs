//! Outside a browser there is no page.

/// Does nothing.
pub fn start() {}
