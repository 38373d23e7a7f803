//! Set-up and chores of Inkling, as `cargo xtask <command>`.
//!
//! In reading order: [`tools`] gets what a build needs, [`data`] brings MNIST, [`site`] builds and serves the page,
//! [`tests`] runs every test, [`bench`] measures, [`shot`] takes pictures.

pub mod bench;
pub mod data;
pub mod shot;
pub mod site;
pub mod tests;
pub mod tools;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The project's folder.
pub fn root() -> PathBuf {
    // Cargo says where this package is when it runs it; on its own, the program remembers where it was built.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let package = Path::new(&package);
    let here = if package.ends_with("xtask") { package } else { Path::new(env!("CARGO_MANIFEST_DIR")) };
    here.parent().unwrap_or(here).to_owned()
}

/// The Cargo that runs this, in the project's folder.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    // What Cargo told this program about itself must not reach a build script of another package.
    cargo.env_remove("CARGO_MANIFEST_DIR").env_remove("CARGO_PKG_NAME").env_remove("CARGO_PKG_VERSION");
    cargo
}

/// Cargo's target folder, wherever the environment or a configuration puts it.
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

/// Tells the person at the terminal what is going on.
pub fn say(text: impl AsRef<str>) {
    println!("» {}", text.as_ref());
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("`{}` failed", shown(command));
    }
    Ok(())
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    command.get_args().fold(program, |line, argument| line + " " + &argument.to_string_lossy())
}
