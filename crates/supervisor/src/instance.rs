//! What others may know about one instance.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::time::Instant;

use crate::hint;
use crate::process::listening;

/// Where an instance listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// One place in the fleet at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name, such as `api-1`; it outlives the process.
    pub id: String,
    /// Where the process listens; without a process, where the last one did.
    pub address: Address,
    pub pid: Option<u32>,
    /// Grows with every start, so that what was learnt about an earlier process is not believed about this one.
    pub generation: u64,
    pub state: State,
    /// Starts after the first.
    pub restarts_total: u64,
    /// When the process was started; absent without one.
    pub started_at: Option<Instant>,
}

impl Instance {
    /// What to change in a process that listens, but not where it can be reached. This asks the kernel, which takes a few milliseconds.
    pub fn listens_elsewhere(&self) -> Option<String> {
        hint::listens_elsewhere(&self.address, &listening::addresses(self.pid?))
    }
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Runs, and was not ready yet.
    Starting,
    /// Runs, and takes traffic.
    Ready,
    /// Runs, was ready before, and is not now.
    Unhealthy,
    /// Was told to stop and finishes what it has.
    Draining,
    /// Died, or could not be started; the next start comes at `until`.
    Backoff { until: Instant },
    /// Is not to run.
    Stopped,
}
