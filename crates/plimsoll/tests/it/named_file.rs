//! `up --config FILE`: what the file and the flags say holds for the instances too.

use std::time::Duration;

use plimsoll_testbed::poll::until_blocking;

use crate::fleet::{Fleet, Launch};
use crate::http::Client;

const KEY: &str = "one-key-for-both-one-key-for-both-one-key";

/// In a directory where the instances do not look by themselves.
fn up_with(directory: &std::path::Path, text: &str) -> Fleet {
    let file = directory.join("named.toml");
    std::fs::write(&file, text).unwrap();
    Launch::new(&["up", "--config"]).word(file.display().to_string()).fleet()
}

#[test]
fn two_fleets_with_one_named_file_share_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("shared.db");
    let text = format!("state.url = 'sqlite:{}'\nservice.session_keys = ['{KEY}']\n", store.display());
    let [here, there] = [up_with(directory.path(), &text), up_with(directory.path(), &text)];
    let session = Client::logged_in(here.port(), "ada").session.unwrap();
    assert_eq!(Client::with_session(there.port(), &session).get("/me").json()["username"], "ada");
    let place = store.display().to_string();
    assert!(store.exists() && here.log().contains(&place), "the store in use is the one that is named");
    assert!(!here.data_dir().join("state.db").exists());
    here.stop();
    there.stop();
}

#[test]
fn a_named_files_session_ttl_ends_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = up_with(directory.path(), "service.session_ttl = '1s'\n");
    let session = Client::logged_in(fleet.port(), "ada").session.unwrap();
    // Asking would prolong it, so each try waits longer than it lives.
    let mut wait = Duration::from_millis(1_500);
    let ended = || {
        let asked = std::time::Instant::now();
        until_blocking(wait * 2, "the session to age", || Ok((asked.elapsed() > wait).then_some(()))).unwrap();
        wait *= 2;
        Ok((Client::with_session(fleet.port(), &session).get("/me").status == 401).then_some(()))
    };
    until_blocking(Duration::from_secs(20), "the end of the session", ended).unwrap();
    fleet.stop();
}

#[test]
fn a_file_that_only_a_flag_makes_sensible_does_not_stop_the_instances() {
    let directory = tempfile::tempdir().unwrap();
    // Both listeners on one port, but for --port and --admin-port.
    let fleet = up_with(directory.path(), "gateway.port = 7777\nadmin.port = 7777\n");
    assert_eq!(fleet.client().get("/whoami").status, 200);
    fleet.stop();
}
