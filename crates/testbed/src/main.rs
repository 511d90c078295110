//! The testbed's servers as processes, for benchmarks: `cargo xtask bench overload` starts them.
#![expect(clippy::print_stdout, reason = "the one who starts it reads where the server is")]

use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use plimsoll_testbed::capacity::{Config, Server};
use plimsoll_testbed::postgres::Postgres;
use tokio::signal::unix::{SignalKind, signal};

/// Runs one server until it is told to end.
#[derive(Parser)]
#[command(name = "plimsoll-testbed", disable_help_subcommand = true)]
enum Testbed {
    /// A server of exactly known capacity.
    Capacity {
        #[arg(long)]
        port: u16,
        /// Requests at a time.
        #[arg(long)]
        concurrency: usize,
        /// Milliseconds each.
        #[arg(long)]
        service_ms: u64,
        /// Share of the answers that come a second late.
        #[arg(long, default_value_t = 0.0)]
        stall_share: f64,
        /// Close connections instead of answering.
        #[arg(long)]
        broken: bool,
    },
    /// A real `PostgreSQL`; prints its URL when it is ready.
    Postgres,
}

fn main() -> Result<()> {
    match Testbed::parse() {
        Testbed::Capacity { port, concurrency, service_ms, stall_share, broken } => {
            let healthy = Config::healthy(concurrency, Duration::from_millis(service_ms));
            let _server = Server::start(Config { stall_share, stall_time: Duration::from_secs(1), broken, ..healthy }, port)?;
            until_told_to_end()
        }
        Testbed::Postgres => {
            let postgres = Postgres::start()?;
            println!("{}", postgres.url());
            std::io::stdout().flush()?;
            until_told_to_end()
        }
    }
}

fn until_told_to_end() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}
