//! Changing a running edge: `plimsoll reload`, a signal, a saved file.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use plimsoll_testbed::exchange;
use plimsoll_testbed::poll::until_blocking;
use rustix::process::Signal;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::Request;
use crate::origin::Origin;
use crate::switched::{Echo, Switched};

/// A verb for the fleet with this data directory.
pub(crate) fn ask(verb: &str, data_dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.env_clear().arg(verb).arg("--data-dir").arg(data_dir).current_dir(data_dir).output().unwrap()
}

/// What it printed, and how it ended.
pub(crate) fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), [&output.stdout[..], &output.stderr].concat().try_into().unwrap())
}

/// An edge whose file can be written anew.
struct Edge {
    fleet: Fleet,
    directory: tempfile::TempDir,
}

impl Edge {
    fn start(file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
        let fleet = Launch::new(&["gateway"]).working_dir(directory.path()).fleet();
        Self { fleet, directory }
    }

    fn write(&self, file: &str) {
        std::fs::write(self.directory.path().join("plimsoll.toml"), file).unwrap();
    }

    #[track_caller]
    fn reload(&self) -> String {
        let (code, text) = said(&ask("reload", self.fleet.data_dir()));
        assert_eq!(code, Some(0), "{text}");
        text
    }

    fn name(&self, target: &str) -> String {
        name_at(&self.fleet, target)
    }

    /// The value of a metric, as it is written.
    fn metric(&self, name: &str) -> String {
        let text = exchange::get(self.fleet.admin_port(), "/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
        line.trim().to_owned()
    }
}

fn name_at(fleet: &Fleet, target: &str) -> String {
    let answer = fleet.client().get(target);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["name"].as_str().unwrap().to_owned()
}

fn upstream(name: &str, origins: &[&Origin]) -> String {
    let servers: Vec<_> = origins.iter().map(|origin| format!("{:?}", origin.server())).collect();
    format!("[[upstream]]\nname = \"{name}\"\nservers = [{}]\n", servers.join(", "))
}

fn route(path: &str, upstream: &str) -> String {
    format!("[[route]]\nmatch = \"{path}\"\nupstream = \"{upstream}\"\n")
}

#[test]
fn what_was_written_is_in_force_when_reload_returns() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let edge = Edge::start(&[upstream("a", &[&a]), route("/*", "a")].concat());
    assert_eq!(edge.name("/"), "a");
    for round in 0..20 {
        let (path, other) = if round % 2 == 0 { ("/new/*", "/old") } else { ("/old/*", "/new") };
        edge.write(&[upstream("a", &[&a]), upstream("b", &[&b]), route("/*", "a"), route(path, "b")].concat());
        let text = edge.reload();
        assert!(text.starts_with("reloaded:\n") && text.contains(&format!("route {path}: added")), "{text}");
        assert_eq!(edge.name(path.trim_end_matches('*')), "b");
        assert_eq!(edge.name(other), "a");
    }
    assert_eq!(edge.reload().trim(), "reloaded: nothing has changed");
    edge.fleet.stop();
}

#[test]
fn a_file_with_mistakes_changes_nothing_and_every_mistake_is_shown() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let edge = Edge::start(&[upstream("a", &[&a]), route("/*", "a")].concat());
    let since = edge.metric("plimsoll_config_last_reload_success_timestamp_seconds ");
    assert_eq!(edge.metric("plimsoll_config_last_reload_successful "), "1");
    edge.write(&[upstream("a", &[&b]), route("/*", "nobody"), "[gateway]\nprot = 1\nworkers = \"many\"\n".to_owned()].concat());
    let (code, text) = said(&ask("reload", edge.fleet.data_dir()));
    assert_eq!(code, Some(2), "{text}");
    for expected in
        ["plimsoll.toml:8:", "unknown key `prot`", "did you mean `port`?", "^^^^", "nobody", "3 mistakes", "nothing was changed"]
    {
        assert!(text.contains(expected), "`{expected}` is missing in {text}");
    }
    assert_eq!(edge.name("/"), "a");
    assert_eq!(edge.metric("plimsoll_config_last_reload_successful "), "0");
    assert_eq!(edge.metric("plimsoll_config_last_reload_success_timestamp_seconds "), since);
    assert_eq!(edge.fleet.status()["reload"]["last_ok"], false);
    let (_, table) = said(&ask("status", edge.fleet.data_dir()));
    assert!(table.contains("the last reload failed"), "{table}");

    std::fs::remove_file(edge.directory.path().join("plimsoll.toml")).unwrap();
    let (code, text) = said(&ask("reload", edge.fleet.data_dir()));
    assert!(code == Some(2) && text.contains("cannot read"), "a file that is gone is a mistake: {text}");
    assert_eq!(edge.name("/"), "a");

    edge.write(&[upstream("a", &[&b]), route("/*", "a")].concat());
    edge.reload();
    assert_eq!(edge.name("/"), "b");
    assert_eq!(edge.metric("plimsoll_config_last_reload_successful "), "1");
    edge.fleet.stop();
}

