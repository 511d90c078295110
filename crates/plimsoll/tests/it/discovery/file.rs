//! A file of servers, replaced while they serve.

use std::path::Path;

use super::{gateway, mix, names, servers, three, wait_for};
use crate::traffic::Traffic;
use plimsoll_testbed::port;

/// As tools do it: the new content appears at once.
fn replace(path: &Path, text: &str) {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

#[test]
fn a_file_is_followed_under_load_and_a_bad_one_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (path, port) = (directory.path().join("servers.txt"), port::free());
    let _origins = three(port);
    let listed = |hosts: &[u8]| servers(hosts, port).join("\n");
    replace(&path, &listed(&[1]));
    let mut fleet = gateway(directory.path(), None, "servers_file = \"servers.txt\"");
    wait_for(&fleet, &servers(&[1], port));
    let traffic = Traffic::start(fleet.port(), &mix());
    for hosts in [&[1, 2][..], &[2, 3], &[3]] {
        replace(&path, &listed(hosts));
        wait_for(&fleet, &servers(hosts, port));
    }
    replace(&path, &format!("{}\n10.0.0.1:80\n", listed(&[1])));
    fleet.wait_for_log("line 2: `10.0.0.1:80` does not say how it is reached");
    replace(&path, "");
    fleet.wait_for_log("it names no server");
    std::fs::remove_file(&path).unwrap();
    assert!(names(&fleet).iter().eq(["three"]));
    replace(&path, &listed(&[1]));
    wait_for(&fleet, &servers(&[1], port));
    let tally = traffic.stop();
    assert!(tally.failed == 0 && tally.answered > 100, "{tally:?}");
    fleet.stop();
}

#[test]
fn weights_and_names_may_stand_in_a_file_beside_what_the_settings_list() {
    let directory = tempfile::tempdir().unwrap();
    let port = port::free();
    let _origins = three(port);
    let text = format!("{{\"servers\": [{{\"url\": \"http://127.0.0.2:{port}\", \"weight\": 9}}, \"http://localhost:{port}\"]}}");
    replace(&directory.path().join("servers.json"), &text);
    let keys = format!("servers = [\"http://127.0.0.3:{port}\"]\nbalance = \"round_robin\"\nservers_file = \"servers.json\"");
    let fleet = gateway(directory.path(), None, &keys);
    wait_for(&fleet, &servers(&[1, 2, 3], port));
    let mut client = fleet.client();
    let answers: Vec<_> = (0..55).map(|_| client.get("/").json()["name"].as_str().unwrap().to_owned()).collect();
    let count = |name: &str| answers.iter().filter(|each| *each == name).count();
    // About nine of eleven; those that came up a moment later are in their slow start.
    assert!(count("two") >= 30 && count("one") >= 1 && count("three") >= 1, "{answers:?}");
    fleet.stop();
}

#[test]
fn a_file_that_cannot_be_used_at_the_start_is_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("servers.toml"), "servers = [\n\"10.0.0.1\"\n]\n").unwrap();
    let file = "[[upstream]]\nname = \"api\"\nservers_file = \"servers.toml\"\n[[route]]\nmatch = \"/*\"\n";
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let refused = crate::fleet::Launch::new(&["gateway"]).working_dir(directory.path()).refused();
    assert_eq!(refused.code, Some(2));
    assert!(refused.text.contains("servers.toml: line 2: `10.0.0.1` does not say how it is reached"), "{}", refused.text);
}
