//! The fleet's end of the pipe: keeps a guard running and tells it which groups exist.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::ChildStdout;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Message, READY};
use crate::process::{self, Process};

/// For the guard to come up, and for one message to fit into the pipe.
const PATIENCE: Duration = Duration::from_secs(5);
/// The guard is not restarted more often than this, except when an instance is about to start and needs it.
const RESTART_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Guard {
    self_exe: PathBuf,
    running: Option<Running>,
    started_at: Instant,
    /// What a new guard must be told.
    groups: BTreeMap<i32, Option<PathBuf>>,
}

#[derive(Debug)]
struct Running {
    // The pipe is closed before the process is dropped, which kills: a guard that still has wards can do its work.
    pipe: pipe::Sender,
    process: Process,
}

impl Guard {
    pub(crate) async fn start(self_exe: PathBuf) -> io::Result<Self> {
        let mut guard = Self { self_exe, running: None, started_at: Instant::now(), groups: BTreeMap::new() };
        guard.launch().await?;
        Ok(guard)
    }

    /// Must succeed before anything in the group may run.
    pub(crate) async fn add(&mut self, group: u32, socket: Option<PathBuf>) -> io::Result<()> {
        let message = Message::Add { group: group.cast_signed(), socket: socket.clone() };
        self.groups.insert(group.cast_signed(), socket);
        match self.tell(&message).await {
            Ok(()) => Ok(()),
            Err(_) => self.launch().await,
        }
    }

    /// The group is gone. A guard that could not be told is dead, and the next one will not be.
    pub(crate) async fn remove(&mut self, group: u32) {
        self.groups.remove(&group.cast_signed());
        if let Err(error) = self.tell(&Message::Remove { group: group.cast_signed() }).await {
            tracing::debug!(%error, "the guard could not be told");
        }
    }

    /// Resolves when there is no guard and it is time for one: then call [`Guard::restart`].
    pub(crate) async fn missing(&mut self) {
        if let Some(running) = &mut self.running {
            running.process.leader_died().await;
        }
        sleep_until(self.started_at + RESTART_INTERVAL).await;
    }

    pub(crate) async fn restart(&mut self) {
        tracing::warn!("the guard process died: starting another");
        if let Err(error) = self.launch().await {
            tracing::error!(%error, "could not start the guard process: trying again");
        }
    }

    /// Lets the guard go, and waits until it has.
    pub(crate) async fn finish(mut self) {
        if let Some(Running { pipe, mut process }) = self.running.take() {
            drop(pipe);
            if timeout(PATIENCE, process.leader_died()).await.is_err() {
                tracing::warn!("the guard process does not end: killing it");
            }
        }
    }

    async fn launch(&mut self) -> io::Result<()> {
        self.running = None;
        self.started_at = Instant::now();
        let (process, stdin, stdout) = process::spawn_guard(&self.self_exe)?;
        timeout(PATIENCE, wait_until_ready(stdout)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        self.running = Some(Running { pipe: pipe::Sender::from_owned_fd(stdin.into())?, process });
        if let Err(error) = self.tell_all().await {
            self.running = None;
            return Err(error);
        }
        Ok(())
    }

    async fn tell_all(&mut self) -> io::Result<()> {
        for (group, socket) in self.groups.clone() {
            self.tell(&Message::Add { group, socket }).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, message: &Message) -> io::Result<()> {
        let running = self.running.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        timeout(PATIENCE, running.pipe.write_all(&message.to_line())).await.map_err(|_| io::ErrorKind::TimedOut)?
    }
}

async fn wait_until_ready(stdout: ChildStdout) -> io::Result<()> {
    let mut stdout = tokio::process::ChildStdout::from_std(stdout)?;
    let mut said = [0; READY.len()];
    stdout.read_exact(&mut said).await?;
    if said != READY {
        return Err(io::Error::other("it is not a binary with the hidden verb `__guard`"));
    }
    Ok(())
}
