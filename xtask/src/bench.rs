//! `cargo xtask bench`: CPU time per request against other servers, on this machine, in one run.
//!
//! `proxy`, `overload`, `handover` and `generators` say who competes and what is asked of them. The rest is shared: `server` starts and ends a
//! candidate, `processor` reads what it spent, `load` asks, `rounds` interleaves, `summary` condenses, `record` writes it all down.

mod certificate;
mod event_loop;
mod generators;
mod handover;
mod instructions;
mod load;
mod machine;
mod overload;
mod own_load;
mod processor;
mod proxy;
mod record;
mod recording;
mod rounds;
mod server;
mod site;
mod summary;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Workload {
    /// What passing requests on costs, behind whom: CPU time, instructions, memory.
    Proxy(proxy::Options),
    /// More load than an app can take, behind whom: goodput, refusals, fairness.
    Overload(overload::Options),
    /// Reloads and upgrades under load: requests lost, connections dropped, how long anybody waited.
    Handover(handover::Options),
    /// A 1 KiB GET asked by load generators: what a request costs the one who asks.
    Load(Options),
    /// Answer 1 KiB to nearly anything: the cheap origin behind every candidate.
    #[command(hide = true)]
    Origin { ports: Vec<u16> },
    /// Copy bytes both ways and look at none: the floor under every proxy.
    #[command(hide = true)]
    Relay { port: u16, origin: u16 },
    /// Send WebSocket frames and count what comes back.
    #[command(hide = true)]
    Echo { port: u16, connections: usize, seconds: u64 },
}

#[derive(Args)]
pub(crate) struct Options {
    /// Measured runs of each candidate.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    samples: u32,
    /// Length of one run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Candidates, separated by commas; all when left out. The first one named is what the others are compared with.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the result and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) fn run(workload: Workload) -> Result<()> {
    match workload {
        Workload::Proxy(options) => proxy::run(&options),
        Workload::Overload(options) => overload::run(&options),
        Workload::Handover(options) => handover::run(&options),
        Workload::Load(options) => generators::run(&options),
        Workload::Origin { ports } => event_loop::serve_origin(&ports),
        Workload::Relay { port, origin } => event_loop::serve_relay(port, origin),
        Workload::Echo { port, connections, seconds } => {
            println!("{}", event_loop::echo(port, connections, Duration::from_secs(seconds))?);
            Ok(())
        }
    }
}
