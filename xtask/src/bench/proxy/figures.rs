//! What was measured, as files: a line on the circumstances, then comma-separated values.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};

use super::super::processor::Spent;
use super::super::rounds::Sample;
use super::peer::Peer;

/// Who, in which variant of the workload.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub peer: Peer,
    /// Routes or servers; 0 in workloads without variants.
    pub size: usize,
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.size == 0 { self.peer.name().to_owned() } else { format!("{} {}", self.peer.name(), self.size) };
        formatter.pad(&text)
    }
}

/// User instructions per request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Count {
    pub entry: Entry,
    pub instructions: f64,
}

/// Memory without and with so many connections at rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Weight {
    pub entry: Entry,
    pub round: u32,
    pub connections: usize,
    pub before_kib: u64,
    pub after_kib: u64,
}

impl Weight {
    pub(super) fn kib_each(&self) -> f64 {
        (self.after_kib as f64 - self.before_kib as f64) / self.connections as f64
    }
}

/// Everything about one workload.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Figures {
    pub samples: Table<Sample<Entry>>,
    pub counts: Table<Count>,
    pub weights: Table<Weight>,
}

/// Rows of one kind, and when and where they were measured.
#[derive(Debug, PartialEq)]
pub(super) struct Table<R> {
    pub circumstances: String,
    pub rows: Vec<R>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { circumstances: String::new(), rows: Vec::new() }
    }
}

/// A row as a line of a file.
pub(super) trait Row: Sized {
    const FILE: &'static str;
    const COLUMNS: &'static str;
    fn line(&self) -> String;
    fn parse(fields: &[&str]) -> Option<Self>;
}

impl Figures {
    /// What lies in a directory; nothing where there is none.
    pub(super) fn read(directory: &Path) -> Result<Self> {
        Ok(Self { samples: Table::read(directory)?, counts: Table::read(directory)?, weights: Table::read(directory)? })
    }

    /// The names and contents of those that are not empty.
    pub(super) fn files(&self) -> Vec<(&'static str, String)> {
        [self.samples.file(), self.counts.file(), self.weights.file()].into_iter().flatten().collect()
    }
}

impl<R: Row> Table<R> {
    pub(super) fn replace(&mut self, circumstances: &str, rows: Vec<R>) {
        *self = Self { circumstances: circumstances.to_owned(), rows };
    }

    fn file(&self) -> Option<(&'static str, String)> {
        let lines: String = self.rows.iter().map(|row| row.line() + "\n").collect();
        (!self.rows.is_empty()).then(|| (R::FILE, format!("# {}\n{}\n{lines}", self.circumstances, R::COLUMNS)))
    }

    fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(R::FILE);
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(Self::default()) };
        let mut lines = text.lines();
        let circumstances = lines.next().unwrap_or_default().trim_start_matches("# ").to_owned();
        let parse = |line: &str| R::parse(&line.split(',').collect::<Vec<_>>());
        let rows = lines.skip(1).map(parse).collect::<Option<_>>().with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { circumstances, rows })
    }
}

fn entry(peer: &str, size: &str) -> Option<Entry> {
    Some(Entry { peer: Peer::named(peer)?, size: size.parse().ok()? })
}

impl Row for Sample<Entry> {
    const FILE: &'static str = "raw.csv";
    const COLUMNS: &'static str = "round,server,size,requests,seconds,user_us,system_us";

    fn line(&self) -> String {
        let Self { candidate: Entry { peer, size }, round, requests, seconds, spent } = self;
        format!("{round},{},{size},{requests},{seconds},{},{}", peer.name(), spent.user_us, spent.system_us)
    }

    fn parse(fields: &[&str]) -> Option<Self> {
        let [round, peer, size, requests, seconds, user_us, system_us] = fields else { return None };
        let spent = Spent { user_us: user_us.parse().ok()?, system_us: system_us.parse().ok()? };
        let (round, requests, seconds) = (round.parse().ok()?, requests.parse().ok()?, seconds.parse().ok()?);
        Some(Self { candidate: entry(peer, size)?, round, requests, seconds, spent })
    }
}

impl Row for Count {
    const FILE: &'static str = "instructions.csv";
    const COLUMNS: &'static str = "server,size,user_instructions_per_request";

    fn line(&self) -> String {
        format!("{},{},{:.1}", self.entry.peer.name(), self.entry.size, self.instructions)
    }

    fn parse(fields: &[&str]) -> Option<Self> {
        let [peer, size, instructions] = fields else { return None };
        Some(Self { entry: entry(peer, size)?, instructions: instructions.parse().ok()? })
    }
}

impl Row for Weight {
    const FILE: &'static str = "memory.csv";
    const COLUMNS: &'static str = "round,server,size,connections,before_kib,after_kib";

    fn line(&self) -> String {
        let Self { entry: Entry { peer, size }, round, connections, before_kib, after_kib } = self;
        format!("{round},{},{size},{connections},{before_kib},{after_kib}", peer.name())
    }

    fn parse(fields: &[&str]) -> Option<Self> {
        let [round, peer, size, connections, before_kib, after_kib] = fields else { return None };
        let (before_kib, after_kib) = (before_kib.parse().ok()?, after_kib.parse().ok()?);
        Some(Self { entry: entry(peer, size)?, round: round.parse().ok()?, connections: connections.parse().ok()?, before_kib, after_kib })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let entry = Entry { peer: Peer::Haproxy, size: 100 };
        let spent = Spent { user_us: 10, system_us: 20 };
        let mut figures = Figures::default();
        figures.samples.replace("a day, a machine", vec![Sample { candidate: entry, round: 1, requests: 7, seconds: 1.5, spent }]);
        figures.counts.replace("another day", vec![Count { entry, instructions: 24_000.5 }]);
        figures.weights.replace("the same", vec![Weight { entry, round: 1, connections: 10, before_kib: 1_000, after_kib: 1_025 }]);
        assert_eq!(figures.files().len(), 3);
        for (name, text) in figures.files() {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        assert_eq!(Figures::read(directory.path()).unwrap(), figures);
    }

    #[test]
    fn where_nothing_was_measured_nothing_is_read_and_nonsense_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Figures::read(directory.path()).unwrap(), Figures::default());
        std::fs::write(directory.path().join(Count::FILE), "# x\ncolumns\nnginx,0,many\n").unwrap();
        assert!(Figures::read(directory.path()).is_err());
    }
}
