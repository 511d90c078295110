//! A file of the repository, and which of its lines are production code.

use std::process::Command;

use anyhow::{Context, Result};

use crate::{run, workspace};

/// One text file; `path` is relative to the repository and uses `/`.
pub(super) struct Source {
    pub path: String,
    pub text: String,
}

/// Every text file that is tracked, or new and not ignored. Binary files are passed over.
pub(super) fn all() -> Result<Vec<Source>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]).current_dir(workspace::root());
    let listing = run::quietly(&mut git).context("cannot list the repository's files")?;
    let read = |path: &str| {
        // A file deleted but not yet committed is still listed; it has nothing to check.
        let bytes = std::fs::read(workspace::root().join(path)).ok()?;
        Some(Source { path: path.to_owned(), text: String::from_utf8(bytes).ok()? })
    };
    Ok(listing.split('\0').filter(|path| !path.is_empty()).filter_map(read).collect())
}

impl Source {
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(super) fn extension(&self) -> &str {
        self.name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// Tests, chores and the test bed may do what production code may not.
    pub(super) fn is_production(&self) -> bool {
        // The supervisor's tests need a binary of their own to be their children's parent.
        let exempt = ["xtask/", "crates/testbed/", "examples/", "fuzz/", "crates/supervisor/src/bin/"];
        let is_test = ["/tests/", "/examples/", "/benches/"].iter().any(|part| self.path.contains(part)) || self.name() == "tests.rs";
        !is_test && !exempt.iter().any(|prefix| self.path.starts_with(prefix))
    }

    /// The numbered lines of code, comments cut off, up to the unit tests, which stand at the end of a file.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        numbered.take_while(|(_, line)| *line != "#[cfg(test)]").map(|(number, line)| (number, without_comment(line)))
    }
}

/// The part before `//`, unless that belongs to an address such as `http://…`.
fn without_comment(line: &str) -> &str {
    let starts_comment = |at: &usize| !line[..*at].ends_with(':');
    line.match_indices("//").map(|(at, _)| at).find(starts_comment).map_or(line, |at| &line[..at])
}
