//! `cargo xtask bench overload`: what is left of an app under more load than it can take, behind whom.
//!
//! A part measures one thing and writes one section. `app` and `peer` say who takes part, `load` asks, `recording` reads what came back,
//! `bench` holds what they share.

mod app;
mod bench;
mod calm;
mod dead;
mod degraded;
mod goodput;
mod http;
mod limiter;
mod load;
mod peer;
mod pool;
mod sharing;
mod stalls;
mod step;

use std::process::Command;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::app::App;
use self::bench::{Bench, Lengths};
use self::peer::Peer;
use super::machine::{BUSY, Machine, today};
use super::record::Record;
use crate::{run, workspace};

const MULTIPLES: &[f64] = &[0.6, 1.0, 2.0, 5.0, 10.0];
const MULTIPLES_QUICK: &[f64] = &[0.6, 2.0, 10.0];

#[derive(Args)]
pub(crate) struct Options {
    /// Parts, separated by commas; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Apps, separated by commas; all when left out, with --quick the synthetic one.
    #[arg(long, value_enum, value_delimiter = ',')]
    app: Vec<App>,
    /// Who stands in front, separated by commas; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    peer: Vec<Peer>,
    /// Short runs: to see that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// Measure although the machine is busy; such figures are worth little.
    #[arg(long)]
    busy: bool,
    /// Take the release binaries that are there.
    #[arg(long)]
    no_build: bool,
    /// Print the result and write nothing; so it is for quick runs and for a choice of apps or peers, too.
    #[arg(long)]
    dry_run: bool,
}

/// A thing to measure; the order here is the order of the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Goodput from calm to ten times the limit.
    Goodput,
    /// A step from below the limit to beyond it.
    Step,
    /// Important requests before others, and every tenant beside one that floods.
    Sharing,
    /// One of four instances twenty times slower.
    Degraded,
    /// One answer in a hundred a second late, with and without hedging.
    Stalls,
    /// An upstream that is dead.
    Dead,
    /// The limiter's own cost.
    Limiter,
    /// Long steady load below the limit.
    Calm,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn title(self) -> &'static str {
        match self {
            Self::Goodput => "Goodput under overload",
            Self::Step => "A step in load",
            Self::Sharing => "Priorities and tenants",
            Self::Degraded => "One of four instances twenty times slower",
            Self::Stalls => "One answer in a hundred a second late",
            Self::Dead => "A dead upstream",
            Self::Limiter => "What the limiter itself costs",
            Self::Calm => "Steady load at 0.8× of the limit",
        }
    }

    fn plan(self, bench: &mut Bench) {
        match self {
            Self::Goodput => goodput::plan(bench),
            Self::Step => step::plan(bench),
            Self::Sharing => sharing::plan(bench),
            Self::Degraded => degraded::plan(bench),
            Self::Stalls => stalls::plan(bench),
            Self::Dead => dead::plan(bench),
            Self::Limiter => limiter::plan(bench),
            Self::Calm => calm::plan(bench),
        }
    }

    fn run(self, bench: &mut Bench) -> Result<String> {
        match self {
            Self::Goodput => goodput::run(bench),
            Self::Step => step::run(bench),
            Self::Sharing => sharing::run(bench),
            Self::Degraded => degraded::run(bench),
            Self::Stalls => stalls::run(bench),
            Self::Dead => dead::run(bench),
            Self::Limiter => limiter::run(bench),
            Self::Calm => calm::run(bench),
        }
    }
}

pub(super) fn run(options: &Options) -> Result<()> {
    let machine = Machine::describe()?;
    if !options.busy {
        machine.ensure_quiet()?;
    }
    if !options.no_build {
        build()?;
    }
    let lengths = if options.quick { Lengths::QUICK } else { Lengths::FULL };
    let multiples = if options.quick { MULTIPLES_QUICK } else { MULTIPLES };
    let apps = if options.quick && options.app.is_empty() { vec![App::Synthetic] } else { all_or(&options.app) };
    let mut bench = Bench::new(apps, all_or(&options.peer), lengths, multiples);
    let parts = all_or(&options.only);
    bench.plan(bench.apps.len(), bench.limit_seconds());
    for part in &parts {
        part.plan(&mut bench);
    }
    for part in parts {
        let section = part.run(&mut bench)?;
        let date = today()?;
        let text = format!("### {}\n\n{section}\n{}\n", part.title(), circumstances(&date, &machine, options));
        println!("\n{text}");
        let raw = bench.take_raw();
        if options.is_whole() {
            let workload = format!("overload/{}", part.name());
            let record = Record { workload: &workload, date: &date, machine: &machine.slug(), raw: &[("raw.csv", &raw)], summary: &text };
            println!("written to {}\n", record.write()?.display());
        }
    }
    println!("bench: {:.0} minutes", bench.took().as_secs_f64() / 60.0);
    Ok(())
}

impl Options {
    /// Whether its results may replace those of an earlier run.
    fn is_whole(&self) -> bool {
        !self.dry_run && !self.quick && self.app.is_empty() && self.peer.is_empty()
    }
}

fn all_or<T: ValueEnum + Copy>(chosen: &[T]) -> Vec<T> {
    if chosen.is_empty() { T::value_variants().to_vec() } else { chosen.to_vec() }
}

fn build() -> Result<()> {
    println!("bench: building");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--locked", "--package", "plimsoll", "--package", "plimsoll-testbed", "--bins"]);
    run::aloud(cargo.current_dir(workspace::root()))
}

/// The line under a section: when that was, on what, with which versions.
fn circumstances(date: &str, machine: &Machine, options: &Options) -> String {
    let Machine { cores, processor, kernel, load } = machine;
    let quick = if options.quick { " **Quick: these figures are worth little.**" } else { "" };
    let busy = if *load >= BUSY { " **The machine was busy.**" } else { "" };
    format!(
        "{date}, {cores} cores of {processor}, Linux {kernel}, load average before the run {load:.2}; {}.{quick}{busy}",
        peer::versions()
    )
}

#[cfg(test)]
mod tests {
    use super::super::record;
    use super::*;

    #[test]
    fn the_page_has_a_place_for_every_part() {
        for part in Part::value_variants() {
            let place = format!("overload/{}", part.name());
            assert!(record::has_place(&place), "{place}");
        }
    }
}
