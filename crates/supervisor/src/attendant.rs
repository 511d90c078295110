//! Stays with one process from its start until nothing of its group is left.

use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::output::Output;
use crate::process::Process;
use crate::status;

/// SIGTERM and SIGKILL, each sent once.
pub(crate) const SIGNALS_MAX: usize = 2;
/// How often to look whether a group whose leader is gone still has members: often at first, then at twice the interval each time,
/// because a look reads the state of every process there is.
const GROUP_CHECK_INTERVAL_MIN: Duration = Duration::from_millis(5);
const GROUP_CHECK_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// What was killed is gone at once, unless the kernel holds it, and then nobody knows for how long.
const KILLED_GROUP_PATIENCE: Duration = Duration::from_millis(500);

/// Which start of which slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub slot: usize,
    pub generation: u64,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub slot: usize,
    pub group: u32,
    pub status: String,
}

/// Passes the fleet's signals on to the group, until the process and everything it started has ended.
///
/// A leader that dies by itself takes its group with it at once: what it leaves behind may hold ports and files that the next start needs.
/// A leader that dies because it was told to leaves the others time until SIGKILL: a shell may be gone long before the server it started.
///
/// That the leader is dead is told to `fallen` at once: until the fleet knows, requests are sent to an address where nobody listens, and
/// what follows may take most of a second.
pub(crate) async fn attend(
    start: Start,
    mut process: Process,
    output: Output,
    mut signals: mpsc::Receiver<Signal>,
    fallen: mpsc::Sender<Start>,
) -> Ended {
    let told_to_stop = watch_leader(&mut process, &mut signals).await;
    if !told_to_stop {
        process.signal(Signal::KILL);
    }
    // A fleet that no longer listens is ending, and knows.
    let _ = fallen.send(start).await;
    let status = process.reap().map_or_else(|error| error.to_string(), status::in_words);
    watch_group(&mut process, &mut signals, told_to_stop).await;
    let group = process.pid();
    drop(process);
    output.finish().await;
    Ended { slot: start.slot, group, status }
}

/// Returns once the leader is dead, with whether it had been told to stop.
async fn watch_leader(process: &mut Process, signals: &mut mpsc::Receiver<Signal>) -> bool {
    let mut told_to_stop = false;
    loop {
        tokio::select! {
            () = process.leader_died() => return told_to_stop,
            signal = signals.recv() => {
                // A fleet that dropped its end has no use for the process.
                let signal = signal.unwrap_or(Signal::KILL);
                told_to_stop = signal == Signal::TERM;
                process.signal(signal);
            }
        }
    }
}

async fn watch_group(process: &mut Process, signals: &mut mpsc::Receiver<Signal>, in_peace: bool) {
    let mut give_up_at = (!in_peace).then(|| Instant::now() + KILLED_GROUP_PATIENCE);
    let mut interval = GROUP_CHECK_INTERVAL_MIN;
    while !process.group_is_gone() && give_up_at.is_none_or(|give_up_at| Instant::now() < give_up_at) {
        tokio::select! {
            signal = signals.recv(), if give_up_at.is_none() => {
                process.signal(signal.unwrap_or(Signal::KILL));
                give_up_at = Some(Instant::now() + KILLED_GROUP_PATIENCE);
                interval = GROUP_CHECK_INTERVAL_MIN;
            }
            () = sleep(interval) => interval = (interval * 2).min(GROUP_CHECK_INTERVAL_MAX),
        }
    }
}
