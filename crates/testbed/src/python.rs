//! The `FastAPI` example and the Python servers that run it, from the environment that `cargo xtask setup` made.

use std::path::PathBuf;

use anyhow::Result;

use crate::repository;

/// A program of that environment: `python`, `uvicorn`, `gunicorn`, `granian`.
pub fn program(name: &str) -> Result<PathBuf> {
    repository::installed("venv/bin").map(|programs| programs.join(name))
}

/// The directory to run it in: there the example's app is `app:app`.
pub fn example() -> PathBuf {
    repository::path("examples/fastapi")
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
    fn the_example_answers_on_every_server() {
        for (server, arguments) in [
            ("uvicorn", "app:app --port {port}"),
            ("gunicorn", "app:app --worker-class asgi --bind 127.0.0.1:{port}"),
            ("granian", "app:app --interface asgi --port {port}"),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let port = port::free();
            let mut command = Command::new(program(server).unwrap());
            command.args(arguments.replace("{port}", &port.to_string()).split(' ')).current_dir(example());
            let mut process = Process::start(server, &command, directory.path()).unwrap();
            let ready = || get(port, "/health").ok().filter(|answer| answer.status == 200);
            process.wait_until(Duration::from_mins(1), "an answer from /health", ready).unwrap();
            let Answer { status, body } = get(port, "/").unwrap();
            assert!(status == 200 && body.contains("\"fastapi\""), "{server}: {status} {body}");
            assert_eq!(post(port, "/items", r#"{"name":"rope","price":3}"#).unwrap().status, 201);
            assert_eq!(post(port, "/items", r#"{"name":"","price":3}"#).unwrap().status, 422);
        }
    }
}
