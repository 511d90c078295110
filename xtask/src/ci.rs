//! `cargo xtask ci`: every check that a change must pass, in the order in which a failure is cheapest to learn.
//!
//! Clippy and rustdoc share the dependencies' metadata, tests and doc tests their code; the release build shares nothing with either
//! and comes last. C sources in dependencies are compiled once per profile.

mod tally;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use tally::Tally;

use crate::{fuzz, run, setup, tidy, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this step; may be given more than once.
    #[arg(long, value_enum)]
    only: Vec<Step>,
    /// Go on after a failed step and report all of them at the end.
    #[arg(long)]
    keep_going: bool,
}

/// One check; the order here is the order of the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Install what the tests need.
    Setup,
    /// The code is formatted.
    Fmt,
    /// The repository's invariants hold.
    Tidy,
    /// Dependencies: no banned crate, no unwanted licence, no foreign source.
    Deny,
    /// No lint warns.
    Clippy,
    /// The documentation builds without warnings.
    Doc,
    /// The examples in the documentation compile and hold.
    Doctest,
    /// Unit and integration tests.
    Test,
    /// Every fuzz target, for half a minute.
    Fuzz,
    /// The build that a user makes first.
    Release,
}

/// How a step ended.
struct Outcome {
    name: String,
    took: Duration,
    error: Option<anyhow::Error>,
}

/// Runs the steps asked for and fails if one of them did.
pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = |step: &&Step| options.only.is_empty() || options.only.contains(step);
    let mut outcomes = Vec::new();
    let mut tests = None;
    for step in Step::value_variants().iter().filter(chosen) {
        let name = step.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        println!("\n── {name} ──");
        let started = Instant::now();
        let error = step.run(&mut tests).err();
        let failed = error.is_some();
        outcomes.push(Outcome { name, took: started.elapsed(), error });
        if failed && !options.keep_going {
            break;
        }
    }
    report(&outcomes, tests)
}

fn report(outcomes: &[Outcome], tests: Option<Tally>) -> Result<()> {
    println!();
    for outcome in outcomes {
        let Outcome { name, took, error } = outcome;
        println!("{:>7.1} s  {name:<8} {}", took.as_secs_f64(), if error.is_some() { "FAILED" } else { "ok" });
    }
    let failures: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(format!("{}: {:#}", outcome.name, outcome.error.as_ref()?))).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\nerror: "));
    }
    if let Some(tests) = tests {
        println!("{tests}");
    }
    Ok(())
}

impl Step {
    fn run(self, tests: &mut Option<Tally>) -> Result<()> {
        match self {
            Self::Setup => setup::run(),
            Self::Fmt => cargo(&["fmt", "--all", "--check"]),
            Self::Tidy => tidy::run(),
            Self::Deny => deny(),
            Self::Clippy => cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
            Self::Doc => {
                let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"];
                run::aloud(command(&arguments).env("RUSTDOCFLAGS", "--deny warnings"))
            }
            Self::Doctest => cargo(&["test", "--workspace", "--doc", "--locked", "--quiet"]),
            Self::Test => {
                *tests = Some(test()?);
                Ok(())
            }
            Self::Fuzz => fuzz::run(&fuzz::Options::default()),
            Self::Release => cargo(&["build", "--release", "--locked"]),
        }
    }
}

/// nextest when it is there, as it isolates and times each test; else what every Rust installation has.
fn test() -> Result<Tally> {
    let tally = if workspace::find_program("cargo-nextest").is_some() {
        tally::watch(command(&["nextest", "run", "--workspace", "--locked", "--profile", "ci"]))?
    } else {
        tally::watch(command(&["test", "--workspace", "--tests", "--bins", "--lib", "--locked"]))?
    };
    tally.context("the test runner did not say how many tests passed")
}

/// Without the advisory database, which has to be downloaded from outside the registries.
fn deny() -> Result<()> {
    let Some(program) = setup::cargo_deny() else {
        bail!("cargo-deny is missing: run `cargo xtask setup`");
    };
    let mut deny = Command::new(program);
    run::aloud(
        deny.args(["--all-features", "--locked", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"])
            .current_dir(workspace::root()),
    )
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run::aloud(&mut command(arguments))
}

fn command(arguments: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args(arguments).current_dir(workspace::root());
    cargo
}
