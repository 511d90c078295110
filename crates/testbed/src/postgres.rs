//! A real `PostgreSQL` server with an empty database, reached through a Unix socket: no port to collide on.
//!
//! Nothing in it is meant to last, so nothing waits for the disk.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::poll;
use crate::process::{self, Process};

const START_TIME_MAX: Duration = Duration::from_mins(1);
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// Part of the name of the server's socket; each server has a directory of its own.
const PORT: &str = "5432";

/// What a server for tests leaves out: safety from power cuts.
const SETTINGS: &[&str] = &["listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=100"];

/// One server, stopped on drop.
pub struct Postgres {
    process: Process,
    /// Holds the data and the socket; removed after the server has ended.
    directory: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts it. `PostgreSQL` refuses to run as root; then it runs as the user that its package made for it.
    pub fn start() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("plimsoll-postgres-").tempdir()?;
        let owner = Owner::find()?;
        owner.give(directory.path())?;
        let data = directory.path().join("data");
        let mut init = owner.command(&program("initdb")?);
        init.arg("--pgdata").arg(&data).args(["--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]);
        let output = init.current_dir(directory.path()).output().context("cannot start initdb")?;
        ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
        let mut server = owner.command(&program("postgres")?);
        server.arg("-D").arg(&data).arg("-k").arg(directory.path()).args(["-p", PORT]);
        server.args(SETTINGS.iter().flat_map(|setting| ["-c", setting]));
        let process = Process::start("postgres", &server, directory.path())?;
        let mut postgres = Self { process, directory };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    /// What a driver is told to reach it.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@/postgres?host={}&port={PORT}", self.directory.path().display())
    }

    /// The process that accepts connections.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let asked = program("pg_isready")?;
        let socket = self.directory.path().to_owned();
        let ready = || {
            let mut ask = Command::new(&asked);
            ask.arg("--quiet").arg("--host").arg(&socket).args(["--port", PORT]);
            ask.status().is_ok_and(|status| status.success()).then_some(())
        };
        self.process.wait_until(START_TIME_MAX, "PostgreSQL to accept connections", ready)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // A killed server would leave its shared memory behind; one that is told to quit at once cleans up.
        self.process.signal(Signal::QUIT);
        let ended = || Ok(self.process.exit_status().map(|_| ()));
        // The process is killed anyway when it is dropped.
        let _ = poll::until_blocking(STOP_TIME_MAX, "PostgreSQL to end", ended);
    }
}

/// The user that the server runs as.
enum Owner {
    Ourselves,
    Package { user: u32, group: u32 },
}

impl Owner {
    fn find() -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Ourselves);
        }
        let users = std::fs::read_to_string("/etc/passwd").context("cannot read the users of this machine")?;
        let line =
            users.lines().find(|line| line.starts_with("postgres:")).context("there is no user `postgres`: run `cargo xtask setup`")?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        match (ids.next(), ids.next()) {
            (Some(Ok(user)), Some(Ok(group))) => Ok(Self::Package { user, group }),
            _ => anyhow::bail!("cannot read the ids of the user `postgres`"),
        }
    }

    fn give(&self, directory: &Path) -> Result<()> {
        let Self::Package { user, group } = *self else { return Ok(()) };
        chown(directory, Some(user), Some(group)).with_context(|| format!("cannot give {} to PostgreSQL", directory.display()))
    }

    /// A program run as this user. A change of user unties it from us, so it is tied again after that.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "QUIT"]);
        if let Self::Package { user, group } = self {
            command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
        }
        command.arg("--").arg(program);
        command
    }
}

/// Debian keeps the programs of each version out of every PATH; the newest one is taken.
fn program(name: &str) -> Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).filter(|path| path.is_file()).collect();
    places.sort_unstable();
    match places.pop() {
        Some(path) => Ok(path),
        None => process::find(Path::new(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_leaves_nothing_behind() {
        let postgres = Postgres::start().unwrap();
        let asked =
            Command::new("psql").args(["--no-psqlrc", "--tuples-only", "--command", "SELECT 6 * 7"]).arg(postgres.url()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&asked.stdout).trim(), "42", "{}", String::from_utf8_lossy(&asked.stderr));
        let (directory, id) = (postgres.directory.path().to_owned(), postgres.process_id());
        drop(postgres);
        assert!(!directory.exists() && !Path::new(&format!("/proc/{id}")).exists());
    }
}
