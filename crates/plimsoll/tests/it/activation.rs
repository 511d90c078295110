//! Sockets that a service manager has opened for us.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::port;
use plimsoll_testbed::process::Process;
use rustix::process::Signal;

use crate::fleet::PATIENCE;
use crate::http::Client;
use crate::origin::Origin;
use crate::processes;

/// Starts plimsoll when somebody connects, as systemd does for a `.socket` unit.
fn activated(directory: &Path, file: &str, port: u16, name: Option<&str>, words: &[&str]) -> Process {
    std::fs::write(directory.join("plimsoll.toml"), file).unwrap();
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(format!("127.0.0.1:{port}"));
    if let Some(name) = name {
        command.arg(format!("--fdname={name}"));
    }
    command.args(["-E", processes::MARK]).arg(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["gateway", "--admin-port", "0", "--data-dir", "data"]).args(words).env(processes::MARK, directory);
    let mut process = Process::start("plimsoll", &command, directory).unwrap();
    let log = directory.join("plimsoll.log");
    let listens = || std::fs::read_to_string(&log).is_ok_and(|text| text.contains("Listening on")).then_some(());
    process.wait_until(PATIENCE, "the socket to be open", listens).unwrap();
    process
}

fn file(origin: &Origin) -> String {
    format!("[[upstream]]\nname = \"o\"\nservers = [{:?}]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n", origin.server())
}

fn ended(mut process: Process, directory: &Path) {
    processes::signal(process.id(), Signal::TERM);
    until_blocking(PATIENCE, "plimsoll to end", || Ok(process.exit_status())).unwrap();
    let mark = directory.display().to_string();
    until_blocking(PATIENCE, "the end of all processes", || Ok(processes::marked(&mark).is_empty().then_some(()))).unwrap();
}

#[test]
fn whoever_woke_it_is_served_on_the_socket_that_was_open_before() {
    let origin = Origin::tcp("o");
    for (name, by_address) in [(Some("http"), false), (None, true)] {
        let directory = tempfile::tempdir().unwrap();
        let port = port::free();
        let bound = format!("gateway.bind = \"127.0.0.1\"\n{}", file(&origin));
        let asked = port.to_string();
        let words = if by_address { ["--port", &asked] } else { ["--port", "0"] };
        let process = activated(directory.path(), &bound, port, name, &words);
        for _ in 0..20 {
            let answer = Client::new(port).get("/");
            assert_eq!(answer.json()["name"], "o", "{}", process.log());
        }
        ended(process, directory.path());
    }
}

#[test]
fn a_socket_that_nothing_is_configured_for_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::tcp("o");
    let port = port::free();
    let mut process = activated(directory.path(), &file(&origin), port, None, &["--port", "0"]);
    let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    let exit = until_blocking(PATIENCE, "plimsoll to end", || Ok(process.exit_status())).unwrap();
    assert_eq!(exit.code(), Some(2), "{}", process.log());
    let expected = format!("nothing is configured to listen at 127.0.0.1:{port}");
    assert!(process.log().contains(&expected) && process.log().contains("FileDescriptorName="), "{}", process.log());
}
