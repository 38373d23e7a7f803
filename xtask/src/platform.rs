//! What differs between systems, on Unix; `platform/windows.rs` has the same elsewhere.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// Replaces this process by the command, so that stopping this program stops the command.
///
/// # Errors
/// When the command cannot be run. Otherwise it does not return.
pub fn replace_with(command: &mut Command) -> Result<()> {
    Err(command.exec()).with_context(|| format!("cannot run {command:?}"))
}

/// Creates a symbolic link to a folder at `at`.
///
/// # Errors
/// When it cannot be created.
pub fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(to, at)
}
