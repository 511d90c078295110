//! What is asked of whom.

use anyhow::Result;

use super::super::own_load::OwnLoad;
use super::super::recording::Recording;

/// What a client waits for its answer, from the moment it wanted one.
const PATIENCE_SECONDS: u32 = 1;

#[derive(Clone)]
pub(super) struct Load {
    pub port: u16,
    pub path: &'static str,
    pub headers: Vec<String>,
    pub patience_seconds: u32,
    /// Every peer gets the same arrivals; loads that run side by side do not.
    pub seed: u64,
    pub pace: Pace,
}

#[derive(Clone)]
pub(super) enum Pace {
    /// Poisson arrivals, whatever the server does: requests per second, and for how many seconds.
    Open(Vec<(f64, f64)>),
    /// So many connections that each ask again when they have their answer, and for how many seconds.
    Closed(usize, f64),
}

impl Load {
    pub(super) fn open(port: u16, path: &'static str, stages: &[(f64, f64)]) -> Self {
        Self { port, path, headers: Vec::new(), patience_seconds: PATIENCE_SECONDS, seed: 1, pace: Pace::Open(stages.to_vec()) }
    }

    pub(super) fn with_header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    /// Clients that wait longer than the time that is measured, so that their patience is not what is seen.
    pub(super) fn patient(mut self) -> Self {
        self.patience_seconds = 10;
        self
    }

    /// How long it takes, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        match &self.pace {
            Pace::Open(stages) => stages.iter().map(|(_, seconds)| seconds).sum(),
            Pace::Closed(_, seconds) => *seconds,
        }
    }

    pub(super) fn run(&self) -> Result<Recording> {
        self.start()?.finish()
    }

    /// Begins, so that several can ask side by side.
    pub(super) fn start(&self) -> Result<OwnLoad> {
        let mut command = OwnLoad::asking(&format!("http://127.0.0.1:{}{}", self.port, self.path));
        command.args(["--timeout", &format!("{}s", self.patience_seconds), "--seed", &self.seed.to_string()]);
        match &self.pace {
            Pace::Open(stages) => {
                let stages: Vec<String> = stages.iter().map(|(rate, seconds)| format!("{rate:.2}:{seconds}s")).collect();
                command.args(["--arrivals", "poisson", "--stages", &stages.join(",")]);
            }
            Pace::Closed(connections, seconds) => {
                command.args(["--connections", &connections.to_string(), "--duration", &format!("{seconds}s")]);
            }
        }
        command.args(self.headers.iter().flat_map(|header| ["--header", header]));
        OwnLoad::start(command)
    }
}
