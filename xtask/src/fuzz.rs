//! `cargo xtask fuzz`: every fuzz target for a while, as many at a time as there are cores.
//!
//! The toolchain is the one that builds the product: the coverage that libFuzzer steers by comes from a pass of LLVM, which needs no nightly
//! compiler. Memory sanitizers do, and would find little in code without `unsafe`. What is found makes the run fail and lies in
//! `fuzz/artifacts`; once it is mended it moves to `fuzz/seeds`, where unit tests replay it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{run, workspace};

/// Counters at every edge, and the operands of comparisons, for libFuzzer to follow.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions=on";

/// An input that takes longer is a finding too.
const INPUT_SECONDS_MAX: u32 = 5;
const INPUT_BYTES_MAX: u32 = 16 * 1024;
const MEMORY_MIB_MAX: u32 = 1024;

#[derive(Args)]
pub(crate) struct Options {
    /// How long each target runs.
    #[arg(long, default_value_t = SECONDS)]
    seconds: u64,
    /// Run only this target; may be given more than once.
    #[arg(long)]
    only: Vec<String>,
}

/// Long enough to find what a change broke, short enough for every run of `cargo xtask ci`.
pub(crate) const SECONDS: u64 = 30;

impl Default for Options {
    fn default() -> Self {
        Self { seconds: SECONDS, only: Vec::new() }
    }
}

/// Where the fuzz crate lies.
fn home() -> PathBuf {
    workspace::root().join("fuzz")
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let all = targets()?;
    if let Some(unknown) = options.only.iter().find(|name| !all.contains(name)) {
        bail!("there is no target `{unknown}`; there are {}", all.join(", "));
    }
    let chosen: Vec<_> = all.into_iter().filter(|name| options.only.is_empty() || options.only.contains(name)).collect();
    let programs = build()?;
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let mut found = Vec::new();
    for batch in chosen.chunks(at_once) {
        let results = thread::scope(|scope| {
            let threads: Vec<_> = batch.iter().map(|name| scope.spawn(|| fuzz(&programs, name, options.seconds))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a target's thread reports errors")).collect::<Vec<_>>()
        });
        for (name, result) in batch.iter().zip(results) {
            match result {
                Ok(summary) => println!("fuzz: {name:<16} {summary}"),
                Err(error) => found.push(format!("{name}: {error:#}")),
            }
        }
    }
    if found.is_empty() { Ok(()) } else { bail!("{}", found.join("\nerror: ")) }
}

/// The names of all targets, in order.
fn targets() -> Result<Vec<String>> {
    let entries = fs::read_dir(home().join("fuzz_targets")).context("cannot list the fuzz targets")?;
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<_> = entries.flatten().filter_map(|entry| stem(entry.path())).collect();
    names.sort_unstable();
    Ok(names)
}

/// Builds all targets, apart from the product's own artifacts, and returns where they are.
fn build() -> Result<PathBuf> {
    let about = run::quietly(Command::new("rustc").arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say for which machine it builds")?;
    let directory = workspace::root().join("target/fuzz");
    // With a target named, build scripts and macros are built without the instrumentation. The lock file follows what the gateway needs.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--target", host, "--target-dir"]).arg(&directory).current_dir(home());
    run::aloud(cargo.env("RUSTFLAGS", COVERAGE).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    Ok(directory.join(host).join("debug"))
}

/// Runs one target; what it did, or what it found.
fn fuzz(programs: &Path, name: &str, seconds: u64) -> Result<String> {
    let [corpus, artifacts] = ["corpus", "artifacts"].map(|kind| home().join(kind).join(name));
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let log = artifacts.join("log");
    let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut program = Command::new(programs.join(name));
    program
        .arg(format!("-max_total_time={seconds}"))
        .args([format!("-timeout={INPUT_SECONDS_MAX}"), format!("-max_len={INPUT_BYTES_MAX}"), format!("-rss_limit_mb={MEMORY_MIB_MAX}")])
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        .arg(&corpus)
        .args(seeds(name));
    let status = program
        .current_dir(home())
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("cannot write the log twice")?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot start the target {name}"))?;
    let text = String::from_utf8_lossy(&fs::read(&log).context("cannot read the log")?).into_owned();
    if !status.success() {
        let tail: Vec<&str> = text.lines().rev().take(25).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!(
            "found something ({status}); the input lies in {}, and moves to fuzz/seeds/{name} once it is mended\n  {}",
            artifacts.display(),
            tail.join("\n  ")
        );
    }
    summary(&text).context("libFuzzer did not say what it did")
}

/// Where a target begins: its seeds, and for heads and bodies the corpus of malformed requests.
fn seeds(name: &str) -> Vec<PathBuf> {
    let mut seeds = vec![home().join("seeds").join(name)];
    if matches!(name, "request_head" | "chunked") {
        seeds.extend(["", "valid"].map(|folder| workspace::root().join("crates/gateway/tests/corpus").join(folder)));
    }
    seeds
}

/// How many inputs were run, how far they reached, and how many are worth keeping.
fn summary(log: &str) -> Option<String> {
    let executions = log.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?.trim();
    let last = log.lines().rev().find(|line| line.starts_with('#') && line.contains("cov:"))?;
    let figure = |name: &str| last.split_whitespace().skip_while(|word| *word != name).nth(1);
    Some(format!("{executions} inputs, {} edges, corpus {}", figure("cov:")?, figure("corp:")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_what_libfuzzer_said_last() {
        let log = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #999\tNEW    cov: 321 ft: 400 corp: 45/2Kb lim: 4 exec/s: 5 rss: 31Mb L: 3/9 MS: 1 CopyPart-\n\
            Done 1234 runs in 2 second(s)\nstat::number_of_executed_units: 1234\n";
        assert_eq!(summary(log).as_deref(), Some("1234 inputs, 321 edges, corpus 45/2Kb"));
        assert_eq!(summary("==1== ERROR: libFuzzer: deadly signal"), None);
    }

    #[test]
    fn every_target_has_seeds() {
        for name in targets().unwrap() {
            assert!(seeds(&name)[0].is_dir(), "fuzz/seeds/{name} is missing");
        }
    }
}
