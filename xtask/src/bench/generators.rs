//! `cargo xtask bench load`: what asking for 1 KiB costs the one who asks. One thread and one core for each generator.
//!
//! All ask the same cheap origin over as many kept-alive connections, each as fast as it can; plimsoll a second time by a schedule, at half
//! the rate that wrk reached, which is what it is for.

mod oha;
pub(super) mod printed;

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::event_loop::SMALL_BYTES;
use super::load::{self, Exchange};
use super::machine::{Machine, today};
use super::processor;
use super::record::Record;
use super::rounds::{self, Sample};
use super::server::{LOAD_CORE, MEASURED_CORE, Recipe, Server, free_port};
use super::{Options, summary};
use crate::{run, workspace};
use printed::Reader;

const CONNECTIONS: &str = "64";

/// A generator that competes.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    /// Program and arguments; the places are filled in for each run.
    words: &'static [&'static str],
    /// How to read what it printed.
    answers: Reader,
    version: &'static [&'static str],
}

/// The first is what the others are compared with.
const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "wrk",
        words: &["wrk", "--threads", "1", "--connections", CONNECTIONS, "--duration", "{seconds}s", "{url}"],
        answers: |printed| Ok(load::read_wrk(printed)?.requests),
        version: &["wrk", "-v"],
    },
    Candidate {
        name: "plimsoll",
        words: &["{plimsoll}", "load", "{url}", "--connections", CONNECTIONS, "--duration", "{seconds}s", "--json", "-"],
        answers: printed::plimsoll,
        version: &["{plimsoll}", "--version"],
    },
    Candidate {
        name: "plimsoll, open",
        words: &["{plimsoll}", "load", "{url}", "--rate", "{rate}", "--duration", "{seconds}s", "--json", "-"],
        answers: printed::plimsoll,
        version: &[],
    },
    Candidate {
        name: "h2load",
        words: &["h2load", "--h1", "--threads=1", "--clients", CONNECTIONS, "--duration={seconds}", "{url}"],
        answers: printed::h2load,
        version: &["h2load", "--version"],
    },
    Candidate {
        name: "oha",
        words: &["{oha}", "--no-tui", "--output-format", "json", "-c", CONNECTIONS, "-z", "{seconds}s", "{url}"],
        answers: printed::oha,
        version: &["{oha}", "--version"],
    },
];

