//! The Express example's packages, as its lock file pins them, beside the example instead of in it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{is_current, mark_current};
use crate::{run, workspace};

const MANIFESTS: [&str; 2] = ["package.json", "package-lock.json"];

/// Installs into `target/test-tools/node/node_modules`; tests point `NODE_PATH` there.
pub(super) fn install() -> Result<()> {
    let directory = workspace::tools().join("node");
    let example = workspace::root().join("examples/express");
    let read = |name| fs::read_to_string(example.join(name)).with_context(|| format!("cannot read the example's {name}"));
    let texts = [read(MANIFESTS[0])?, read(MANIFESTS[1])?];
    let pins = texts.concat();
    if is_current(&directory, &pins) {
        return Ok(());
    }
    println!("setup: installing Node packages into {}", directory.display());
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, text) in MANIFESTS.iter().zip(&texts) {
        fs::write(directory.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    run::quietly(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&directory))?;
    mark_current(&directory, &pins)
}
