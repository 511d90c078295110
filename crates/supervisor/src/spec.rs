//! What to run, and how patiently.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// A fleet to run. Every field is public; start from [`Spec::new`] and change what differs.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Instances are called `{name_prefix}-1`, `{name_prefix}-2`, …
    pub name_prefix: String,
    pub instances: u32,
    /// The program and its arguments; `{port}`, `{socket}` and `{instance}` are replaced in each of them.
    pub command: Vec<OsString>,
    /// What the children's environment is made from: usually `std::env::vars_os()`, which only the binary's config may read.
    pub inherited: Vec<(OsString, OsString)>,
    /// Added to the inherited variables, over them; the same placeholders are replaced in the values.
    pub env: Vec<(String, String)>,
    /// Where the children run; the current directory if absent.
    pub working_dir: Option<PathBuf>,
    /// Told to the children as `PLIMSOLL_VERSION`.
    pub version: Option<String>,
    /// Where the Unix sockets go when the command takes `{socket}`. Made if absent, readable for nobody else.
    pub socket_dir: PathBuf,
    /// From the start of a process to its first readiness.
    pub startup_timeout: Duration,
    /// From SIGTERM to SIGKILL.
    pub stop_timeout: Duration,
    pub backoff: Backoff,
    /// Seed of the jitter, for tests; random if absent.
    pub seed: Option<u64>,
    /// The soft limit of open files that the children are given, for a fleet that has raised its own; the fleet's if absent.
    pub open_files: Option<u64>,
    /// A binary whose `main` begins with [`crate::hidden_verb`]: usually [`crate::SELF_EXE`].
    pub self_exe: PathBuf,
}

impl Spec {
    pub fn new(self_exe: PathBuf, socket_dir: PathBuf, command: Vec<OsString>) -> Self {
        Self {
            name_prefix: "api".to_owned(),
            instances: 1,
            command,
            inherited: Vec::new(),
            env: Vec::new(),
            working_dir: None,
            version: None,
            socket_dir,
            startup_timeout: Duration::from_mins(1),
            stop_timeout: Duration::from_secs(10),
            backoff: Backoff::default(),
            seed: None,
            open_files: None,
            self_exe,
        }
    }

    pub(crate) fn instance_id(&self, slot: usize) -> String {
        format!("{}-{}", self.name_prefix, slot + 1)
    }
}

/// Bounds of the wait between the death of an instance and its next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub initial: Duration,
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_millis(100), max: Duration::from_secs(10) }
    }
}
