//! CPU time of the server's whole process tree for each request.

use anyhow::{Context, Result};

use super::super::processor;
use super::super::rounds::{self, Sample};
use super::super::server::Server;
use super::super::site::Site;
use super::Lengths;
use super::figures::Entry;
use super::progress::Progress;
use super::workload::Workload;

const WARM_UP_SECONDS: u32 = 1;
/// What starting a competitor takes, roughly.
const START_SECONDS: f64 = 0.5;
/// What a load generator takes to start and end.
const AROUND_SECONDS: f64 = 0.15;

/// What measuring one competitor takes.
pub(super) fn seconds(lengths: Lengths) -> f64 {
    START_SECONDS + f64::from(WARM_UP_SECONDS) + f64::from(lengths.rounds) * run_seconds(lengths)
}

fn run_seconds(lengths: Lengths) -> f64 {
    f64::from(lengths.seconds) + AROUND_SECONDS
}

/// A warm-up, which is thrown away, then the rounds.
pub(super) fn measure(
    site: &Site,
    lengths: Lengths,
    workload: Workload,
    entries: &[Entry],
    progress: &mut Progress,
) -> Result<Vec<Sample<Entry>>> {
    let start = |entry: &Entry| entry.peer.start(workload.scene(entry.size), site, &[]);
    let servers: Vec<Server> = entries.iter().map(start).collect::<Result<_>>()?;
    let run = |index: usize, round, seconds| -> Result<Sample<Entry>> {
        let (server, entry): (&Server, Entry) = (&servers[index], entries[index]);
        let before = processor::spent(server.process_id())?;
        let answered = workload.ask().saturate(workload.scene(entry.size), server.port, seconds);
        let answered = answered.with_context(|| format!("{} under load", server.name))?;
        let spent = processor::spent(server.process_id())? - before;
        Ok(Sample { candidate: entry, round, requests: answered.requests, seconds: answered.seconds, spent })
    };
    for (index, entry) in entries.iter().enumerate() {
        run(index, 0, WARM_UP_SECONDS)?;
        progress.passed(START_SECONDS + f64::from(WARM_UP_SECONDS), &format!("{}: {entry} is warm", workload.name()));
    }
    rounds::run(entries.len(), lengths.rounds, |index, round| {
        let sample = run(index, round, lengths.seconds)?;
        let text = format!(
            "{} {round}/{} {:<16} {:>7.2} µs {:>8.0}/s",
            workload.name(),
            lengths.rounds,
            sample.candidate.to_string(),
            sample.total_us(),
            sample.requests_per_second()
        );
        progress.passed(run_seconds(lengths), &text);
        Ok(sample)
    })
}
