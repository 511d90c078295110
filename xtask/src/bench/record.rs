//! Where results go: raw runs and summary under `bench/runs`, the newest table into `docs/benchmarks.md`.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::workspace;

const PAGE: &str = "docs/benchmarks.md";

/// One finished benchmark.
pub(super) struct Record<'a> {
    pub workload: &'a str,
    pub date: &'a str,
    pub machine: &'a str,
    /// Files of raw runs: name and content.
    pub raw: &'a [(&'a str, &'a str)],
    pub summary: &'a str,
}

impl Record<'_> {
    /// Where a day's runs of a workload lie.
    pub(super) fn directory(date: &str, machine: &str, workload: &str) -> PathBuf {
        workspace::root().join("bench/runs").join(format!("{date}-{machine}")).join(workload)
    }

    /// Writes the runs, then puts the summary between the page's markers. Returns the directory.
    pub(super) fn write(&self) -> Result<PathBuf> {
        let directory = Self::directory(self.date, self.machine, self.workload);
        fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        for (name, text) in self.raw {
            fs::write(directory.join(name), text)?;
        }
        fs::write(directory.join("summary.md"), self.summary)?;
        let page = workspace::root().join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("cannot read {PAGE}"))?;
        fs::write(&page, between_markers(&text, self.workload, self.summary)?)?;
        Ok(directory)
    }
}

/// The page with everything between a workload's two markers replaced.
fn between_markers(page: &str, workload: &str, content: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {workload}: begin -->"), format!("<!-- {workload}: end -->"));
    let split = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) = split.with_context(|| format!("{PAGE} needs the lines `{begin}` and `{end}`"))?;
    Ok(format!("{before}{begin}\n{}\n{end}{after}", content.trim_end()))
}

/// Whether the page has the markers of a workload.
#[cfg(test)]
pub(super) fn has_place(workload: &str) -> bool {
    let page = fs::read_to_string(workspace::root().join(PAGE)).expect("the page is in the repository");
    between_markers(&page, workload, "").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_between_the_markers_changes() {
        let page = "# A\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n";
        let new = between_markers(page, "x", "new\n").unwrap();
        assert_eq!(new, "# A\n<!-- x: begin -->\nnew\n<!-- x: end -->\nafter\n");
        assert_eq!(between_markers(&new, "x", "new\n").unwrap(), new);
    }

    #[test]
    fn a_page_without_markers_is_refused() {
        assert!(between_markers("# A\n", "x", "new").is_err());
    }

    #[test]
    fn the_page_has_a_place_for_load_generators() {
        assert!(has_place("load"));
    }
}
