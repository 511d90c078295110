//! Nothing survives the fleet, however the fleet ends.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::world::{DEADLINE, eventually, group_members, guard_of, is_alive, kill, self_exe};

/// Neither the leader nor its child obeys SIGTERM.
const STUBBORN: &str = "trap '' TERM INT HUP; (while :; do sleep 1; done) & echo group $$; while :; do sleep 1; done";

/// A fleet run by a process of its own, which can be killed.
struct Victim {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    guard: u32,
    groups: Vec<u32>,
}

impl Victim {
    async fn start(instances: usize, script: &str) -> Self {
        let mut command = Command::new(self_exe());
        command.arg(instances.to_string()).args(["sh", "-c", script]).kill_on_drop(true);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let guard = guard_of(process.id().unwrap()).unwrap_or_default();
        let mut victim = Self { process, lines, guard, groups: Vec::new() };
        for _ in 0..instances {
            let group = victim.number("group ").await;
            victim.groups.push(group);
        }
        victim.guard = guard_of(victim.pid()).expect("there is a guard before anything runs");
        victim
    }

    fn pid(&self) -> u32 {
        self.process.id().unwrap()
    }

    async fn number(&mut self, prefix: &str) -> u32 {
        let found = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the fleet runs");
                if let Some(number) = line.strip_prefix(prefix) {
                    return number.trim().parse().unwrap();
                }
            }
        };
        timeout(DEADLINE, found).await.expect("the instance says who it is")
    }

    async fn kill_dash_nine(mut self) {
        for group in &self.groups {
            assert!(group_members(*group).len() >= 2, "a leader and its child: {:?}", group_members(*group));
        }
        kill(self.pid(), Signal::KILL);
        self.process.wait().await.unwrap();
        for group in &self.groups {
            eventually("nobody of the group is left", || group_members(*group).is_empty()).await;
        }
        eventually("the guard is gone", || !is_alive(self.guard)).await;
    }
}

/// A test that failed, or that took the guard away, leaves nothing running either.
impl Drop for Victim {
    fn drop(&mut self) {
        for survivor in self.groups.iter().flat_map(|group| group_members(*group)) {
            // It may have gone by itself in this moment.
            let _ = kill_process(Pid::from_raw(survivor.pid.cast_signed()).unwrap(), Signal::KILL);
        }
    }
}

#[tokio::test]
async fn kill_dash_nine_leaves_nobody_not_even_stubborn_grandchildren() {
    Victim::start(3, STUBBORN).await.kill_dash_nine().await;
}

#[tokio::test]
async fn a_guard_is_not_stopped_by_the_signals_that_stop_fleets() {
    let victim = Victim::start(1, STUBBORN).await;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        kill(victim.guard, signal);
    }
    let guard = victim.guard;
    assert_eq!(guard_of(victim.pid()), Some(guard), "the same guard still runs");
    victim.kill_dash_nine().await;
}

#[tokio::test]
async fn leaders_die_with_the_fleet_even_without_a_guard() {
    let victim = Victim::start(2, STUBBORN).await;
    // A fleet that stands still cannot replace its guard.
    kill(victim.pid(), Signal::STOP);
    kill(victim.guard, Signal::KILL);
    kill(victim.pid(), Signal::KILL);
    for leader in &victim.groups {
        eventually("the leader is gone", || !is_alive(*leader)).await;
    }
}

#[tokio::test]
async fn a_killed_guard_is_replaced_by_one_that_knows_the_groups() {
    let mut victim = Victim::start(2, STUBBORN).await;
    for _ in 0..2 {
        kill(victim.guard, Signal::KILL);
        let (fleet, dead) = (victim.pid(), victim.guard);
        eventually("another guard", || guard_of(fleet).is_some_and(|guard| guard != dead)).await;
        victim.guard = guard_of(fleet).unwrap();
    }
    // A restart is told to the guard after everything that it had to learn, and before the new process may run.
    kill(victim.groups[0], Signal::KILL);
    victim.groups[0] = victim.number("group ").await;
    victim.kill_dash_nine().await;
}

#[tokio::test]
async fn a_fleet_killed_while_it_starts_leaves_nobody() {
    for _ in 0..5 {
        let mut victim = Victim::start(1, STUBBORN).await;
        // Restarts are under way when the end comes.
        kill(victim.groups[0], Signal::KILL);
        let fleet = victim.pid();
        kill(fleet, Signal::KILL);
        victim.process.wait().await.unwrap();
        let line = victim.lines.next_line().await.unwrap();
        victim.groups.extend(line.and_then(|line| line.strip_prefix("group ")?.parse::<u32>().ok()));
        for group in &victim.groups {
            eventually("nobody of the group is left", || group_members(*group).is_empty()).await;
        }
        eventually("the guard is gone", || !is_alive(victim.guard)).await;
    }
}
