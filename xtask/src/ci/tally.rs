//! What the test runner said of its tests, read from its own closing lines while they pass by.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::{fmt, io, thread};

use anyhow::{Context, Result, bail};

/// Tests by outcome, as the runner counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    /// Of those that passed, how many only did when they were run again.
    flaky: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, skipped, flaky } = self;
        write!(formatter, "{passed} passed, {failed} failed, {skipped} skipped")?;
        if *flaky > 0 {
            write!(formatter, ", {flaky} flaky: mend them")?;
        }
        Ok(())
    }
}

/// Runs a test runner, shows what it prints, and returns the sum of its closing lines; none if it printed none.
pub(super) fn watch(mut runner: Command) -> Result<Option<Tally>> {
    let mut child = runner.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot start the test runner")?;
    let (out, err) = (child.stdout.take().expect("stdout is piped"), child.stderr.take().expect("stderr is piped"));
    let (from_out, from_err) = thread::scope(|scope| {
        let from_err = scope.spawn(|| pass_on(err, io::stderr()));
        let from_out = pass_on(out, io::stdout());
        (from_out, from_err.join().expect("passing lines on does not panic"))
    });
    let status = child.wait().context("cannot wait for the test runner")?;
    if !status.success() {
        bail!("tests failed ({status})");
    }
    Ok(read(from_out?.iter().chain(&from_err?).map(String::as_str)))
}

/// Copies line by line and keeps those that may be closing lines.
fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<Vec<String>> {
    let mut kept = Vec::new();
    for line in BufReader::new(from).lines() {
        let line = line?;
        writeln!(to, "{line}")?;
        if line.contains(" passed") {
            kept.push(line);
        }
    }
    Ok(kept)
}

/// The sum over all closing lines: nextest prints one, `cargo test` one per binary.
fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Tally> {
    let closing = lines.filter(|line| line.trim_start().starts_with("Summary [") || line.starts_with("test result: "));
    closing.map(read_line).reduce(|sum, next| Tally {
        passed: sum.passed + next.passed,
        failed: sum.failed + next.failed,
        skipped: sum.skipped + next.skipped,
        flaky: sum.flaky + next.flaky,
    })
}

fn read_line(line: &str) -> Tally {
    let words: Vec<&str> = line.split([' ', ',', ';', '.', '(', ')']).filter(|word| !word.is_empty()).collect();
    let before = |names: &[&str]| {
        let counts = words.windows(2).filter(|pair| names.contains(&pair[1]));
        counts.filter_map(|pair| pair[0].parse::<u64>().ok()).sum()
    };
    Tally {
        passed: before(&["passed"]),
        failed: before(&["failed", "timed"]),
        skipped: before(&["skipped", "ignored"]),
        flaky: before(&["flaky"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closing_line_of_nextest() {
        let lines = [
            "    PASS [ 0.1s] (1/2) a 9 passed",
            "     Summary [   0.012s] 12 tests run: 11 passed (1 slow, 2 flaky), 1 failed, 3 skipped",
        ];
        assert_eq!(read(lines.into_iter()), Some(Tally { passed: 11, failed: 1, skipped: 3, flaky: 2 }));
    }

    #[test]
    fn adds_up_the_closing_lines_of_cargo_test() {
        let line = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s";
        assert_eq!(read([line, line].into_iter()), Some(Tally { passed: 10, failed: 0, skipped: 2, flaky: 0 }));
    }

    #[test]
    fn a_runner_that_says_nothing_counts_as_nothing() {
        assert_eq!(read(["warning: nothing passed"].into_iter()), None);
    }

    #[test]
    fn a_failing_runner_is_a_failure_whatever_it_printed() {
        let mut runner = Command::new("sh");
        runner.args(["-c", "echo 'test result: ok. 5 passed; 0 failed'; exit 1"]);
        assert!(watch(runner).is_err());
    }
}
