//! Processes as the kernel shows them: which ones a fleet has started, and how much memory one holds.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A variable that every process of a fleet inherits, whoever its parent is by now: so none can hide.
pub(crate) const MARK: &str = "TESTBED_FLEET";

/// Every running process that inherited this mark, with its command line.
pub(crate) fn marked(mark: &str) -> BTreeMap<u32, String> {
    let entry = format!("{MARK}={mark}");
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_marked = |pid: &u32| {
        // That of a zombie is empty, and that of a process that has just ended cannot be read.
        let variables = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    pids.filter(is_marked).map(|pid| (pid, command_line(pid))).collect()
}

fn command_line(pid: u32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim_end().to_owned()
}

/// Sends a signal to one process; that it is gone already is as good.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal);
}

/// Resident memory of a process in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    /// The most there ever was.
    pub(crate) peak: u64,
}

pub(crate) fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {status}"));
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    Memory { now: figure("VmRSS:"), peak: figure("VmHWM:") }
}
