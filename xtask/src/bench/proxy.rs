//! `cargo xtask bench proxy`: what passing requests on costs, behind whom. One worker and one core for whoever is measured.
//!
//! `workload` says what is asked of whom, `scene` with how many routes and servers, `peer` how each competitor is started, `ask` sends the requests.
//! Three kinds of figures come of it: `time` is CPU time in interleaved rounds, `instructions` are counted under valgrind, `idle` weighs
//! connections that rest. `figures` keeps them in files, and `table` is made from these alone.

mod ask;
mod build;
mod config;
mod figures;
mod idle;
mod instructions;
mod peer;
mod progress;
mod scene;
mod table;
mod time;
pub(super) mod websocket;
mod workload;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use self::figures::Figures;
use self::peer::Peer;
use self::progress::Progress;
use self::workload::Workload;
use super::machine::{Machine, today};
use super::record::Record;
use super::server::LOAD_CORE;
use super::site::Site;

#[derive(Args)]
pub(crate) struct Options {
    /// Workloads, separated by commas; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Workload>,
    /// Who competes, separated by commas; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    peer: Vec<Peer>,
    /// Only count user instructions per request: slow, but the same on every run, on a busy machine, too.
    #[arg(long)]
    instructions: bool,
    /// Short runs: to see that it works, not for figures.
    #[arg(long)]
    quick: bool,
    /// Measure although the machine is busy; times are then good for ratios at best.
    #[arg(long)]
    busy: bool,
    /// Take the programs that are there.
    #[arg(long)]
    no_build: bool,
    /// Print the result and write nothing; so it is for quick runs and for a choice of peers, too.
    #[arg(long)]
    dry_run: bool,
}

/// How long and how often.
#[derive(Clone, Copy)]
struct Lengths {
    /// Runs of each competitor.
    rounds: u32,
    /// Of one run.
    seconds: u32,
    /// Connections that rest.
    idle: usize,
    /// What the usual number of requests under valgrind is divided by.
    counts_divided_by: usize,
}

impl Lengths {
    const FULL: Self = Self { rounds: 9, seconds: 2, idle: 10_000, counts_divided_by: 1 };
    /// Too short for figures, long enough to see that all works.
    const QUICK: Self = Self { rounds: 2, seconds: 1, idle: 500, counts_divided_by: 5 };
}

/// One invocation.
struct Bench<'a> {
    options: &'a Options,
    lengths: Lengths,
    site: Site,
    machine: Machine,
    peers: Vec<Peer>,
    progress: Progress,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let machine = Machine::describe()?;
    ensure!(machine.cores > LOAD_CORE, "two cores are needed: one for the server, one for the load");
    if !(options.busy || options.instructions) {
        machine.ensure_quiet()?;
    }
    let peers = all_or(&options.peer);
    if !options.no_build {
        build::all(&peers)?;
    }
    let lengths = if options.quick { Lengths::QUICK } else { Lengths::FULL };
    let mut bench = Bench { options, lengths, site: Site::prepare()?, machine, peers, progress: Progress::new() };
    let workloads = all_or(&options.only);
    for workload in &workloads {
        bench.plan(*workload);
    }
    for workload in workloads {
        bench.run(workload)?;
    }
    println!("bench: {:.0} minutes", bench.progress.took().as_secs_f64() / 60.0);
    Ok(())
}

impl Bench<'_> {
    fn plan(&mut self, workload: Workload) {
        let (entries, only_counts) = (workload.entries(&self.peers), self.options.instructions);
        if workload == Workload::Idle {
            self.progress.plan(entries.len(), if only_counts { 0.0 } else { idle::seconds(self.lengths) });
            return;
        }
        self.progress.plan(entries.len(), if only_counts { 0.0 } else { time::seconds(self.lengths) });
        self.progress.plan(entries.iter().filter(|entry| entry.peer.can_be_counted()).count(), instructions::SECONDS);
    }

    fn run(&mut self, workload: Workload) -> Result<()> {
        let circumstances = self.circumstances()?;
        let (name, date, machine) = (format!("proxy/{}", workload.name()), today()?, self.machine.slug());
        let directory = Record::directory(&date, &machine, &name);
        // Times that were measured today stand beside counts of now.
        let mut figures = if self.is_whole() && self.options.instructions { Figures::read(&directory)? } else { Figures::default() };
        self.measure(workload, &circumstances, &mut figures)?;
        let section = table::section(workload, &figures);
        println!("\n### {}\n\n{section}", workload.title());
        if self.is_whole() {
            let files = figures.files();
            let raw: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, &**text)).collect();
            let summary = format!("### {}\n\n{section}", workload.title());
            let record = Record { workload: &name, date: &date, machine: &machine, raw: &raw, summary: &summary };
            println!("written to {}\n", record.write()?.display());
        }
        Ok(())
    }

    fn measure(&mut self, workload: Workload, circumstances: &str, figures: &mut Figures) -> Result<()> {
        let entries = workload.entries(&self.peers);
        let Self { site, lengths, progress, options, .. } = self;
        if workload == Workload::Idle {
            if !options.instructions {
                figures.weights.replace(circumstances, idle::measure(site, *lengths, &entries, progress)?);
            }
            return Ok(());
        }
        if !options.instructions {
            figures.samples.replace(circumstances, time::measure(site, *lengths, workload, &entries, progress)?);
        }
        figures.counts.replace(circumstances, instructions::count(site, *lengths, workload, &entries, progress)?);
        Ok(())
    }

    /// Whether its results may replace those of an earlier run.
    fn is_whole(&self) -> bool {
        !self.options.dry_run && !self.options.quick && self.options.peer.is_empty()
    }

    /// When that was, on what, with which versions.
    fn circumstances(&self) -> Result<String> {
        let Machine { cores, processor, kernel, load } = &self.machine;
        let versions: Vec<String> = self.peers.iter().filter_map(|peer| peer.version()).collect();
        let date = today()?;
        Ok(format!("{date}, {cores} cores of {processor}, Linux {kernel}, load average before the run {load:.2}; {}.", versions.join("; ")))
    }
}

fn all_or<T: ValueEnum + Copy>(chosen: &[T]) -> Vec<T> {
    if chosen.is_empty() { T::value_variants().to_vec() } else { chosen.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::super::record;
    use super::*;

    #[test]
    fn the_page_has_a_place_for_every_workload() {
        for workload in Workload::value_variants() {
            let place = format!("proxy/{}", workload.name());
            assert!(record::has_place(&place), "{place}");
        }
    }
}
