//! One certificate for everybody: self-signed, ECDSA on P-256, as most of the web has.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::run;

/// Its files, for as long as this lives.
pub(super) struct Certificate(TempDir);

impl Certificate {
    pub(super) fn make() -> Result<Self> {
        let this = Self(tempfile::tempdir().context("cannot make a directory")?);
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
        openssl.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
        run::quietly(openssl.arg("-keyout").arg(this.key()).arg("-out").arg(this.chain()))?;
        let both = [this.chain(), this.key()].map(std::fs::read_to_string).into_iter().collect::<std::io::Result<String>>()?;
        std::fs::write(this.both(), both)?;
        Ok(this)
    }

    pub(super) fn chain(&self) -> PathBuf {
        self.0.path().join("chain.pem")
    }

    pub(super) fn key(&self) -> PathBuf {
        self.0.path().join("key.pem")
    }

    /// Certificate and key in one file, as some want them.
    pub(super) fn both(&self) -> PathBuf {
        self.0.path().join("both.pem")
    }
}
