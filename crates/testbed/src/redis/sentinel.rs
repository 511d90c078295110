//! A master, a replica and the sentinel that replaces the one by the other.

use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::{Redis, START_TIME_MAX, command};
use crate::process::Process;
use crate::{poll, port};

/// The name under which the sentinel knows the master.
const MASTER: &str = "plimsoll";

/// Two servers and their sentinel.
pub struct Sentinel {
    master: Redis,
    replica: Redis,
    process: Process,
    port: u16,
    /// Holds the sentinel's configuration, which it rewrites.
    _directory: TempDir,
}

impl Sentinel {
    pub fn start() -> Result<Self> {
        let master = Redis::start()?;
        let replica = Redis::start_with(&["--replicaof", "127.0.0.1", &master.port().to_string()])?;
        let in_step = || Ok(replica.command("INFO replication")?.contains("master_link_status:up").then_some(()));
        poll::until_blocking(START_TIME_MAX, "the replica to be in step", in_step)?;
        let directory = tempfile::Builder::new().prefix("plimsoll-sentinel-").tempdir()?;
        let port = port::free();
        let configuration = directory.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {MASTER} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {MASTER} 500\nsentinel failover-timeout {MASTER} 3000\n",
            master.port()
        );
        std::fs::write(&configuration, text)?;
        let mut server = Command::new("redis-server");
        server.arg(&configuration).arg("--sentinel");
        let mut process = Process::start("sentinel", &server, directory.path())?;
        let knows_the_replica = || command(port, &format!("SENTINEL REPLICAS {MASTER}")).ok().filter(|answer| answer == "*1");
        process.wait_until(START_TIME_MAX, "the sentinel to know both servers", knows_the_replica)?;
        Ok(Self { master, replica, process, port, _directory: directory })
    }

    pub fn url(&self) -> String {
        format!("redis+sentinel://127.0.0.1:{}/{MASTER}", self.port)
    }

    /// Waits until the replica has everything written so far.
    pub fn wait_until_replicated(&self) -> Result<()> {
        let offset = |server: &Redis| -> Result<u64> {
            let info = server.command("INFO replication")?;
            let offset = info.lines().find_map(|line| line.strip_prefix("master_repl_offset:"));
            Ok(offset.context("redis tells no replication offset")?.trim().parse()?)
        };
        let written = offset(&self.master)?;
        let replicated = || Ok((offset(&self.replica)? >= written).then_some(()));
        poll::until_blocking(START_TIME_MAX, "the replica to be in step", replicated)
    }

    /// Crashes the master and waits until the replica has taken over.
    pub fn fail_over(&mut self) -> Result<()> {
        self.master.stop();
        let promoted = || self.replica.command("INFO replication").ok().filter(|info| info.contains("role:master"));
        self.process.wait_until(START_TIME_MAX, "the replica to be promoted", promoted).context("failover")?;
        Ok(())
    }
}
