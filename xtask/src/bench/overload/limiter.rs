//! What the limiter itself costs a request: the micro-benchmark of `crates/policy`, run and written down with the rest.

use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Result, ensure};

use super::bench::Bench;
use crate::{run, workspace};

/// Building it takes longer than running it.
const SECONDS: f64 = 30.0;

pub(super) fn plan(bench: &mut Bench) {
    bench.plan(1, SECONDS);
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut cargo = Command::new("cargo");
    cargo.args(["bench", "--quiet", "--locked", "--package", "plimsoll-policy", "--bench", "admission"]);
    let printed = run::quietly(cargo.current_dir(workspace::root()))?;
    bench.passed(SECONDS);
    let text = table(&printed)?;
    bench.say("the limiter's own cost is measured");
    Ok(text)
}

/// From lines such as `refused on arrival: 50 ns`.
fn table(printed: &str) -> Result<String> {
    let mut text = "| a request that is | costs |\n|---|--:|\n".to_owned();
    let mut rows = 0;
    for (what, cost) in printed.lines().filter_map(|line| line.rsplit_once(": ")).filter(|(_, cost)| cost.ends_with(" ns")) {
        let _ = writeln!(text, "| {what} | {cost} |");
        rows += 1;
    }
    ensure!(rows > 0, "the micro-benchmark printed no figure:\n{printed}");
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_becomes_a_row() {
        let text = table("warming up\nuncontended, 1 thread: 61 ns\nrefused: 9 ns\n").unwrap();
        assert!(text.ends_with("| uncontended, 1 thread | 61 ns |\n| refused | 9 ns |\n"), "{text}");
        assert!(table("nothing here").is_err());
    }
}
