//! oha comes from the Rust registry; only this benchmark needs it, so it is built here and not by `cargo xtask setup`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::{run, workspace};

const VERSION: &str = "1.16.0";

/// The program, built first if it is not there yet.
pub(super) fn installed() -> Result<PathBuf> {
    let folder = workspace::tools().join("oha");
    let program = folder.join("bin/oha");
    let is_wanted = |printed: String| printed.trim().ends_with(VERSION);
    if run::quietly(Command::new(&program).arg("--version")).is_ok_and(is_wanted) {
        return Ok(program);
    }
    println!("bench: building oha {VERSION}, which takes minutes");
    run::aloud(Command::new("cargo").args(["install", "oha", "--locked", "--version", VERSION, "--root"]).arg(&folder))?;
    Ok(program)
}
