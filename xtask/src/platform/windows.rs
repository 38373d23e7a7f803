//! What differs between systems, on Windows.

use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

/// Runs the command: a process cannot be replaced here.
///
/// # Errors
/// When the command cannot be run, or fails.
pub fn replace_with(command: &mut Command) -> Result<()> {
    crate::run(command)
}

/// Creates a symbolic link to a folder at `at`.
///
/// # Errors
/// When it cannot be created.
pub fn link(to: &Path, at: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_dir(to, at)
}
