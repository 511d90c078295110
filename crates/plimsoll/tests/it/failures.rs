//! Starts that cannot work: what went wrong, what to do about it, an exit code that says whose turn it is, and nothing left running.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use plimsoll_testbed::port;
use plimsoll_testbed::process::find;
use rustix::process::Signal;

use crate::fleet::{Fleet, Launch, PATIENCE, Refused};

/// The error with its hint, as the last thing that is said.
#[track_caller]
fn check(refused: &Refused, code: i32, parts: &[&str]) {
    let Refused { text, .. } = refused;
    assert_eq!(refused.code, Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
    let error = text.find("error: ").unwrap_or_else(|| panic!("no error in:\n{text}"));
    assert!(text[error..].contains("\n\nhint: "), "no hint in:\n{text}");
    assert!(!text.contains("is up\n") && !text.contains("panicked"), "{text}");
}

/// A shell as the server.
fn sh(script: &str) -> Launch {
    Launch::run(&["sh", "-c", script]).word("--instances").word("2")
}

#[test]
fn a_port_in_use_is_named_and_another_suggested() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for launch in [Launch::new(&["up"]), sh("exec python3 -m http.server {port}")] {
        check(&launch.port(port).refused(), 1, &[&format!("0.0.0.0:{port}"), "ddress already in use", "--port"]);
    }
    for launch in [Launch::new(&["up"]), sh("exec python3 -m http.server {port}")] {
        check(&launch.admin_port(port).refused(), 1, &[&format!("127.0.0.1:{port}"), "ddress already in use", "--admin-port"]);
    }
}

/// The kernel would let two processes of one user share a port: half of the requests would go to the wrong fleet.
#[test]
fn another_gateways_ports_are_in_use_too() {
    let fleet = Fleet::up();
    check(&Launch::new(&["up"]).port(fleet.port()).refused(), 1, &["ddress already in use", "--port"]);
    check(&Launch::new(&["up"]).admin_port(fleet.admin_port()).refused(), 1, &["ddress already in use", "--admin-port"]);
    assert_eq!(fleet.client().get("/whoami").status, 200, "who was first goes on");
    fleet.stop();
}

#[test]
fn a_data_directory_must_be_one_and_writable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [file.clone(), file.join("below"), "/proc/no-such-place".into()] {
        check(&Launch::new(&["up"]).data_dir(&path).refused(), 1, &[&path.display().to_string(), "--data-dir"]);
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), "");
}

#[test]
fn a_data_directory_belongs_to_one_fleet() {
    let fleet = Fleet::up();
    for launch in [Launch::new(&["up"]), sh("sleep 60")] {
        check(&launch.data_dir(fleet.data_dir()).refused(), 1, &["already running", "plimsoll status", "--data-dir"]);
    }
    assert_eq!(fleet.status()["instances"].as_array().unwrap().len(), 3, "the first one's socket still answers");
    fleet.stop();
}

#[test]
fn a_command_that_is_not_there_is_named() {
    check(&Launch::run(&["no-such-server", "app:app"]).refused(), 1, &["command not found", "no-such-server", "is it installed"]);
    check(&Launch::run(&["./no-such-script"]).refused(), 1, &["no-such-script", "working directory"]);
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("script"), "#!/bin/sh\n").unwrap();
    check(&Launch::run(&["./script"]).working_dir(directory.path()).refused(), 1, &["may not be executed", "chmod +x"]);
}

#[test]
fn a_server_that_listens_elsewhere_is_told_about_port() {
    find("python3".as_ref()).unwrap();
    let elsewhere = port::free();
    let script = format!("echo starting the engine; exec python3 -u -m http.server -b 127.0.0.1 {elsewhere}");
    let [public, operators] = [port::free(), port::free()];
    let launch = Launch::run(&["sh", "-c", &script]).word("--instances").word("1").port(public).admin_port(operators);
    let refused = launch.variable("PLIMSOLL__FLEET__STARTUP_TIMEOUT", "2s").refused();
    check(&refused, 1, &["api-1", "not ready", "starting the engine", &format!("it listens on 127.0.0.1:{elsewhere}, but"), "$PORT"]);
    for port in [elsewhere, public, operators] {
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(), "{port} is free again");
    }
}

/// Long before the startup timeout of a minute, once for all instances.
#[track_caller]
fn says_early(launch: Launch, part: &str) {
    let fleet = launch.begun(&format!("instance is not ready yet: {part}"));
    fleet.signal(Signal::INT);
    let log = fleet.log();
    fleet.ended();
    assert_eq!(log.matches("not ready yet").count(), 1, "{log}");
}

