//! Outside a browser the system runs constructors before `main`.

/// Does nothing.
pub fn run_constructors() {}
