//! Who is alive in a process group.
//!
//! The kernel answers for zombies as for the living, and an orphan stays a zombie until the system's first process reaps it: at once under
//! an init, seconds later or never in some containers. Nobody should wait for that, so the state is read from `/proc`.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process_group};

pub(super) fn has_living_member(group: Pid) -> bool {
    if test_kill_process_group(group) == Err(Errno::SRCH) {
        return false;
    }
    // Where `/proc` cannot be read a zombie counts as alive: too careful, never too early.
    living_members(group).is_none_or(|mut members| members.next().is_some())
}

/// The processes of a group; None if `/proc` cannot be read. For want of descriptors every process may be one
/// of them.
pub(super) fn living_members(group: Pid) -> Option<impl Iterator<Item = u32>> {
    let entries = std::fs::read_dir("/proc").ok()?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Some(pids.filter(move |pid| match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => living_in(&stat) == Some(group.as_raw_nonzero().get()),
        // Any other error: it has ended since it was listed, or is somebody else's.
        Err(error) => matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)),
    }))
}

/// The group of the process that a `stat` file describes, unless it is dead.
fn living_in(stat: &str) -> Option<i32> {
    // The name stands in brackets and may hold brackets and spaces itself: fields are counted from behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then_some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_state_and_the_group_behind_any_name() {
        assert_eq!(living_in("12 (sh) S 1 34 34 0 -1"), Some(34));
        assert_eq!(living_in("12 (a) R 9 (b) S 1 34 34 0 -1"), Some(34));
        assert_eq!(living_in("12 (sh) Z 1 34 34 0 -1"), None);
        assert_eq!(living_in(""), None);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = Pid::from_child(&child);
        assert!(has_living_member(group));
        child.kill().unwrap();
        let unreaped = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
        rustix::process::waitid(rustix::process::WaitId::Pid(group), unreaped).unwrap();
        assert_eq!(test_kill_process_group(group), Ok(()), "for the kernel it is still there");
        assert!(!has_living_member(group));
        child.wait().unwrap();
    }
}