#[test]
fn a_ready_path_that_is_not_there_is_named_early() {
    let server = sh("exec python3 -u -m http.server -b 127.0.0.1 $PORT").word("--ready-path").word("/healthz");
    says_early(server, "it answers 404 to the probe, GET /healthz: name a path that answers 2xx with --ready-path");
    let server = sh("exec python3 -u -m http.server -b 127.0.0.1 $PORT").word("--ready-path").word("/healthz");
    let refused = server.variable("PLIMSOLL__FLEET__STARTUP_TIMEOUT", "5s").refused();
    check(&refused, 1, &["\n\nhint: it answers 404 to the probe, GET /healthz"]);
    let probes = refused.text.matches("\"GET /healthz").count();
    assert!(probes < 2 * 100, "asked for five seconds, and {probes} times in the server's log");
}

#[test]
fn a_server_that_listens_elsewhere_is_told_early_whatever_it_prints() {
    let elsewhere = port::free();
    let script = format!("test $PLIMSOLL_INSTANCE = api-1 || exec sleep 300; exec python3 -m http.server -b 127.0.0.1 {elsewhere} >&-");
    says_early(sh(&script), &format!("it listens on 127.0.0.1:{elsewhere}, but it must listen on 127.0.0.1:$PORT"));
}

#[test]
fn a_server_that_says_nothing_is_told_about_port_too() {
    let refused = sh("sleep 300").variable("PLIMSOLL__FLEET__STARTUP_TIMEOUT", "1s").refused();
    check(&refused, 1, &["not ready", "read PORT", "{port}", "startup timeout"]);
}

#[test]
fn a_server_that_crashes_at_once_is_quoted() {
    let started = Instant::now();
    let refused = sh("echo reading settings; echo the database is on fire >&2; exit 3").refused();
    check_quoted(&refused, &["exit code 3", "reading settings", "the database is on fire"]);
    let refused = sh("echo \"ModuleNotFoundError: No module named 'fastapi'\" >&2; exit 1").refused();
    check(&refused, 1, &["No module named 'fastapi'", "virtualenv"]);
    let refused = sh("true").refused();
    check(&refused, 1, &["exit code 0", "foreground"]);
    assert!(started.elapsed() < PATIENCE, "and soon: {:?}", started.elapsed());
}

/// The last lines stand in the error itself, not only among what was printed before.
#[track_caller]
fn check_quoted(refused: &Refused, parts: &[&str]) {
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let (_, report) = refused.text.split_once("the last lines of api-").unwrap_or_else(|| panic!("{}", refused.text));
    for part in parts {
        assert!(report.contains(part), "`{part}` is missing in:\n{report}");
    }
}

#[test]
fn what_is_asked_wrongly_is_the_users_turn() {
    check(&Launch::new(&["run"]).refused(), 2, &["needs the command"]);
    check(&Launch::new(&["gateway"]).refused(), 2, &["no [[route]] is configured", "plimsoll.toml"]);
    for (words, part) in [(&["up", "--prot", "1"][..], "--prot"), (&["upp"], "upp"), (&["up", "--instances", "many"], "many")] {
        let refused = Launch::new(words).refused();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.text.contains(part), "{refused:?}");
    }
    let refused = Launch::new(&["up"]).variable("PLIMSOLL__GATEWAY__TIMEOUTS__HAED", "1s").refused();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.text.contains("did you mean `PLIMSOLL__GATEWAY__TIMEOUTS__HEAD`?"), "{refused:?}");
}

#[test]
fn the_operators_pages_do_not_leave_this_machine_without_a_token() {
    let refused = Launch::new(&["up"]).variable("PLIMSOLL__ADMIN__BIND", "0.0.0.0").refused();
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.text.contains("PLIMSOLL__ADMIN__BIND=0.0.0.0") && refused.text.contains("hint: set admin.token"), "{refused:?}");

    let token = "a-token-for-the-operator";
    let fleet = Launch::new(&["up"]).variable("PLIMSOLL__ADMIN__BIND", "0.0.0.0").variable("PLIMSOLL__ADMIN__TOKEN", token).fleet();
    let mut operator = crate::http::Client::new(fleet.admin_port());
    let status = crate::http::Request::get("/api/status");
    operator.ask(&status).assert_problem(401, "token-missing");
    assert_eq!(operator.ask(&status.header("Authorization", format!("Bearer {token}"))).status, 200);
    fleet.stop();
}
