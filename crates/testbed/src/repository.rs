//! Where this repository keeps what tests use: the examples, and what `cargo xtask setup` installed.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// A path in the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lies two levels deep");
    root.join(relative)
}

/// Something that `cargo xtask setup` put under `target/test-tools`.
pub(crate) fn installed(relative: &str) -> Result<PathBuf> {
    let path = path("target/test-tools").join(relative);
    ensure!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    Ok(path)
}