/// What the words of a candidate are filled with.
struct Places {
    url: String,
    seconds: u32,
    /// Requests per second in open pace.
    rate: u64,
    plimsoll: String,
    oha: String,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let candidates = chosen(&options.only)?;
    let machine = Machine::describe()?;
    ensure!(machine.cores > LOAD_CORE, "two cores are needed: one for the generator, one for the server");
    println!("bench: building plimsoll");
    run::aloud(Command::new("cargo").args(["build", "--release", "--locked", "--package", "plimsoll"]).current_dir(workspace::root()))?;
    let wants_oha = candidates.iter().any(|candidate| candidate.name == "oha");
    let oha = if wants_oha { oha::installed()?.display().to_string() } else { String::new() };
    let origin = start_origin()?;
    let mut places = Places {
        url: format!("http://127.0.0.1:{}/", origin.port),
        seconds: 1,
        rate: 1_000,
        plimsoll: workspace::root().join("target/release/plimsoll").display().to_string(),
        oha,
    };
    // Warm-ups are thrown away, but for what they tell of the rate.
    for (index, candidate) in candidates.iter().enumerate() {
        let warm_up = candidate.measure(&places, 0)?;
        if index == 0 {
            places.rate = (warm_up.requests_per_second() / 2.0) as u64;
        }
    }
    places.seconds = options.seconds;
    let samples = rounds::run(candidates.len(), options.samples, |index, round| {
        let sample = candidates[index].measure(&places, round)?;
        let (total_us, per_second) = (sample.total_us(), sample.requests_per_second());
        println!("{round:>3}/{} {:<14} {total_us:>6.2} µs {per_second:>8.0}/s", options.samples, sample.candidate);
        Ok(sample)
    })?;
    let names: Vec<&'static str> = candidates.iter().map(|candidate| candidate.name).collect();
    let table = summary::table(&names, &samples);
    println!("\n{table}");
    if options.dry_run {
        return Ok(());
    }
    let date = today()?;
    let text = format!("{}\n{table}", heading(&date, &machine, options, &candidates, &places)?);
    let raw = summary::csv(&samples);
    let record = Record { workload: "load", date: &date, machine: &machine.slug(), raw: &[("raw.csv", &raw)], summary: &text };
    println!("written to {}", record.write()?.display());
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<Candidate>> {
    let find = |name: &String| CANDIDATES.iter().find(|candidate| candidate.name == name).copied();
    let known = || CANDIDATES.iter().map(|candidate| candidate.name).collect::<Vec<_>>().join(", ");
    if only.is_empty() {
        return Ok(CANDIDATES.to_vec());
    }
    only.iter().map(find).collect::<Option<_>>().with_context(|| format!("there is no such candidate; there are {}", known()))
}

fn start_origin() -> Result<Server> {
    let port = free_port()?;
    let program = std::env::current_exe().context("cannot find this program")?.display().to_string();
    let words = vec![program, "bench".to_owned(), "origin".to_owned(), port.to_string()];
    let directory = tempfile::tempdir().context("cannot make a directory")?;
    let ready = |_: &str| Exchange::get(port, SMALL_BYTES).client().map(|_| ());
    let core = Some(LOAD_CORE);
    Server::start(Recipe { name: "origin", port, core, words, environment: Vec::new(), directory, under: &[], ready: &ready })
}

impl Candidate {
    /// One run, to its end.
    fn measure(&self, places: &Places, round: u32) -> Result<Sample<&'static str>> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &MEASURED_CORE.to_string()]).args(self.words.iter().map(|word| places.fill(word)));
        let before = processor::spent_by_ended_children()?;
        let printed = run::quietly(&mut command).with_context(|| format!("{} did not work", self.name))?;
        let spent = processor::spent_by_ended_children()? - before;
        let requests = (self.answers)(&printed)?;
        Ok(Sample { candidate: self.name, round, requests, seconds: places.seconds.into(), spent })
    }

    /// What it says of its version, on one line.
    fn version(&self, places: &Places) -> Result<Option<String>> {
        let Some((program, arguments)) = self.version.split_first() else { return Ok(None) };
        // wrk tells its version as an error.
        let output = Command::new(places.fill(program)).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
        let told = [output.stdout, output.stderr].concat();
        Ok(Some(String::from_utf8_lossy(&told).lines().next().unwrap_or_default().trim().to_owned()))
    }
}

impl Places {
    fn fill(&self, word: &str) -> String {
        let (seconds, rate) = (self.seconds.to_string(), self.rate.to_string());
        let values =
            [("{url}", &self.url), ("{seconds}", &seconds), ("{rate}", &rate), ("{plimsoll}", &self.plimsoll), ("{oha}", &self.oha)];
        values.into_iter().fold(word.to_owned(), |word, (place, value)| word.replace(place, value))
    }
}

/// The lines above the table: what was measured, when, on what.
fn heading(date: &str, machine: &Machine, options: &Options, candidates: &[Candidate], places: &Places) -> Result<String> {
    let versions: Vec<String> = candidates.iter().filter_map(|candidate| candidate.version(places).transpose()).collect::<Result<_>>()?;
    let Machine { cores, processor, kernel, load } = machine;
    let (samples, seconds, rate) = (options.samples, options.seconds, places.rate);
    Ok(format!(
        "{date}, {cores} cores of {processor}, Linux {kernel}, load average before the run {load:.2}; \
         {samples} runs of {seconds} s each, interleaved; open pace at {rate}/s.\n{}.\n",
        versions.join("; ")
    ))
}
