//! The Express example and the Node that runs it, with the packages that `cargo xtask setup` installed beside the example.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{process, repository};

/// The interpreter.
pub fn program() -> Result<PathBuf> {
    process::find(Path::new("node"))
}

/// The directory to run it in: there the example is `server.js`.
pub fn example() -> PathBuf {
    repository::path("examples/express")
}

/// The value of `NODE_PATH` with which the example finds its packages.
pub fn packages() -> Result<PathBuf> {
    repository::installed("node/node_modules")
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;
    use crate::exchange::{Answer, get, post};
    use crate::port;
    use crate::process::Process;

    #[test]
    fn the_example_answers() {
        let directory = tempfile::tempdir().unwrap();
        let port = port::free();
        let mut command = Command::new(program().unwrap());
        command.arg("server.js").current_dir(example()).env("NODE_PATH", packages().unwrap()).env("PORT", port.to_string());
        let mut process = Process::start("express", &command, directory.path()).unwrap();
        let ready = || get(port, "/health").ok().filter(|answer| answer.status == 200);
        process.wait_until(Duration::from_mins(1), "an answer from /health", ready).unwrap();
        let Answer { status, body } = get(port, "/").unwrap();
        assert!(status == 200 && body.contains("\"express\""), "{status} {body}");
        assert_eq!(post(port, "/items", r#"{"name":"rope","price":3}"#).unwrap().status, 201);
        assert_eq!(post(port, "/items", r#"{"name":"","price":3}"#).unwrap().status, 422);
    }
}
