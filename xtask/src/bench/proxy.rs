//! `cargo xtask bench proxy`: what passing on a 1 KiB GET costs. One worker and one core for whoever is measured.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::machine::{Machine, today};
use super::record::Record;
use super::server::{LOAD_CORE, MEASURED_CORE, Recipe, Server, free_port, write_config};
use super::{Options, instructions, load, rounds, summary};
use crate::{run, workspace};

/// A server that competes.
#[derive(Clone, Copy)]
struct Candidate {
    name: &'static str,
    /// The configuration in `bench/peers`, where it has one.
    config: Option<&'static str>,
    /// Program and arguments; the places are filled in at the start.
    words: &'static [&'static str],
    /// How to learn its version, where that matters.
    version: &'static [&'static str],
}

/// The first is what the others are compared with.
const CANDIDATES: &[Candidate] = &[
    Candidate {
        name: "nginx",
        config: Some("nginx.conf"),
        words: &["nginx", "-e", "stderr", "-p", "{directory}", "-c", "{config}"],
        version: &["nginx", "-v"],
    },
    Candidate { name: "haproxy", config: Some("haproxy.cfg"), words: &["haproxy", "-f", "{config}"], version: &["haproxy", "-v"] },
    Candidate {
        name: "plimsoll",
        config: Some("plimsoll.toml"),
        words: &[
            "{plimsoll}",
            "gateway",
            "--config",
            "{config}",
            "--port",
            "{port}",
            "--admin-port",
            "{admin}",
            "--data-dir",
            "{directory}/data",
        ],
        version: &["{plimsoll}", "--version"],
    },
    Candidate { name: "relay", config: None, words: &["{xtask}", "bench", "relay", "{port}", "{origin}"], version: &[] },
];

pub(super) fn run(options: &Options) -> Result<()> {
    let candidates = chosen(&options.only)?;
    let machine = Machine::describe()?;
    ensure!(machine.cores > LOAD_CORE, "two cores are needed: one for the server, one for the load");
    if candidates.iter().any(|candidate| candidate.name == "plimsoll") {
        println!("bench: building plimsoll");
        run::aloud(Command::new("cargo").args(["build", "--release", "--locked", "--package", "plimsoll"]).current_dir(workspace::root()))?;
    }
    let origin = start_origin()?;
    let servers: Vec<Server> = candidates.iter().map(|candidate| candidate.start(origin.port, &[])).collect::<Result<_>>()?;
    let samples = rounds::run(&servers, options.samples, options.seconds)?;
    drop(servers);
    let names: Vec<&'static str> = candidates.iter().map(|candidate| candidate.name).collect();
    let counts = if options.instructions { count_instructions(&candidates, origin.port)? } else { Vec::new() };
    let table = summary::table(&summary::rows(&names, &samples, &counts));
    println!("\n{table}");
    if options.dry_run {
        return Ok(());
    }
    let date = today()?;
    let text = format!("{}\n{table}", heading(&date, &machine, options, &candidates)?);
    let record = Record { workload: "proxy", date: &date, machine: &machine.slug(), raw: &summary::csv(&samples), summary: &text };
    println!("written to {}", record.write()?.display());
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<Candidate>> {
    if only.is_empty() {
        return Ok(CANDIDATES.to_vec());
    }
    let find = |name: &String| {
        let known = || CANDIDATES.iter().map(|candidate| candidate.name).collect::<Vec<_>>().join(", ");
        CANDIDATES
            .iter()
            .find(|candidate| candidate.name == name)
            .copied()
            .with_context(|| format!("no candidate `{name}`; there are {}", known()))
    };
    only.iter().map(find).collect()
}

fn start_origin() -> Result<Server> {
    let port = free_port()?;
    let words = vec![own_program()?, "bench".to_owned(), "origin".to_owned(), port.to_string()];
    start("origin", port, LOAD_CORE, words, directory()?, &[])
}

fn start(name: &'static str, port: u16, core: usize, words: Vec<String>, directory: TempDir, under: &[String]) -> Result<Server> {
    let ready = |_: &str| load::probe(port);
    Server::start(Recipe { name, port, core: Some(core), words, environment: Vec::new(), directory, under, ready: &ready })
}

impl Candidate {
    /// Starts it in front of `origin`, under another program if words for that are given.
    fn start(self, origin: u16, under: &[String]) -> Result<Server> {
        let (directory, port) = (directory()?, free_port()?);
        let mut places = vec![
            ("directory", directory.path().display().to_string()),
            ("port", port.to_string()),
            ("origin", origin.to_string()),
            ("admin", free_port()?.to_string()),
            ("plimsoll", plimsoll()),
            ("xtask", own_program()?),
        ];
        if let Some(template) = self.config {
            places.push(("config", write_config(directory.path(), template, &places)?));
        }
        let fill =
            |word: &&str| places.iter().fold((*word).to_owned(), |word, (place, value)| word.replace(&format!("{{{place}}}"), value));
        let mut words: Vec<String> = self.words.iter().map(fill).collect();
        let Some(program) = workspace::find_program(&words[0]) else {
            bail!("{} is missing: run `cargo xtask setup`", words[0]);
        };
        words[0] = program.display().to_string();
        start(self.name, port, MEASURED_CORE, words, directory, under)
    }

    /// What it says of its version, on one line.
    fn version(self) -> Result<Option<String>> {
        let Some((program, arguments)) = self.version.split_first() else { return Ok(None) };
        let program = program.replace("{plimsoll}", &plimsoll());
        let output = Command::new(workspace::find_program(&program).unwrap_or_default()).args(arguments).output()?;
        // nginx tells its version as an error.
        let told = [output.stdout, output.stderr].concat();
        Ok(Some(String::from_utf8_lossy(&told).lines().next().unwrap_or_default().trim().to_owned()))
    }
}

fn count_instructions(candidates: &[Candidate], origin: u16) -> Result<Vec<(&'static str, f64)>> {
    let count = |candidate: &Candidate| {
        println!("bench: counting the instructions of {}", candidate.name);
        let start = |output: &Path| candidate.start(origin, &instructions::tool(output)?);
        Ok((candidate.name, instructions::per_request(start)?))
    };
    candidates.iter().map(count).collect()
}

/// The lines above the table: what was measured, when, on what.
fn heading(date: &str, machine: &Machine, options: &Options, candidates: &[Candidate]) -> Result<String> {
    let versions: Vec<String> = candidates.iter().filter_map(|candidate| candidate.version().transpose()).collect::<Result<_>>()?;
    let Machine { cores, processor, kernel, load } = machine;
    let (samples, seconds) = (options.samples, options.seconds);
    Ok(format!(
        "{date}, {cores} cores of {processor}, Linux {kernel}, load average before the run {load:.2}; \
         {samples} runs of {seconds} s each, interleaved.\n{}.\n",
        versions.join("; ")
    ))
}

fn directory() -> Result<TempDir> {
    tempfile::tempdir().context("cannot make a directory")
}

fn own_program() -> Result<String> {
    Ok(std::env::current_exe().context("cannot find this program")?.display().to_string())
}

fn plimsoll() -> String {
    workspace::root().join("target/release/plimsoll").display().to_string()
}
