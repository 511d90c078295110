//! User instructions per request, counted by valgrind: the same on every run, so small changes can be judged by it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::load;
use super::server::Server;
use crate::workspace;

/// The slope between these two counts leaves out what starting and stopping costs.
const FEW: usize = 1_000;
const MANY: usize = 5_000;

/// The words that put a server under valgrind, for `start`.
pub(super) fn tool(output: &Path) -> Result<Vec<String>> {
    ensure!(workspace::find_program("valgrind").is_some(), "valgrind is missing: install the package `valgrind`");
    let file = format!("--cachegrind-out-file={}/instructions.%p", output.display());
    Ok(["valgrind", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes", &file].map(str::to_owned).to_vec())
}

/// Instructions per request of the server that `start` starts anew for each count, with its output in the given directory.
pub(super) fn per_request(start: impl Fn(&Path) -> Result<Server>) -> Result<f64> {
    let count = |requests| -> Result<u64> {
        let output = tempfile::tempdir().context("cannot make a directory")?;
        let mut server = start(output.path())?;
        load::exactly(server.port, requests)?;
        server.stop()?;
        total(output.path())
    };
    let (few, many) = (count(FEW)?, count(MANY)?);
    Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
}

/// The sum over all processes of the server.
fn total(output: &Path) -> Result<u64> {
    let mut sum = 0;
    for file in fs::read_dir(output)? {
        let text = fs::read_to_string(file?.path())?;
        let line = text.lines().rev().find_map(|line| line.strip_prefix("summary:"));
        sum += line.and_then(|counts| counts.split_whitespace().next()?.parse::<u64>().ok()).context("valgrind left no summary")?;
    }
    ensure!(sum > 0, "valgrind counted nothing");
    Ok(sum)
}
