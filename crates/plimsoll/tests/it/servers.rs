//! `plimsoll run` with the servers that people use, told their address in each of the ways there are.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Instant;

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::{node, python};

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{self, Request};
use crate::websocket::WebSocket;

const INSTANCES: [&str; 2] = ["api-1", "api-2"];

/// The `FastAPI` example on one of Python's servers: the name of the program, then its arguments.
fn python(words: &[&str]) -> Launch {
    let program = python::program(words[0]).unwrap().display().to_string();
    let command: Vec<_> = std::iter::once(program.as_str()).chain(words[1..].iter().copied()).collect();
    Launch::run(&command).word("--instances").word("2").working_dir(python::example())
}

fn express() -> Launch {
    let program = node::program().unwrap().display().to_string();
    let launch = Launch::run(&[program.as_str(), "server.js"]).working_dir(node::example());
    launch.word("--instances").word("2").variable("NODE_PATH", node::packages().unwrap().display().to_string())
}

/// Everything an app does must work through the gateway as it does without it.
fn check(fleet: &Fleet, app: &str) {
    let mut instances = BTreeSet::new();
    let mut client = fleet.client();
    for _ in 0..40 {
        let answer = client.get("/").json();
        assert_eq!(answer["app"], app);
        instances.insert(answer["instance"].as_str().unwrap().to_owned());
    }
    assert!(instances.iter().eq(INSTANCES), "both serve: {instances:?}");

    let item = serde_json::json!({ "name": "rope", "price": 3.0 });
    let created = client.ask(&Request::new("POST", "/items").json(&item));
    assert_eq!((created.status, created.json()["name"].as_str()), (201, Some("rope")));
    let refused = client.ask(&Request::new("POST", "/items").json(&serde_json::json!({ "name": "" })));
    assert_eq!(refused.status, 422, "the app's own refusal comes through");
    assert_eq!(client.get("/fail").status, 500, "and its own failure");
    events_come_one_by_one(fleet);

    let mut socket = WebSocket::open(fleet.port(), "/echo");
    for text in ["hello", &"long ".repeat(100), &"longer ".repeat(20_000)] {
        assert_eq!(socket.echo(text), text);
    }
}

/// The first event must not wait for the second.
fn events_come_one_by_one(fleet: &Fleet) {
    let mut stream = http::connect(fleet.port()).unwrap();
    let asked = Instant::now();
    write!(stream.get_mut(), "GET /events?count=3&ms=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(http::head(&mut stream).unwrap().header("Content-Type").split(';').next(), Some("text/event-stream"));
    let mut text = String::new();
    let mut came_after = Vec::new();
    loop {
        let chunk = http::chunk(&mut stream).unwrap();
        if chunk.is_empty() {
            break;
        }
        text.push_str(&String::from_utf8(chunk).unwrap());
        came_after.resize(text.matches("\n\n").count(), asked.elapsed().as_millis());
    }
    assert!(text.starts_with("id: 0\ndata: tick 0\n\n") && came_after.len() == 3, "{text}");
    assert!(came_after[0] < 900, "the first event waited: {came_after:?}");
    assert!(came_after[1] - came_after[0] > 500, "events came together: {came_after:?}");
}

/// Each line of every instance says whose it is.
fn assert_lines_are_prefixed(fleet: &mut Fleet, line: &str) {
    for instance in INSTANCES {
        fleet.wait_for_log(&format!("\n{instance} | "));
    }
    let log = fleet.log();
    let said = log.lines().filter(|each| each.contains(line)).collect::<Vec<_>>();
    assert!(!said.is_empty() && said.iter().all(|each| INSTANCES.iter().any(|name| each.starts_with(&format!("{name} | ")))), "{said:?}");
}

#[test]
fn uvicorn_needs_no_placeholder() {
    let mut fleet = python(&["uvicorn", "app:app"]).fleet();
    check(&fleet, "fastapi");
    assert_lines_are_prefixed(&mut fleet, "Uvicorn running on");
    fleet.stop();
}

#[test]
fn gunicorn_needs_no_placeholder() {
    let mut fleet = python(&["gunicorn", "app:app", "--worker-class", "asgi"]).fleet();
    check(&fleet, "fastapi");
    assert_lines_are_prefixed(&mut fleet, "Listening at: http://127.0.0.1");
    fleet.stop();
}

#[test]
fn granian_needs_no_placeholder() {
    let mut fleet = python(&["granian", "--interface", "asgi", "app:app"]).fleet();
    check(&fleet, "fastapi");
    assert_lines_are_prefixed(&mut fleet, "Listening at: http://127.0.0.1");
    fleet.stop();
}

#[test]
fn express_needs_no_placeholder() {
    let mut fleet = express().word("--ready-path").word("/health").fleet();
    check(&fleet, "express");
    assert_lines_are_prefixed(&mut fleet, "listening on 127.0.0.1");
    fleet.stop();
}

#[test]
fn a_port_goes_where_the_placeholder_stands() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("rope.txt"), "a rope").unwrap();
    let launch = python(&["python", "-m", "http.server", "{port}"]).working_dir(directory.path());
    let fleet = launch.word("--name").word("files").fleet();
    let mut client = fleet.client();
    for _ in 0..10 {
        // It speaks HTTP/1.0, where the end of the connection is the end of the answer; the gateway says where it ends.
        assert_eq!(client.get("/rope.txt").text(), "a rope");
    }
    assert_eq!(client.ask(&Request::new("HEAD", "/rope.txt")).header("Content-Length"), "6");
    assert!(fleet.pids().keys().eq(["files-1", "files-2"]), "{:?}", fleet.pids());
    fleet.stop();
}

#[test]
fn a_socket_goes_where_the_placeholder_stands() {
    for words in
        [&["uvicorn", "app:app", "--uds", "{socket}"][..], &["gunicorn", "app:app", "--worker-class", "asgi", "--bind", "unix:{socket}"]]
    {
        let fleet = python(words).fleet();
        check(&fleet, "fastapi");
        let status = fleet.status();
        let addresses = status["instances"].as_array().unwrap().iter().map(|instance| instance["address"].to_string());
        assert!(addresses.clone().all(|address| address.contains("unix:")), "{status}");
        fleet.stop();
    }
}

#[test]
fn a_request_id_leads_through_both_logs_the_header_and_the_problem() {
    let mut fleet = Launch::new(&["up"]).variable("PLIMSOLL__LOG__ACCESS", "all").fleet();
    let by_instance = fleet.client().get("/nowhere");
    by_instance.assert_problem(404, "not-found");
    let id = by_instance.header("X-Request-Id");
    let found = |fleet: &Fleet, is_instances: bool| {
        let is_line = |line: &&str| line.contains(id) && line.starts_with("api-") == is_instances;
        fleet.log().lines().filter(is_line).any(|line| line.contains("\"http.status\":404"))
    };
    let both = || Ok((found(&fleet, true) && found(&fleet, false)).then_some(()));
    until_blocking(PATIENCE, "the id in both logs", both).unwrap();

    let by_edge = fleet.client().ask(&Request::get(format!("/{}", "x".repeat(9_000))));
    by_edge.assert_problem(414, "target-too-long");
    fleet.wait_for_log(by_edge.header("X-Request-Id"));
    fleet.stop();
}
