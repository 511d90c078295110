//! Other programs, run to their end: aloud when their output is the point, quietly when only a failure is.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How much of a failed program's output is shown: its last lines carry the reason.
const LINES_ON_FAILURE: usize = 30;

/// Runs with this terminal as its input and output.
pub(crate) fn aloud(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if status.success() { Ok(()) } else { bail!("`{}` failed ({status})", line(command)) }
}

/// Runs in silence and returns what it printed; a failure shows the end of its output.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", line(command)))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = printed.lines().chain(complaint.lines()).collect();
    let tail = lines[lines.len().saturating_sub(LINES_ON_FAILURE)..].join("\n  ");
    bail!("`{}` failed ({})\n  {tail}", line(command), output.status)
}

/// The command as a person would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_end_of_what_was_printed() {
        let error = quietly(Command::new("sh").args(["-c", "seq 100; echo the reason >&2; exit 3"])).unwrap_err().to_string();
        assert!(error.contains("the reason") && error.contains("100") && !error.contains("\n  50\n"), "{error}");
    }
}
