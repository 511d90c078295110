//! `cargo xtask tidy`: the invariants of ARCHITECTURE.md that no compiler checks.
//!
//! A rule is a row of data: a name, its reason, and what it looks at. `bans` holds what may not be written where,
//! `shapes` what every file looks like, `arrows` which crate may know which.

mod arrows;
mod bans;
mod shapes;
mod source;
#[cfg(test)]
mod tests;

use anyhow::{Result, bail};

/// A broken rule at a place.
#[derive(Debug)]
struct Finding {
    rule: &'static str,
    reason: &'static str,
    path: String,
    /// Counted from 1; 0 stands for the file as a whole.
    line: usize,
    detail: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { rule, reason, path, line, detail } = self;
        write!(formatter, "{path}:{line}: {detail}\n  rule {rule}: {reason}")
    }
}

/// Checks every file that git tracks or would track.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        count => bail!("tidy found {count} broken rule{}", if count == 1 { "" } else { "s" }),
    }
}

fn findings() -> Result<Vec<Finding>> {
    let sources = source::all()?;
    let mut findings = shapes::check_tree(&sources);
    for source in &sources {
        findings.extend(shapes::check(source));
        findings.extend(bans::check(source));
    }
    findings.extend(arrows::check(&arrows::workspace()?));
    Ok(findings)
}
