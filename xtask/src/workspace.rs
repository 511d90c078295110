//! Where things are: the repository, and what the chores put under its target directory.

use std::path::{Path, PathBuf};

/// The repository's top directory.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where `setup` puts what does not come from the system's packages; `cargo clean` removes it.
pub(crate) fn tools() -> PathBuf {
    root().join("target/test-tools")
}

/// A program by name, looked up where Debian puts servers too: an ordinary user's PATH lacks those places.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .chain(postgres_directories())
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// Debian keeps the server programs of each `PostgreSQL` version out of every PATH.
fn postgres_directories() -> Vec<PathBuf> {
    let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") else { return Vec::new() };
    let mut directories: Vec<_> = versions.flatten().map(|version| version.path().join("bin")).collect();
    directories.sort_unstable();
    directories
}
