//! CPU time and memory of a process and all its descendants, as the kernel accounts them.

use std::fs;
use std::ops::Sub;

use anyhow::{Context, Result};

/// CPU time spent so far, in microseconds. The kernel counts in ticks of usually 10 ms: 0.5 % of a busy run of two seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub user_us: u64,
    pub system_us: u64,
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { user_us: self.user_us - earlier.user_us, system_us: self.system_us - earlier.system_us }
    }
}

/// One line of `/proc/PID/stat`, as far as it matters here.
struct Entry {
    process: u32,
    parent: u32,
    user_ticks: u64,
    system_ticks: u64,
}

/// What `process` and its descendants have spent since they started.
pub(super) fn spent(process: u32) -> Result<Spent> {
    let tick_us = 1_000_000 / rustix::param::clock_ticks_per_second();
    let entries = descendants(process)?;
    let sum = |ticks: fn(&Entry) -> u64| entries.iter().map(ticks).sum::<u64>() * tick_us;
    Ok(Spent { user_us: sum(|entry| entry.user_ticks), system_us: sum(|entry| entry.system_ticks) })
}

/// What children of this program, and theirs, have spent that have ended and were waited for.
pub(super) fn spent_by_ended_children() -> Result<Spent> {
    let stat = fs::read_to_string("/proc/self/stat").context("cannot read /proc/self/stat")?;
    let after_name = stat.rsplit_once(')').context("/proc/self/stat is not as it should be")?.1;
    let ticks: Vec<u64> = after_name.split_whitespace().skip(13).take(2).filter_map(|field| field.parse().ok()).collect();
    let [user, system] = ticks[..] else { anyhow::bail!("/proc/self/stat is too short") };
    let tick_us = 1_000_000 / rustix::param::clock_ticks_per_second();
    Ok(Spent { user_us: user * tick_us, system_us: system * tick_us })
}

/// What `process` and its descendants hold in memory, in KiB; what several of them share counts once.
pub(super) fn memory_kib(process: u32) -> Result<u64> {
    let mut sum = 0;
    for process in tree(process)? {
        let path = format!("/proc/{process}/smaps_rollup");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        sum += line
            .and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .with_context(|| format!("no Pss in {path}"))?;
    }
    Ok(sum)
}

/// The ids of `process` and its descendants.
pub(super) fn tree(process: u32) -> Result<Vec<u32>> {
    Ok(descendants(process)?.iter().map(|entry| entry.process).collect())
}

fn descendants(root: u32) -> Result<Vec<Entry>> {
    let (mut found, mut others): (Vec<_>, Vec<_>) = all()?.into_iter().partition(|entry| entry.process == root);
    loop {
        let is_child = |entry: &Entry| found.iter().any(|parent: &Entry| parent.process == entry.parent);
        let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_child);
        if children.is_empty() {
            return Ok(found);
        }
        found.extend(children);
        others = rest;
    }
}

fn all() -> Result<Vec<Entry>> {
    let processes = fs::read_dir("/proc").context("cannot read /proc")?.flatten();
    let numbered = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process may end between being listed and being read.
    Ok(numbered.filter_map(|process: u32| parse(process, &fs::read_to_string(format!("/proc/{process}/stat")).ok()?)).collect())
}

fn parse(process: u32, stat: &str) -> Option<Entry> {
    // The name, in parentheses, may hold spaces and parentheses of its own; fields are counted from the last one.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Entry { process, parent: number(1)? as u32, user_ticks: number(11)?, system_ticks: number(12)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_may_hold_anything() {
        let entry = parse(7, "7 (a) (b c) S 3 7 7 0 -1 4194304 1 2 3 4 55 66 0 0 20 0 1 0 100").unwrap();
        assert_eq!((entry.parent, entry.user_ticks, entry.system_ticks), (3, 55, 66));
    }

    #[test]
    fn a_child_is_counted_with_its_parent() {
        let mut child = std::process::Command::new("sh").args(["-c", "read line"]).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let tree = tree(std::process::id()).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(tree.contains(&child.id()) && tree.contains(&std::process::id()), "{tree:?}");
    }

    #[test]
    fn memory_grows_by_what_is_filled() {
        let before = memory_kib(std::process::id()).unwrap();
        let filled = vec![1_u8; 32 * 1024 * 1024];
        let after = memory_kib(std::process::id()).unwrap();
        assert!(filled[1] == 1 && after - before > 30 * 1024, "{before} {after}");
    }

    #[test]
    fn what_a_child_spent_is_known_after_its_end() {
        let before = spent_by_ended_children().unwrap();
        let script = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
        std::process::Command::new("sh").args(["-c", script]).status().unwrap();
        let spent = spent_by_ended_children().unwrap() - before;
        assert!(spent.user_us + spent.system_us >= 10_000, "{spent:?}");
    }
}
