//! The file of the binary is replaced or gone while the fleet runs: an upgrade, a build. What runs goes on as it is.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::bare::Bare;
use crate::processes;

/// Replaces the file of a running fleet's binary, kills an instance, and waits for the next one.
fn survives(replace: impl FnOnce(&Path)) {
    let directory = tempfile::tempdir().unwrap();
    let binary = directory.path().join("plimsoll");
    fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &binary).unwrap();
    let fleet = Bare::start(&binary, &["up"], &[]);
    let before = fleet.until_ready("api-2", None);
    replace(&binary);
    processes::signal(before, Signal::KILL);
    let after = fleet.until_ready("api-2", Some(before));
    let words = fs::read_to_string(format!("/proc/{after}/cmdline")).unwrap();
    assert!(words.starts_with(&binary.display().to_string()), "people find it under the name they started: {words:?}");
    let name = fs::read_to_string(format!("/proc/{after}/comm")).unwrap();
    assert_eq!(name.trim(), "plimsoll", "and so do pgrep and top");
    fleet.stop();
}

#[test]
fn an_instance_comes_back_although_the_binary_is_gone() {
    survives(|binary| fs::remove_file(binary).unwrap());
}

#[test]
fn an_instance_comes_back_as_what_it_was_although_the_binary_is_another() {
    survives(|binary| {
        // A running binary cannot be written to, only replaced.
        let other = binary.with_extension("new");
        fs::write(&other, "#!/bin/sh\nexit 7\n").unwrap();
        fs::set_permissions(&other, fs::metadata(binary).unwrap().permissions()).unwrap();
        fs::rename(other, binary).unwrap();
    });
}
