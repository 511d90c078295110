//! What a connection weighs that was answered once and rests.

use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::super::event_loop::SMALL_BYTES;
use super::super::load::{Client, Exchange};
use super::super::processor;
use super::super::site::Site;
use super::Lengths;
use super::figures::{Entry, Weight};
use super::progress::Progress;
use super::workload::Workload;

/// Each competitor is weighed so often, afresh each time.
const ROUNDS: u32 = 3;
const SECONDS: f64 = 5.0;
/// How long they have rested when they are weighed: some give back memory only then.
const REST: Duration = Duration::from_secs(3);

/// What weighing one competitor takes.
pub(super) fn seconds(_: Lengths) -> f64 {
    f64::from(ROUNDS) * SECONDS
}

pub(super) fn measure(site: &Site, lengths: Lengths, entries: &[Entry], progress: &mut Progress) -> Result<Vec<Weight>> {
    allow_many_files()?;
    let mut weights = Vec::new();
    for round in 1..=ROUNDS {
        for entry in entries {
            let server = entry.peer.start(Workload::Idle.scene(entry.size), site, &[])?;
            let exchange = Exchange::get(server.port, SMALL_BYTES);
            // What the first request alone takes is no connection's weight.
            let first = exchange.client()?;
            let before_kib = processor::memory_kib(server.process_id())?;
            let clients: Vec<Client> = (0..lengths.idle).map(|_| exchange.client()).collect::<Result<_>>()?;
            rest();
            let after_kib = processor::memory_kib(server.process_id())?;
            drop((first, clients));
            let weight = Weight { entry: *entry, round, connections: lengths.idle, before_kib, after_kib };
            progress.passed(SECONDS, &format!("idle {round}/{ROUNDS} {:<16} {:.1} KiB", entry.to_string(), weight.kib_each()));
            weights.push(weight);
        }
    }
    Ok(weights)
}

#[expect(clippy::disallowed_methods, reason = "there is no runtime here to block, and no event to wait for")]
fn rest() {
    std::thread::sleep(REST);
}

/// As many as the system lets this process have. What it starts inherits that.
fn allow_many_files() -> Result<()> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).context("cannot raise the limit on open files")
}
