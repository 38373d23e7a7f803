//! On what was measured: the machine, the programs, the day. Reads and asks; measures nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use inkling_core::receipts::iso_day;

use crate::root;

/// What a table needs to be understood later, a line for each thing.
pub struct Machine {
    /// The day, in UTC.
    pub day: String,
    lines: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks around; what cannot be found out is called unknown.
    pub fn look(chrome: &Path) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = format!("{}, {cores} cores", from_file("/proc/cpuinfo", "model name").unwrap_or_else(unknown));
        let lines = vec![
            ("machine", cpu),
            (
                "memory",
                from_file("/proc/meminfo", "MemTotal").and_then(|told| gigabytes(&told)).unwrap_or_else(unknown),
            ),
            ("system", from_file("/etc/os-release", "PRETTY_NAME").unwrap_or_else(|| std::env::consts::OS.into())),
            ("browser", said(&mut Command::new(chrome), &["--version"])),
            ("compiler", said(&mut Command::new("rustc"), &["--version"])),
            ("burn", locked("burn").unwrap_or_else(unknown)),
            ("sources", said(Command::new("git").current_dir(root()), &["describe", "--always", "--dirty"])),
            ("command", std::env::args().skip(1).fold("cargo xtask".into(), |line, word| line + " " + &shown(&word))),
        ];
        Self { day: iso_day(since.as_secs()), lines }
    }

    /// Another thing that is known.
    pub fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.lines.push((name, value.into()));
    }

    /// A list in Markdown.
    pub fn markdown(&self) -> String {
        self.lines.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect()
    }
}

/// How many programs wanted to run, on the mean of the last minute, where the system tells.
pub fn load() -> String {
    let told = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().filter(|load| !load.is_empty()).map_or_else(unknown, str::to_owned)
}

/// A word of the command; where things lie on this machine is nobody's concern.
fn shown(word: &str) -> String {
    let path = Path::new(word);
    let name = path.file_name().filter(|_| path.is_absolute());
    name.map_or_else(|| word.to_owned(), |name| format!("…/{}", name.to_string_lossy()))
}

fn unknown() -> String {
    "unknown".into()
}

/// The value behind a name in a file of lines such as `name : value` or `NAME="value"`.
fn from_file(path: &str, name: &str) -> Option<String> {
    value_of(&fs::read_to_string(path).ok()?, name)
}

fn value_of(text: &str, name: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
}

/// `24684084 kB`, as a person says it.
fn gigabytes(told: &str) -> Option<String> {
    let kilobytes: f64 = told.split(' ').next()?.parse().ok()?;
    Some(format!("{:.1} GB", kilobytes * 1024.0 / 1e9))
}

/// The first line that a program says.
fn said(command: &mut Command, arguments: &[&str]) -> String {
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
    fn values_are_found_behind_their_names() {
        assert_eq!(value_of("a\t: 1\nmodel name\t: AMD EPYC\n", "model name").as_deref(), Some("AMD EPYC"));
        assert_eq!(value_of("PRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(), Some("Debian 12"));
        assert_eq!(value_of("x", "y"), None);
        assert_eq!(gigabytes("24684084 kB").as_deref(), Some("25.3 GB"));
    }

    #[test]
    fn a_command_is_told_without_the_folders_of_this_machine() {
        assert_eq!(shown("/home/me/site"), "…/site");
        assert_eq!(["soak", "--site", "dist", "a?b=/c"].map(shown), ["soak", "--site", "dist", "a?b=/c"]);
    }

    #[test]
    fn the_lock_file_names_burn() {
        assert!(locked("burn").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(locked("no-such-package"), None);
    }
}
