//! Memory of a browser's processes, from Linux's /proc. Other systems report nothing. It never changes a process.

use std::collections::HashMap;
use std::fs;

/// Memory of all processes of a browser together, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Current memory; shared memory counts once (proportional set size).
    pub now: u64,
    /// Peak memory of the largest tab process, including shared memory (`VmHWM`).
    pub tab_peak: u64,
}

/// The memory of a process and all its descendants; `None` if /proc does not report it.
pub fn resident(pid: u32) -> Option<Resident> {
    let parents = parents()?;
    let family = family(pid, &parents);
    let now = family.iter().filter_map(|pid| kilobytes(*pid, "smaps_rollup", "Pss:")).sum::<u64>();
    let tabs = family.iter().filter(|pid| is_tab(**pid));
    let tab_peak = tabs.filter_map(|pid| kilobytes(*pid, "status", "VmHWM:")).max().unwrap_or(0);
    (now > 0).then_some(Resident { now: now * 1024, tab_peak: tab_peak * 1024 })
}

/// The parent of every process, by process id.
fn parents() -> Option<HashMap<u32, u32>> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(
        pids.filter_map(|pid| {
            Some((pid, number(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "PPid:")? as u32))
        })
        .collect(),
    )
}

/// A process and its descendants.
fn family(pid: u32, parents: &HashMap<u32, u32>) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of_pid)| **of_pid == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    family
}

fn is_tab(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("--type=renderer"))
}

fn kilobytes(pid: u32, file: &str, name: &str) -> Option<u64> {
    number(&fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?, name)
}

/// The number after a name at the beginning of a line.
fn number(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descendants_are_found() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 2), (5, 4), (6, 9)]);
        let mut family = family(2, &parents);
        family.sort_unstable();
        assert_eq!(family, [2, 3, 4, 5]);
    }

    #[test]
    fn numbers_follow_their_names() {
        assert_eq!(number("Name:\tx\nVmHWM:\t  1234 kB\n", "VmHWM:"), Some(1234));
        assert_eq!(number("Name:\tx\n", "VmHWM:"), None);
    }
}
