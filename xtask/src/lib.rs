//! Development tasks of Inkling, as `cargo xtask <command>`. Nothing here is part of the page or of the command line.
//!
//! In reading order: [`tools`] provides the programs that a build needs, [`data`] downloads MNIST, [`site`] builds and
//! serves the page, [`tests`] runs all tests, [`mod@bench`] measures, [`shot`] takes screenshots.

pub mod bench;
pub mod data;
#[cfg_attr(windows, path = "platform/windows.rs")]
mod platform;
pub mod shot;
pub mod site;
pub mod tests;
pub mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The root folder of the repository.
pub fn root() -> PathBuf {
    // Set by `cargo run`; without Cargo, the folder in which this program was built.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let package = Path::new(&package);
    // The variable is ignored if it names another package.
    let xtask = if package.ends_with("xtask") { package } else { Path::new(env!("CARGO_MANIFEST_DIR")) };
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// A command that runs the same Cargo as this program's, in the root folder.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // Cargo's variables about this package must not reach the build script of another package.
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME").env_remove("CARGO_PKG_VERSION");
    cargo
}

/// Cargo's target folder, which environment and configuration can move.
///
/// # Errors
/// When Cargo cannot read the project.
pub fn target_dir() -> Result<PathBuf> {
    let output = cargo().args(["metadata", "--format-version=1", "--no-deps"]).output().context("cannot run cargo")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cargo metadata says: {}", String::from_utf8_lossy(&output.stderr)))?;
    let folder = metadata["target_directory"].as_str().context("cargo metadata names no target folder")?;
    Ok(folder.into())
}

/// Prints a message about the progress to standard output.
pub fn report(text: impl AsRef<str>) {
    println!("» {}", text.as_ref());
}

/// Runs a command and waits for its end.
///
/// # Errors
/// When it cannot be started or exits with a failure.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("`{}` failed", shown(command));
    }
    Ok(())
}

/// A command line as a user would type it, for messages.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| line + " " + &argument.to_string_lossy())
}
