//! The guard: a process that outlives a fleet killed with `kill -9`, and kills what that fleet leaves behind.
//!
//! The parent-death signal reaches only the leaders of the instances' groups; their children (workers, the `node` below an `npm`) would
//! live on. The guard holds the reading end of a pipe. The fleet writes which groups exist, and the kernel closes the pipe when the fleet
//! ends in whatever way. The guard then kills what it still knows, and goes.
//!
//! One line per message: `+GROUP` or `+GROUP SOCKET-PATH` before an instance may run, `-GROUP` once its group is gone.

mod link;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::Pid;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) use self::link::Guard;
use crate::{address, process};

/// What the guard says once nothing but SIGKILL can stop it.
const READY: &[u8] = b"ready\n";

/// The guard's whole life.
pub(crate) fn run() -> io::Result<()> {
    ignore_signals()?;
    let mut stdout = io::stdout();
    stdout.write_all(READY)?;
    stdout.flush()?;
    let mut wards = Wards::default();
    // A pipe that fails is one that nobody holds any more: the same as its end.
    for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
        wards.note(&line);
    }
    wards.kill_all();
    Ok(())
}

/// A Ctrl-C meant for the fleet, or a SIGTERM to a whole control group, must not take the guard first. There is no safe way to ignore a
/// signal, but one with a handler does nothing by itself; tokio's handlers stay for the life of the process.
fn ignore_signals() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    for kind in [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
        SignalKind::user_defined1(),
        SignalKind::user_defined2(),
        SignalKind::alarm(),
    ] {
        drop(signal(kind)?);
    }
    Ok(())
}

/// The groups that must not outlive the fleet, each with the socket it may leave behind.
#[derive(Debug, Default)]
struct Wards(BTreeMap<i32, Option<PathBuf>>);

impl Wards {
    fn note(&mut self, line: &[u8]) {
        match parse(line) {
            Some(Message::Add { group, socket }) => drop(self.0.insert(group, socket)),
            Some(Message::Remove { group }) => drop(self.0.remove(&group)),
            None => {}
        }
    }

    fn kill_all(&self) {
        for group in self.0.keys().filter_map(|group| Pid::from_raw(*group)) {
            process::kill_group(group);
        }
        for socket in self.0.values().flatten() {
            // Nobody is left to tell, and the next fleet removes it before it listens.
            let _ = address::remove_socket(socket);
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Message {
    Add { group: i32, socket: Option<PathBuf> },
    Remove { group: i32 },
}

impl Message {
    fn to_line(&self) -> Vec<u8> {
        let mut line = Vec::new();
        match self {
            Self::Add { group, socket } => {
                line.extend_from_slice(format!("+{group}").as_bytes());
                if let Some(path) = socket {
                    line.push(b' ');
                    line.extend_from_slice(path.as_os_str().as_bytes());
                }
            }
            Self::Remove { group } => line.extend_from_slice(format!("-{group}").as_bytes()),
        }
        line.push(b'\n');
        line
    }
}

/// Understands one line. A last line that was cut off by a crash is no message, and neither is a group that would mean "everybody".
fn parse(line: &[u8]) -> Option<Message> {
    let (sign, rest) = line.split_first()?;
    let (group, socket) = match rest.iter().position(|byte| *byte == b' ') {
        Some(at) => (&rest[..at], Some(Path::new(OsStr::from_bytes(&rest[at + 1..])).to_owned())),
        None => (rest, None),
    };
    let group = std::str::from_utf8(group).ok()?.parse().ok().filter(|group| *group > 1)?;
    match sign {
        b'+' => Some(Message::Add { group, socket }),
        b'-' => Some(Message::Remove { group }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_pipe() {
        for message in [
            Message::Add { group: 42, socket: None },
            Message::Add { group: 42, socket: Some("/run/with space/api-1.sock".into()) },
            Message::Remove { group: 42 },
        ] {
            let line = message.to_line();
            assert_eq!(parse(line.strip_suffix(b"\n").unwrap()), Some(message));
        }
    }

    #[test]
    fn never_believes_a_group_that_would_mean_everybody() {
        for line in [&b""[..], b"+", b"+0", b"+1", b"+-1", b"+x", b"42", b"+42x"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
