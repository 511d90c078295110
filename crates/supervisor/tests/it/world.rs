//! A fleet under test, and what the system says about its processes.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_supervisor::{Error, Event, Events, Instance, Spec, State, Supervisor};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep, timeout};

/// Generous, because the machine may be busy; nothing waits this long when it works.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn self_exe() -> PathBuf {
    env!("CARGO_BIN_EXE_plimsoll-supervised").into()
}

pub(crate) fn spec(instances: u32, command: &[&str]) -> Spec {
    let mut spec = Spec::new(self_exe(), std::env::temp_dir(), command.iter().map(OsString::from).collect());
    spec.instances = instances;
    spec.inherited = std::env::vars_os().collect();
    spec
}

/// A fleet of shell scripts.
pub(crate) fn shell(instances: u32, script: &str) -> Spec {
    spec(instances, &["sh", "-c", script])
}

pub(crate) async fn start_error(spec: Spec) -> Error {
    match Supervisor::start(spec).await {
        Ok(_) => panic!("the fleet must not start"),
        Err(error) => error,
    }
}

pub(crate) struct World {
    pub supervisor: Supervisor,
    events: Events,
}

impl World {
    pub(crate) async fn start(spec: Spec) -> Self {
        let (supervisor, events) = Supervisor::start(spec).await.unwrap();
        Self { supervisor, events }
    }

    /// The next event that `pick` wants; others are passed over.
    pub(crate) async fn event<T>(&mut self, what: &str, mut pick: impl FnMut(Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.unwrap_or_else(|| panic!("the fleet ended before: {what}"));
                if let Some(found) = pick(event) {
                    return found;
                }
            }
        };
        timeout(DEADLINE, found).await.unwrap_or_else(|_| panic!("never happened: {what}"))
    }

    /// The next line that starts with `prefix`, without it.
    pub(crate) async fn line(&mut self, prefix: &str) -> String {
        self.event(prefix, |event| match event {
            Event::Line { text, .. } => text.strip_prefix(prefix).map(str::to_owned),
            _ => None,
        })
        .await
    }

    pub(crate) async fn number(&mut self, prefix: &str) -> u32 {
        self.line(prefix).await.trim().parse().unwrap()
    }

    /// Stops the fleet and takes all that is left in the queue.
    pub(crate) async fn stop_and_collect(&mut self) -> Vec<Event> {
        self.stop().await;
        let mut remaining = Vec::new();
        while let Some(event) = self.events.recv().await {
            remaining.push(event);
        }
        remaining
    }

    pub(crate) async fn instances(&self, what: &str, wanted: impl FnMut(&Arc<Vec<Instance>>) -> bool) -> Arc<Vec<Instance>> {
        let mut instances = self.supervisor.instances();
        let found = timeout(DEADLINE, instances.wait_for(wanted)).await;
        let found = found.unwrap_or_else(|_| panic!("never happened: {what}: {:?}", self.now()));
        found.unwrap().clone()
    }

    pub(crate) fn now(&self) -> Arc<Vec<Instance>> {
        self.supervisor.instances().borrow().clone()
    }

    /// Says about every running process that it is ready.
    pub(crate) async fn all_ready(&self) -> Arc<Vec<Instance>> {
        self.instances("all run", |instances| instances.iter().all(|instance| instance.pid.is_some())).await;
        for instance in self.now().iter() {
            self.supervisor.report_ready(&instance.id, instance.generation, true);
        }
        self.instances("all ready", |instances| instances.iter().all(|instance| instance.state == State::Ready)).await
    }

    pub(crate) async fn stop(&self) {
        timeout(DEADLINE, self.supervisor.stop()).await.expect("the fleet stops");
    }
}

pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up_at = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < give_up_at, "never happened: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn kill(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// One process as the kernel sees it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub pid: u32,
    pub parent: u32,
    pub group: u32,
    pub arguments: String,
}

/// All processes that are not just waiting to be reaped.
pub(crate) fn processes() -> Vec<Entry> {
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter_map(read_process).collect()
}

fn read_process(pid: u32) -> Option<Entry> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, so fields are counted from behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
    (!matches!(state, "Z" | "X")).then_some(Entry { pid, parent, group, arguments })
}

pub(crate) fn is_alive(pid: u32) -> bool {
    read_process(pid).is_some()
}

pub(crate) fn group_members(group: u32) -> Vec<Entry> {
    processes().into_iter().filter(|process| process.group == group).collect()
}

/// The guard of the fleet that the process `parent` runs.
pub(crate) fn guard_of(parent: u32) -> Option<u32> {
    let guards = processes().into_iter().filter(|process| process.parent == parent && process.arguments.contains("__guard"));
    guards.map(|process| process.pid).next()
}
