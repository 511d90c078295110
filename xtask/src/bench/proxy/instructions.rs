//! User instructions for each request.

use std::path::Path;

use anyhow::{Context, Result};

use super::super::instructions;
use super::super::server::Server;
use super::super::site::Site;
use super::Lengths;
use super::figures::{Count, Entry};
use super::progress::Progress;
use super::workload::Workload;

/// What counting for one competitor takes, roughly: two starts and some thousand requests, fifty times slower than usual.
pub(super) const SECONDS: f64 = 12.0;

pub(super) fn count(site: &Site, lengths: Lengths, workload: Workload, entries: &[Entry], progress: &mut Progress) -> Result<Vec<Count>> {
    let mut counts = Vec::new();
    for entry in entries.iter().filter(|entry| entry.peer.can_be_counted()) {
        let scene = workload.scene(entry.size);
        let start = |output: &Path| entry.peer.start(scene, site, &instructions::tool(output)?);
        let ask = |server: &Server, count| workload.ask().exactly(scene, server.port, count);
        let requests = workload.counts().map(|count| count / lengths.counts_divided_by);
        let per_request = instructions::per_request(requests, start, ask).with_context(|| format!("{entry} under valgrind"))?;
        progress.passed(SECONDS, &format!("{} {:<16} {per_request:>9.0} instructions", workload.name(), entry.to_string()));
        counts.push(Count { entry: *entry, instructions: per_request });
    }
    Ok(counts)
}
