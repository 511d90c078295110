//! What every file looks like: its name, its length, its last byte; and what the tree as a whole must hold.

use super::Finding;
use super::source::Source;

/// A file beyond this holds more than one idea.
const LINES_MAX: usize = 700;

/// Names that say nothing about what is inside, and so attract everything.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "misc", "manager"];

/// Files that a reader of the repository expects at its top.
const EXPECTED: &[&str] = &["ARCHITECTURE.md", "CHANGELOG.md", "LICENSE", "README.md"];

/// Every rule of shape that this file breaks.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    [file_name, length, whitespace, table_of_contents, lints].iter().flat_map(|rule| rule(source)).collect()
}

/// What is missing from the tree.
pub(super) fn check_tree(sources: &[Source]) -> Vec<Finding> {
    let is_missing = |name: &&&str| !sources.iter().any(|source| source.path == ***name);
    let finding = |name: &&str| Finding {
        rule: "expected-files",
        reason: "people look for it at the top of a repository",
        path: (*name).to_owned(),
        line: 0,
        detail: "is missing".to_owned(),
    };
    EXPECTED.iter().filter(is_missing).map(finding).collect()
}

impl Source {
    pub(super) fn finding(&self, rule: &'static str, reason: &'static str, line: usize, detail: String) -> Finding {
        Finding { rule, reason, path: self.path.clone(), line, detail }
    }
}

fn file_name(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    let stem = source.name().split('.').next().unwrap_or_default();
    if source.name() == "mod.rs" {
        let reason = "a dozen open files called mod.rs cannot be told apart";
        findings.push(source.finding("no-mod-rs", reason, 0, "write foo.rs beside foo/".to_owned()));
    }
    if EMPTY_NAMES.contains(&stem) {
        let reason = "a name that says nothing attracts everything";
        findings.push(source.finding("names-say-something", reason, 0, format!("`{stem}` says nothing; name the file after its one idea")));
    }
    findings
}

fn length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().count();
    if lines <= LINES_MAX || !["rs", "py", "js", "sh", "html", "css"].contains(&source.extension()) || is_vendored(source) {
        return Vec::new();
    }
    let detail = format!("{lines} lines, {LINES_MAX} at most");
    vec![source.finding("one-idea-per-file", "a file this long holds several ideas; split it by idea", LINES_MAX, detail)]
}

fn whitespace(source: &Source) -> Vec<Finding> {
    // Snapshots and measurements keep what was printed, inputs of tests are bytes, and vendored files stay as they came.
    let is_as_it_came =
        ["snap", "csv", "http", "proptest-regressions"].contains(&source.extension()) || source.path.starts_with("fuzz/seeds/");
    if is_as_it_came || is_vendored(source) || source.text.is_empty() {
        return Vec::new();
    }
    let reason = "differences show what changed, and nothing else";
    let trailing = source.text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t', '\r']));
    let mut findings: Vec<_> = trailing
        .map(|(index, _)| source.finding("clean-line-ends", reason, index + 1, "whitespace at the end of the line".to_owned()))
        .collect();
    if !source.text.ends_with('\n') {
        findings.push(source.finding(
            "clean-line-ends",
            reason,
            source.text.lines().count(),
            "no newline at the end of the file".to_owned(),
        ));
    }
    findings
}

/// A crate's `lib.rs` holds documentation, `mod` and `use`, and nothing that could be looked for elsewhere.
fn table_of_contents(source: &Source) -> Vec<Finding> {
    if !source.path.starts_with("crates/") || !source.path.ends_with("/src/lib.rs") {
        return Vec::new();
    }
    let mut inside_use = false;
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        let line = line.trim();
        let declares = line.strip_prefix("pub ").or_else(|| line.strip_prefix("pub(crate) ")).unwrap_or(line);
        let begins_use = declares.starts_with("use ");
        let is_module = declares.starts_with("mod ") && declares.ends_with(';');
        let is_contents = line.is_empty() || line.starts_with("//") || line.starts_with('#') || is_module || begins_use || inside_use;
        if !is_contents {
            let reason = "lib.rs is a table of contents: a paragraph, `mod` lines, a short `pub use`";
            findings.push(source.finding("lib-is-contents", reason, index + 1, "code belongs into a module of its own".to_owned()));
        }
        inside_use = (inside_use || begins_use) && !line.ends_with(';');
    }
    findings
}

/// Without this the workspace's lints, `unsafe_code = "forbid"` among them, do not hold for a crate.
fn lints(source: &Source) -> Vec<Finding> {
    let is_crate = source.name() == "Cargo.toml" && source.text.contains("[package]") && !source.path.starts_with("fuzz/");
    if !is_crate || source.text.contains("[lints]\nworkspace = true") {
        return Vec::new();
    }
    vec![source.finding(
        "lints-everywhere",
        "a crate outside the workspace's lints may hold anything",
        0,
        "add `[lints] workspace = true`".to_owned(),
    )]
}

fn is_vendored(source: &Source) -> bool {
    source.path.contains("/vendor/") || source.path.contains(".min.")
}
