//! Runs in rounds: every candidate once per round, so that whatever else the machine does falls on all of them alike.

use anyhow::{Context, Result};

use super::load;
use super::processor::{self, Spent};
use super::server::Server;

/// One run of one candidate.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub candidate: &'static str,
    pub round: u32,
    pub requests: u64,
    pub seconds: f64,
    pub spent: Spent,
}

impl Sample {
    pub(super) fn user_us(&self) -> f64 {
        self.spent.user_us as f64 / self.requests as f64
    }

    pub(super) fn system_us(&self) -> f64 {
        self.spent.system_us as f64 / self.requests as f64
    }

    /// CPU microseconds per request.
    pub(super) fn total_us(&self) -> f64 {
        self.user_us() + self.system_us()
    }

    pub(super) fn requests_per_second(&self) -> f64 {
        self.requests as f64 / self.seconds
    }
}

/// A warm-up, which is thrown away, then `count` rounds.
pub(super) fn run(servers: &[Server], count: u32, seconds: u32) -> Result<Vec<Sample>> {
    for server in servers {
        measure(server, 0, 1)?;
    }
    let mut samples = Vec::new();
    for round in 1..=count {
        // Another one begins each time, so that none always follows the same neighbour.
        let first = round as usize % servers.len();
        for server in servers.iter().cycle().skip(first).take(servers.len()) {
            let sample = measure(server, round, seconds)?;
            println!("{round:>3}/{count} {:<10} {:>6.2} µs {:>8.0}/s", sample.candidate, sample.total_us(), sample.requests_per_second());
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn measure(server: &Server, round: u32, seconds: u32) -> Result<Sample> {
    let before = processor::spent(server.process_id())?;
    let answered = load::saturate(server.port, seconds).with_context(|| format!("{} under load", server.name))?;
    let spent = processor::spent(server.process_id())? - before;
    Ok(Sample { candidate: server.name, round, requests: answered.requests, seconds: answered.seconds, spent })
}
