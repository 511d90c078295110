//! The limit of open files: raised for the edge, as it was for the instances.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::bare::Bare;

/// Starts plimsoll with these limits.
fn limited(directory: &Path, limits: &str) -> PathBuf {
    let script = directory.join("limited");
    fs::write(&script, format!("#!/bin/bash\n{limits}\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_plimsoll"))).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    script
}

/// Soft and hard.
fn open_files(pid: u32) -> [String; 2] {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let mut figures = line.split_whitespace().map(str::to_owned);
    [figures.next().unwrap(), figures.next().unwrap()]
}

#[test]
fn the_edge_raises_its_limit_and_a_command_gets_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let script = limited(directory.path(), "ulimit -Sn 256; ulimit -Hn 1000");
    let server = ["--", "python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"];
    let fleet = Bare::start(&script, &["run", "--instances", "1"], &server);
    assert_eq!(open_files(fleet.process.id()), ["1000", "1000"]);
    assert_eq!(open_files(fleet.until_ready("api-1", None)), ["256", "1000"]);
    assert!(fleet.process.log().contains("too few files may be open"), "{}", fleet.process.log());
    fleet.stop();
}

#[test]
fn our_own_instances_raise_their_limit_too() {
    let directory = tempfile::tempdir().unwrap();
    let script = limited(directory.path(), "ulimit -Sn 256");
    let fleet = Bare::start(&script, &["up"], &[]);
    let [soft, hard] = open_files(fleet.until_ready("api-1", None));
    assert_eq!(soft, hard);
    fleet.stop();
}
