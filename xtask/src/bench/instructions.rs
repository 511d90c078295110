//! User instructions per request, counted by valgrind: the same on every run, so small changes can be judged by it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::server::Server;
use crate::workspace;

/// The words that put a server under valgrind, for `start`.
pub(super) fn tool(output: &Path) -> Result<Vec<String>> {
    ensure!(workspace::find_program("valgrind").is_some(), "valgrind is missing: run `cargo xtask setup`");
    let file = format!("--cachegrind-out-file={}/instructions.%p", output.display());
    Ok(["valgrind", "--tool=cachegrind", "--cache-sim=no", "--trace-children=yes", &file].map(str::to_owned).to_vec())
}

/// Instructions per request of the server that `start` starts anew for each count, with its output in the given directory. The slope
/// between few and many requests leaves out what starting and stopping costs.
pub(super) fn per_request(
    [few, many]: [usize; 2],
    start: impl Fn(&Path) -> Result<Server>,
    ask: impl Fn(&Server, usize) -> Result<()>,
) -> Result<f64> {
    let count = |requests| -> Result<u64> {
        let output = tempfile::tempdir().context("cannot make a directory")?;
        let mut server = start(output.path())?;
        ask(&server, requests)?;
        server.stop()?;
        total(output.path())
    };
    Ok((count(many)? as f64 - count(few)? as f64) / (many - few) as f64)
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
