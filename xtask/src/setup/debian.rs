//! The system's packages: real servers, a load generator, a browser.
//!
//! Nothing is started on installation: tests start private servers on free ports.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{run, workspace};

/// A package and the program that tells whether it is needed.
const NEEDS: &[(&str, &str)] = &[
    ("redis-server", "redis-server"),
    ("postgresql", "initdb"),
    ("pgbouncer", "pgbouncer"),
    ("nginx", "nginx"),
    ("dnsmasq-base", "dnsmasq"),
    ("openssl", "openssl"),
    ("pebble", "pebble"),
    ("haproxy", "haproxy"),
    ("systemd", "systemd-socket-activate"),
    ("caddy", "caddy"),
    ("wrk", "wrk"),
    ("slowhttptest", "slowhttptest"),
    ("nghttp2-client", "h2load"),
    ("apache2-utils", "ab"),
    ("wget", "wget"),
    ("valgrind", "valgrind"),
    ("cmake", "cmake"),
    ("chromium", "chromium"),
    ("chromium-driver", "chromedriver"),
    ("prometheus", "promtool"),
    ("curl", "curl"),
    ("nodejs", "node"),
    ("npm", "npm"),
    ("python3", "python3"),
];

/// Installs the packages whose programs are nowhere to be found.
pub(super) fn install_missing() -> Result<()> {
    let missing = missing_packages();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!("apt-get install --no-install-recommends {}", missing.join(" "));
    if workspace::find_program("apt-get").is_none() {
        bail!("these are missing and this is no Debian: install {} with your package manager", missing.join(", "));
    }
    let mut script = privileged(&by_hand)?;
    println!("setup: installing {} from the system's packages", missing.join(", "));
    script.args(["sh", "-c", include_str!("../../tools/install-packages.sh"), "install-packages"]).args(&missing);
    run::quietly(&mut script)?;
    match missing_packages() {
        still if still.is_empty() => Ok(()),
        still => bail!("the packages {} are installed, but their programs are not found", still.join(", ")),
    }
}

fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<_> =
        NEEDS.iter().filter(|(_, program)| workspace::find_program(program).is_none()).map(|(package, _)| *package).collect();
    // Debian ships Python without the module that makes virtual environments.
    if !has_python_venv() {
        missing.push("python3-venv");
    }
    missing
}

fn has_python_venv() -> bool {
    Command::new("python3").args(["-c", "import venv, ensurepip"]).output().is_ok_and(|output| output.status.success())
}

/// `env`, as root: directly, or by a sudo that asks nothing.
fn privileged(by_hand: &str) -> Result<Command> {
    if run::quietly(Command::new("id").arg("-u"))?.trim() == "0" {
        return Ok(Command::new("env"));
    }
    let sudo_works = Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success());
    if !sudo_works {
        bail!("packages are missing and this is not root. Run this, then try again:\n\n  sudo {by_hand}");
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("-n");
    Ok(sudo)
}
