//! The database file: how it is created and opened, and what its failures mean to whoever runs it.

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::backend::{Error, Result};

/// How long a writer waits for the writers of other processes. Theirs take a millisecond.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const SCHEMA_VERSION: i64 = 1;
const STATEMENTS_CACHED: usize = 64;

/// Where the state is kept.
#[derive(Clone)]
pub(super) struct File(PathBuf);

impl File {
    /// Makes the file if it is not there, readable by its owner only (it holds sessions). `SQLite` gives its side files the same mode.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = Self(path.to_path_buf());
        let created = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        created.map_err(|error| file.unusable(&format!("cannot be opened: {error}")))?;
        Ok(file)
    }

    /// A connection that reads and writes. The first one of all processes makes the tables.
    pub(super) fn open_writer(&self) -> Result<Connection> {
        let connection = self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.prepare(&connection)?;
        Ok(connection)
    }

    /// A connection that only reads; the tables are there already.
    pub(super) fn open_reader(&self) -> Result<Connection> {
        self.connect(OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    fn connect(&self, access: OpenFlags) -> Result<Connection> {
        let connect = || {
            let connection = Connection::open_with_flags(&self.0, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            // A burst of writes must not leave a large write-ahead log lying around for ever.
            connection.pragma_update_and_check(None, "journal_size_limit", 64 << 20, |_| Ok(()))?;
            Ok(connection)
        };
        connect().map_err(|error| self.explain(&error))
    }

    fn prepare(&self, connection: &Connection) -> Result<()> {
        let prepare = || {
            let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            if mode != "wal" {
                connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            }
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            if found == 0 {
                connection.execute_batch(include_str!("schema.sql"))?;
            }
            connection.execute_batch("COMMIT")?;
            Ok(found)
        };
        match prepare().map_err(|error| self.explain(&error))? {
            0 | SCHEMA_VERSION => Ok(()),
            found => Err(self.unusable(&format!("has tables of version {found}, this program reads {SCHEMA_VERSION}: use another file"))),
        }
    }

    /// What an error means: worth a retry, or a case for a person, who is told which file and what to do.
    pub(super) fn explain(&self, error: &rusqlite::Error) -> Error {
        let path = self.0.display();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::Broken(format!(
                "`{path}` is damaged or not a state database ({error}): move it and its -wal and -shm files away, and a new one is made"
            )),
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Error::Broken(format!("`{path}` cannot be written ({error}): make it and its directory writable"))
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Error::Unavailable(format!("`{path}` stayed locked by another process ({error})"))
            }
            Some(ErrorCode::DiskFull) => Error::Unavailable(format!("the disk of `{path}` is full")),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::OutOfMemory) => {
                Error::Unavailable(format!("`{path}` cannot be read or written ({error})"))
            }
            _ => Error::Broken(format!("`{path}` holds something unexpected ({error})")),
        }
    }

    pub(super) fn display(&self) -> std::path::Display<'_> {
        self.0.display()
    }

    fn unusable(&self, problem: &str) -> Error {
        Error::Url { url: format!("sqlite:{}", self.0.display()), problem: format!("the file {problem}") }
    }
}
