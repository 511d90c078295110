//! `cargo xtask bench handover`: reloads twice a second and ten upgrades under load, and what clients notice of them.
//!
//! One run for each way in. A request that fails, a reload that drops a WebSocket or a process that does not end fails the benchmark.

mod edge;
mod table;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use self::edge::Edge;
use super::machine::{Machine, today};
use super::own_load::OwnLoad;
use super::proxy::websocket;
use super::record::Record;
use super::recording::Stage;
use super::site::Site;
use crate::{run, workspace};

#[derive(Args)]
pub(crate) struct Options {
    /// Ways in, separated by commas; all when left out.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Way>,
    /// Requests per second.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Upgrades; there are six times as many reloads.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    upgrades: u32,
    /// Measure although the machine is busy; how long anybody waited is then worth little.
    #[arg(long)]
    busy: bool,
    /// Take the programs that are there.
    #[arg(long)]
    no_build: bool,
    /// Print the result and write nothing; so it is for a choice of ways, too.
    #[arg(long)]
    dry_run: bool,
}

/// How the clients come in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Way {
    /// HTTP/1.1 without encryption, and for each process a hundred switched connections beside it.
    Http1,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS.
    Http2,
}

/// Opened before the first reload, and after each upgrade but the last.
const WEBSOCKETS: usize = 100;
const RELOADS_PER_UPGRADE: u32 = 6;
const RELOAD_EVERY: Duration = Duration::from_millis(500);
/// What goes before, for comparison.
const CALM: Duration = Duration::from_secs(10);
/// What comes after the last upgrade.
const AFTER: Duration = Duration::from_secs(2);

/// What came of one way in.
struct Outcome {
    way: Way,
    calm: Stage,
    stage: Stage,
    reloads: u32,
    upgrades: u32,
    websockets: usize,
    /// Those that a reload, or an upgrade, had ended before their client did.
    dropped: usize,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let machine = Machine::describe()?;
    if !options.busy {
        machine.ensure_quiet()?;
    }
    if !options.no_build {
        println!("bench: building");
        let mut cargo = Command::new("cargo");
        run::aloud(cargo.args(["build", "--release", "--locked", "--package", "plimsoll"]).current_dir(workspace::root()))?;
    }
    let site = Site::prepare()?;
    let ways = if options.only.is_empty() { Way::value_variants() } else { &options.only };
    let outcomes: Vec<Outcome> = ways.iter().map(|way| way.play(options, &site)).collect::<Result<_>>()?;
    let date = today()?;
    let Machine { cores, processor, kernel, load } = &machine;
    let text = format!(
        "### Reloads and upgrades under load\n\n{}\n{date}, {cores} cores of {processor}, Linux {kernel}, load average before the run {load:.2}.\n",
        table::table(&outcomes, options.rate)
    );
    println!("\n{text}");
    outcomes.iter().try_for_each(Outcome::judge)?;
    if !options.dry_run && options.only.is_empty() {
        let raw = table::raw(&outcomes);
        let record = Record { workload: "handover", date: &date, machine: &machine.slug(), raw: &[("raw.csv", &raw)], summary: &text };
        println!("written to {}", record.write()?.display());
    }
    Ok(())
}

impl Outcome {
    fn judge(&self) -> Result<()> {
        let (name, failed, dropped) = (self.way.name(), self.stage.totals.due - self.stage.totals.good, self.dropped);
        ensure!(failed == 0 && dropped == 0, "{name}: {failed} requests failed, {dropped} WebSockets were dropped");
        Ok(())
    }
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Http1 => "HTTP/1.1",
            Self::Tls => "HTTP/1.1 over TLS",
            Self::Http2 => "HTTP/2 over TLS",
        }
    }

    fn play(self, options: &Options, site: &Site) -> Result<Outcome> {
        let has_tls = self != Self::Http1;
        let planned = RELOAD_EVERY * (RELOADS_PER_UPGRADE * options.upgrades) + AFTER;
        let mut edge = Edge::start(site, has_tls, planned + AFTER)?;
        let calm = self.load(&edge, options.rate, CALM)?.finish()?.since_stage(0);
        let load = self.load(&edge, options.rate, planned)?;
        let (began, mut reloads, mut sockets) = (Instant::now(), 0, Sockets::default());
        for upgrade in 1..=options.upgrades {
            // Of every process some, since a reload reaches only the one that serves.
            sockets.open(if has_tls { 0 } else { WEBSOCKETS }, edge.port())?;
            for _ in 0..RELOADS_PER_UPGRADE {
                wait_until(began + RELOAD_EVERY * reloads);
                edge.reload(reloads % 2 == 0)?;
                reloads += 1;
                sockets.ask();
            }
            let pid = edge.upgrade()?;
            sockets.ask();
            println!("{}: upgrade {upgrade}/{} to process {pid}, {} WebSockets open", self.name(), options.upgrades, sockets.open.len());
        }
        ensure!(began.elapsed() < planned, "reloads and upgrades took longer than the load: the machine is too busy");
        let recording = load.finish()?;
        for example in &recording.examples {
            println!("{}: {}", self.name(), example.message);
        }
        ensure!(!recording.generator.saturated, "the generator could not keep its schedule: the machine is too busy, or the rate too high");
        sockets.ask();
        let (websockets, dropped) = (sockets.opened, sockets.opened - sockets.open.len());
        drop(sockets);
        edge.stop()?;
        Ok(Outcome { way: self, calm, stage: recording.since_stage(0), reloads, upgrades: options.upgrades, websockets, dropped })
    }

    fn load(self, edge: &Edge, rate: u32, lasts: Duration) -> Result<OwnLoad> {
        let scheme = if self == Self::Http1 { "http" } else { "https" };
        let mut command = OwnLoad::asking(&format!("{scheme}://127.0.0.1:{}/", edge.port()));
        command.args(["--rate", &rate.to_string(), "--duration", &format!("{}s", lasts.as_secs())]);
        // Nobody may send these twice: one that gets lost is lost.
        command.args(["--method", "POST", "--body", "{}"]);
        if self != Self::Http1 {
            command.arg("--insecure");
        }
        if self == Self::Http2 {
            command.arg("--http2");
        }
        OwnLoad::start(command)
    }
}

#[derive(Default)]
struct Sockets {
    /// Those that have echoed whenever they were asked.
    open: Vec<TcpStream>,
    opened: usize,
}

impl Sockets {
    fn open(&mut self, count: usize, port: u16) -> Result<()> {
        for _ in 0..count {
            self.open.push(websocket::open((Ipv4Addr::LOCALHOST, port).into())?);
        }
        self.opened += count;
        Ok(())
    }

    /// Forgets those that do not echo.
    fn ask(&mut self) {
        self.open.retain_mut(|socket| echo(socket).is_ok());
    }
}

fn echo(socket: &mut TcpStream) -> Result<()> {
    let frame = websocket::frame();
    socket.write_all(&frame).context("cannot send")?;
    let mut echo = vec![0; frame.len()];
    socket.read_exact(&mut echo).context("no echo")?;
    ensure!(echo == frame, "another echo than was sent");
    Ok(())
}

fn wait_until(moment: Instant) {
    while let Some(wait) = moment.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
        std::thread::park_timeout(wait);
    }
}

#[cfg(test)]
mod tests {
    use super::super::record;

    #[test]
    fn the_page_has_a_place_for_the_table() {
        assert!(record::has_place("handover"));
    }
}
