//! Provides what a build of the page needs besides Cargo: the wasm target, Trunk, wasm-bindgen. Tools of this machine
//! are used if their version fits, otherwise they are built once into the target folder. They are never installed
//! elsewhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::{cargo, report, root, run, target_dir};

/// The target of the page and of the workers.
pub const WASM: &str = "wasm32-unknown-unknown";
/// The required version of Trunk. That of wasm-bindgen is in `Cargo.lock`, because library and tool must have the same
/// one.
const TRUNK_VERSION: &str = "0.21.14";

/// Cargo's settings for building tools. Optimised builds would take twice as long, and the tools only run for about a
/// second at a time.
const QUICK_BUILD: [(&str, &str); 4] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "0"),
];

/// A program that a build calls.
struct Tool {
    /// The name of the executable.
    program: &'static str,
    /// The crate that contains it.
    package: &'static str,
    /// The required version.
    version: String,
    /// Flags of `cargo install`.
    flags: &'static [&'static str],
    /// Minutes that a build takes on two cores.
    minutes: u32,
}

/// The folders that contain the tools.
pub struct Tools {
    /// In the order of [`required`].
    folders: Vec<PathBuf>,
}

impl Tools {
    /// Installs all missing tools; the first time this takes about ten minutes.
    ///
    /// # Errors
    /// When a tool is missing and cannot be built, or the wasm target cannot be added.
    pub fn ready() -> Result<Self> {
        add_wasm_target()?;
        let home = target_dir()?.join("tools");
        let folders: Result<Vec<_>> = required()?.iter().map(|tool| tool.folder(&home)).collect();
        let folders = folders?;
        // The builds' intermediate files are large and no longer needed.
        let _ = fs::remove_dir_all(home.join("build"));
        Ok(Self { folders })
    }

    /// A command that runs Trunk in the root folder, with the other tools and this program on its `PATH`.
    ///
    /// # Errors
    /// When the name of a folder cannot be part of a `PATH`.
    pub fn trunk(&self) -> Result<Command> {
        let mut folders = self.folders.clone();
        folders.extend(env::current_exe()?.parent().map(Path::to_owned));
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let path = env::join_paths(folders).context("a folder of the tools has a name that PATH cannot hold")?;
        let program = self.folders.first().map(|folder| folder.join("trunk")).context("Trunk is always wanted")?;
        let mut trunk = Command::new(program);
        trunk.current_dir(root()).env("PATH", path).env("TRUNK_SKIP_VERSION_CHECK", "true");
        // RUSTFLAGS would replace the flags in .cargo/config.toml, and SIMD with them.
        trunk.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
        // Trunk accepts only "true" and "false" for this variable, but its conventional value is "1".
        if env::var_os("NO_COLOR").is_some() {
            trunk.env("NO_COLOR", "true");
        }
        Ok(trunk)
    }
}

/// All required tools, Trunk first.
fn required() -> Result<[Tool; 2]> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let bindgen = locked_version(&lock, "wasm-bindgen").context("Cargo.lock names no wasm-bindgen")?;
    Ok([
        Tool {
            program: "trunk",
            package: "trunk",
            version: TRUNK_VERSION.to_owned(),
            flags: &["--locked", "--no-default-features", "--features", "rustls"],
            minutes: 6,
        },
        Tool {
            program: "wasm-bindgen",
            package: "wasm-bindgen-cli",
            version: bindgen.to_owned(),
            // Not --locked, because its own lock file names a crate version that was not published yet.
            flags: &["--no-default-features"],
            minutes: 4,
        },
    ])
}

impl Tool {
    /// The folder that contains the tool. Builds the tool into `home` if this machine has none of the required version.
    fn folder(&self, home: &Path) -> Result<PathBuf> {
        let built = home.join("bin");
        let candidates = which::which(self.program).into_iter().chain([built.join(self.program)]);
        if let Some(fitting) = candidates.into_iter().find(|path| self.fits(path)) {
            return fitting.parent().map(Path::to_owned).context("a program is in a folder");
        }
        self.install(home)?;
        Ok(built)
    }

    /// Whether this executable has the required version.
    fn fits(&self, path: &Path) -> bool {
        let output = Command::new(path).arg("--version").output();
        output.is_ok_and(|output| parse_version(&String::from_utf8_lossy(&output.stdout)) == Some(&self.version))
    }

    fn install(&self, home: &Path) -> Result<()> {
        let Self { package, version, minutes, .. } = self;
        report(format!(
            "Building {package} {version} into {}, once: about {minutes} minutes on two cores",
            home.display()
        ));
        let began = Instant::now();
        let mut install = cargo();
        install.args(["install", package, "--version", version]).args(self.flags).arg("--root").arg(home);
        install.arg("--target-dir").arg(home.join("build")).arg("--quiet").envs(QUICK_BUILD);
        run(&mut install).with_context(|| {
            format!("{package} {version} could not be built; check the connection to the crate registry and run again")
        })?;
        report(format!("{package} is ready, after {} s", began.elapsed().as_secs()));
        Ok(())
    }
}

/// Adds the wasm target if the toolchain lacks it.
///
/// # Errors
/// When rustc cannot be run, or the target is missing and rustup cannot add it.
pub fn add_wasm_target() -> Result<()> {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let output = rustc.current_dir(root()).args(["--print", "target-libdir", "--target", WASM]).output();
    let folder = output.context("cannot run rustc")?.stdout;
    if Path::new(String::from_utf8_lossy(&folder).trim()).is_dir() {
        return Ok(());
    }
    report(format!("Adding the target {WASM} to the Rust toolchain"));
    let added = run(Command::new("rustup").current_dir(root()).args(["target", "add", WASM]));
    added.with_context(|| format!("Rust's {WASM} target is missing; install it as you installed Rust"))
}

/// The version in the output of `--version`, such as `trunk 0.21.14`.
fn parse_version(output: &str) -> Option<&str> {
    output.split_whitespace().nth(1)
}

/// The version of a package in a `Cargo.lock`.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_parsed() {
        assert_eq!(parse_version("trunk 0.21.14\n"), Some("0.21.14"));
        assert_eq!(parse_version("wasm-bindgen 0.2.130 (abc)"), Some("0.2.130"));
        assert_eq!(parse_version(""), None);
    }

    #[test]
    fn versions_are_found_in_a_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "trunk"), None);
    }

    #[test]
    fn this_project_pins_wasm_bindgen() {
        let tools = required().unwrap();
        assert_eq!(tools[0].program, "trunk");
        assert!(tools[1].version.starts_with("0.2."), "{}", tools[1].version);
    }
}
