//! Describes the environment of the measurements: the machine, the programs, the day. It never measures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use inkling_core::receipts::iso_day;

use crate::root;

/// The facts that make a table understandable later.
pub struct Machine {
    /// The day of the measurements in UTC, as `2026-01-31`.
    pub day: String,
    /// Names and values.
    lines: Vec<(&'static str, String)>,
}

impl Machine {
    /// Collects all facts; those that cannot be found out are `unknown`.
    pub fn look(chrome: &Path) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = format!("{}, {cores} cores", from_file("/proc/cpuinfo", "model name").unwrap_or_else(unknown));
        let lines = vec![
            ("machine", cpu),
            (
                "memory",
                from_file("/proc/meminfo", "MemTotal").and_then(|total| gigabytes(&total)).unwrap_or_else(unknown),
            ),
            ("system", from_file("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| std::env::consts::OS.into())),
            ("browser", first_line(&mut Command::new(chrome), &["--version"])),
            ("compiler", first_line(&mut Command::new("rustc"), &["--version"])),
            ("burn", locked("burn").unwrap_or_else(unknown)),
            ("sources", first_line(Command::new("git").current_dir(root()), &["describe", "--always", "--dirty"])),
            ("command", std::env::args().skip(1).fold("cargo xtask".into(), |line, word| line + " " + &shown(&word))),
        ];
        Self { day: iso_day(since.as_secs()), lines }
    }

    /// Adds a fact.
    pub fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.lines.push((name, value.into()));
    }

    /// All facts as a Markdown list.
    pub fn markdown(&self) -> String {
        self.lines.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }
}

/// The system's load average of the last minute, or `unknown`.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).map_or_else(unknown, str::to_owned)
}

/// An argument of the command without the folders of this machine, which must not be published.
fn shown(word: &str) -> String {
    let path = Path::new(word);
    let name = path.file_name().filter(|_| path.is_absolute());
    name.map_or_else(|| word.to_owned(), |name| format!("…/{}", name.to_string_lossy()))
}

fn unknown() -> String {
    "unknown".into()
}

/// The value of a name in a file of lines such as `name : value` or `NAME="value"`.
fn from_file(path: &str, name: &str) -> Option<String> {
    value_of(&fs::read_to_string(path).ok()?, name)
}

fn value_of(text: &str, name: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
}

/// Converts `24684084 kB` to `25.3 GB`.
fn gigabytes(text: &str) -> Option<String> {
    let kilobytes: f64 = text.split(' ').next()?.parse().ok()?;
    Some(format!("{:.1} GB", kilobytes * 1024.0 / 1e9))
}

/// The first line that a program prints, or `unknown`.
fn first_line(command: &mut Command, arguments: &[&str]) -> String {
    let output = command.args(arguments).output().ok();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().map_or_else(unknown, |line| line.trim().to_owned())
}

/// The version of a package in `Cargo.lock`.
fn locked(package: &str) -> Option<String> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).ok()?;
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{package}\"\n")))?;
    entry.lines().find_map(|line| value_of(line, "version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names() {
        assert_eq!(value_of("a\t: 1\nmodel name\t: AMD EPYC\n", "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(value_of("PRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(), Some("Debian 12"));
        assert_eq!(value_of("x", "y"), None);
        assert_eq!(gigabytes("24684084 kB").as_deref(), Some("25.3 GB"));
    }

    #[test]
    fn a_command_is_shown_without_the_folders_of_this_machine() {
        assert_eq!(shown("/home/me/site"), "…/site");
        assert_eq!(["soak", "--site", "dist", "a?b=/c"].map(shown), ["soak", "--site", "dist", "a?b=/c"]);
    }

    #[test]
    fn the_version_of_burn_is_in_the_lock_file() {
        assert!(locked("burn").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(locked("no-such-package"), None);
    }
}
