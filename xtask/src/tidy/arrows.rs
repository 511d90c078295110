//! Which crate may know which: the picture in ARCHITECTURE.md, as data.

use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Finding;
use crate::{run, workspace};

/// Each crate and the crates of ours it may depend on, outside its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("axum-layers", &["plimsoll-policy"]),
    (
        "plimsoll",
        &[
            "plimsoll-admin",
            "plimsoll-gateway",
            "plimsoll-load",
            "plimsoll-policy",
            "plimsoll-service",
            "plimsoll-state",
            "plimsoll-supervisor",
            "plimsoll-telemetry",
            "plimsoll-trust",
        ],
    ),
    ("plimsoll-admin", &["plimsoll-policy", "plimsoll-telemetry"]),
    ("plimsoll-gateway", &["plimsoll-policy", "plimsoll-telemetry", "plimsoll-trust"]),
    ("plimsoll-service", &["plimsoll-policy", "plimsoll-state", "plimsoll-telemetry"]),
    ("plimsoll-load", &["plimsoll-trust"]),
    ("plimsoll-policy", &[]),
    ("plimsoll-state", &[]),
    ("plimsoll-supervisor", &[]),
    ("plimsoll-telemetry", &[]),
    ("plimsoll-testbed", &[]),
    ("plimsoll-trust", &[]),
    ("xtask", &[]),
];

const REASON: &str =
    "arrows go one way and siblings never meet, so that a crate can be read, tested and replaced alone; see ARCHITECTURE.md";

/// What `cargo metadata` says of the workspace, as far as it matters here.
#[derive(Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// Absent for an ordinary dependency, else `dev` or `build`.
    kind: Option<String>,
    /// Present for crates of this workspace.
    path: Option<String>,
}

/// The crates of this workspace and what they declare.
pub(super) fn workspace() -> Result<Metadata> {
    let mut cargo = Command::new("cargo");
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(workspace::root());
    serde_json::from_str(&run::quietly(&mut cargo)?).context("cannot read cargo's metadata")
}

/// Every arrow that is not in the picture, and every crate that is missing from it.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    metadata.packages.iter().flat_map(check_package).collect()
}

fn check_package(package: &Package) -> Vec<Finding> {
    let finding = |detail| Finding { rule: "crate-arrows", reason: REASON, path: package.name.clone(), line: 0, detail };
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == package.name) else {
        return vec![finding("is not in the picture: add it to ARCHITECTURE.md and to xtask/src/tidy/arrows.rs".to_owned())];
    };
    let ours = package.dependencies.iter().filter(|dependency| dependency.path.is_some());
    // A test may start what production code may not know.
    let production = ours.filter(|dependency| dependency.kind.as_deref() != Some("dev"));
    let stray = production.filter(|dependency| !allowed.contains(&dependency.name.as_str()));
    stray.map(|dependency| finding(format!("may not depend on {}", dependency.name))).collect()
}
