//! Programs that are compiled for this benchmark: plimsoll itself, and competitors in workspaces of their own, which nothing else builds.

use std::process::Command;

use anyhow::{Context, Result};

use super::peer::Peer;
use crate::{run, workspace};

/// Where the competitors' workspaces are built.
const TARGET: &str = "target/bench-peers";

/// Builds what `peers` need.
pub(super) fn all(peers: &[Peer]) -> Result<()> {
    for peer in peers {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--locked"]).current_dir(workspace::root());
        match peer {
            Peer::Plimsoll => cargo.args(["--package", "plimsoll"]),
            Peer::Pingora | Peer::Hyper => {
                cargo.args(["--manifest-path", &format!("bench/peers/{}/Cargo.toml", peer.name()), "--target-dir", TARGET])
            }
            Peer::Nginx | Peer::Haproxy | Peer::Caddy | Peer::Relay => continue,
        };
        println!("bench: building {}", peer.name());
        run::aloud(&mut cargo).with_context(|| format!("{0} does not build here; choose others with --peer", peer.name()))?;
    }
    Ok(())
}

/// A competitor that is ours to build.
pub(super) fn program(peer: Peer) -> String {
    workspace::root().join(TARGET).join("release").join(format!("{}-peer", peer.name())).display().to_string()
}
