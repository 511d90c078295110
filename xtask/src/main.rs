//! Every chore of the project behind one entry point, the same that CI runs: `cargo xtask ci`.
//!
//! Kept free of the product's crates and of an async runtime, so that the first chore starts within seconds of a fresh clone.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a chore talks to the person who runs it")]

mod bench;
mod ci;
mod fuzz;
mod run;
mod setup;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Every chore of the project.", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every check that a change must pass; the same locally and in CI.
    Ci(ci::Options),
    /// Install what tests and benchmarks need; instant when all is there.
    Setup,
    /// Check the invariants that no compiler checks.
    Tidy,
    /// Run every fuzz target for a while.
    Fuzz(fuzz::Options),
    /// Measure against other servers on this machine.
    #[command(subcommand)]
    Bench(bench::Workload),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Ci(options) => ci::run(&options),
        Chore::Setup => setup::run(),
        Chore::Tidy => tidy::run(),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Bench(workload) => bench::run(workload),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