#[test]
fn what_takes_a_restart_is_named_and_the_rest_holds() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let edge = Edge::start(&[upstream("a", &[&a]), route("/*", "a")].concat());
    let fixed = "[gateway]\nworkers = 7\n[gateway.limits]\nbody_bytes_max = \"1KiB\"\n[admin]\nhosts = [\"ops.example\"]\n";
    edge.write(&[fixed, &upstream("a", &[&b]), &route("/*", "a")].concat());
    for _ in 0..2 {
        let text = edge.reload();
        let (_, waiting) = text.split_once("\nnot in force before a restart or `plimsoll upgrade`:\n").unwrap_or_else(|| panic!("{text}"));
        assert!(waiting.contains("gateway.workers: 0 → 7") && waiting.contains("admin.hosts"), "{text}");
        assert!(!waiting.contains("body_bytes_max") && !waiting.contains("upstream"), "{text}");
    }
    assert_eq!(edge.name("/"), "b");
    let large = Request::new("POST", "/").json(&serde_json::json!("x".repeat(2_000)));
    edge.fleet.client().ask(&large).assert_problem(413, "body-too-large");
    edge.fleet.stop();
}

#[test]
fn a_server_that_stays_keeps_its_record_and_one_that_goes_is_asked_no_more() {
    let [a, b, c] = [Origin::tcp("a"), Origin::tcp("b"), Origin::tcp("c")];
    let edge = Edge::start(&[upstream("o", &[&a, &b]), route("/*", "o")].concat());
    for _ in 0..20 {
        edge.name("/");
    }
    let before = edge.fleet.status();
    let seen = |status: &serde_json::Value, origin: &Origin| {
        let instances = status["instances"].as_array().unwrap().clone();
        let found = instances.into_iter().find(|instance| origin.server().ends_with(instance["address"].as_str().unwrap())).unwrap();
        (found["requests_total"].as_u64().unwrap(), found["state"].as_str().unwrap().to_owned())
    };
    edge.write(&[upstream("o", &[&a, &c]), route("/*", "o")].concat());
    edge.reload();
    assert!((0..40).all(|_| edge.name("/") != "b"), "it finishes what it has, and gets nothing new");
    let joined = || Ok((edge.name("/") == "c").then_some(()));
    until_blocking(PATIENCE, "the newcomer to be asked", joined).unwrap();
    let after = edge.fleet.status();
    assert_eq!(seen(&after, &b).1, "draining", "{after}");
    assert!(seen(&after, &a).0 >= seen(&before, &a).0, "{before} {after}");
    edge.fleet.stop();
}

#[test]
fn connections_that_were_switched_outlive_any_reload() {
    let (echo, a) = (Echo::start(), Origin::tcp("a"));
    let with_echo = |path: &str| format!("[[upstream]]\nname = \"echo\"\nservers = [{:?}]\n{}", echo.server(), route(path, "echo"));
    let edge = Edge::start(&[with_echo("/chat"), upstream("a", &[&a]), route("/*", "a")].concat());
    let mut sockets: Vec<_> = (0..10).map(|_| Switched::open(edge.fleet.port(), "/chat")).collect();
    let changes = [
        [with_echo("/chat"), upstream("a", &[&a]), route("/other", "a")].concat(),
        [with_echo("/talk"), upstream("a", &[&a]), route("/*", "a")].concat(),
        [upstream("a", &[&a]), route("/*", "a")].concat(),
    ];
    for file in changes {
        edge.write(&file);
        edge.reload();
        for socket in &mut sockets {
            socket.echo(b"still there?").unwrap();
        }
    }
    assert_eq!(edge.name("/chat"), "a", "new ones go where the file says");
    drop(sockets);
    edge.fleet.stop();
}

#[test]
fn a_hang_up_signal_and_a_saved_file_do_the_same() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let to = |origin: &Origin, watch: &str| format!("watch = \"{watch}\"\n{}{}", upstream("o", &[origin]), route("/*", "o"));
    let edge = Edge::start(&to(&a, "on"));
    edge.write(&to(&b, "on"));
    until_blocking(PATIENCE, "the saved file to hold", || Ok((edge.name("/") == "b").then_some(()))).unwrap();
    edge.fleet.stop();

    // Without a terminal nobody watches.
    let edge = Edge::start(&to(&a, "auto"));
    edge.write(&to(&b, "auto"));
    std::thread::park_timeout(Duration::from_secs(1));
    assert_eq!(edge.name("/"), "a");
    edge.fleet.signal(Signal::HUP);
    until_blocking(PATIENCE, "the signal to work", || Ok((edge.name("/") == "b").then_some(()))).unwrap();
    edge.fleet.stop();
}

#[test]
fn a_fleet_of_processes_is_reloaded_without_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let fleet = Launch::new(&["up"]).working_dir(directory.path()).fleet();
    let pids = fleet.pids();
    let mut user = crate::http::Client::logged_in(fleet.port(), "ada");
    std::fs::write(directory.path().join("plimsoll.toml"), "[fleet]\ninstances = 7\n[gateway]\nbalance = \"round_robin\"\n").unwrap();
    let (code, text) = said(&ask("reload", fleet.data_dir()));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("gateway.balance: \"p2c_ewma\" → \"round_robin\"") && text.contains("fleet.instances: 0 → 7"), "{text}");
    assert_eq!(user.get("/me").status, 200);
    assert_eq!(fleet.pids(), pids);
    fleet.stop();
}

#[test]
fn with_nobody_there_it_says_where_it_looked() {
    let directory = tempfile::tempdir().unwrap();
    for verb in ["reload", "upgrade"] {
        let (code, text) = said(&ask(verb, directory.path()));
        assert_eq!(code, Some(1), "{text}");
        assert!(text.starts_with("error: cannot reach the fleet at") && text.contains("hint: no fleet runs"), "{text}");
    }
}
