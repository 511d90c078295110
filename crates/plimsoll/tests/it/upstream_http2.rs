//! HTTP/2 behind the edge, spoken by Node: without TLS by prior knowledge, with TLS by ALPN. What clients see of it is in `clients`.

use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::process::Process;
use plimsoll_testbed::{node, port};
use rustix::process::{Pid, Signal, kill_process};

use crate::clients::{SCRIPTS, instances, packages};
use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Client, Request};
use crate::secure::server::Server;
use crate::tls::Desk;
use crate::websocket::WebSocket;

/// How many requests are under way at a time, and how often an instance is killed meanwhile.
const CLIENTS: usize = 6;
const KILLS: usize = 3;

#[test]
fn killing_instances_that_speak_http2_fails_no_safe_request() {
    let fleet = instances(3, "http2").fleet();
    let port = fleet.port();
    let (is_over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::new(port);
                while !is_over.load(Relaxed) {
                    let answer = client.send(&Request::get("/seen"));
                    let answer = answer.unwrap_or_else(|error| panic!("after {} answers: {error:#}", answered.load(Relaxed)));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    assert_eq!(answer.json()["httpVersion"], "2.0");
                    answered.fetch_add(1, Relaxed);
                }
            });
        }
        for victim in ["api-1", "api-2", "api-3"].into_iter().cycle().take(KILLS) {
            let before = answered.load(Relaxed);
            until(|| answered.load(Relaxed) > before + 200, "traffic before the kill");
            let pid = fleet.pids()[victim];
            kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
            until(|| fleet.pids().get(victim).is_some_and(|now| *now != pid), "a new process");
        }
        let before = answered.load(Relaxed);
        until(|| answered.load(Relaxed) > before + 200, "traffic after the kills");
        is_over.store(true, Relaxed);
    });
    fleet.stop();
}

#[track_caller]
fn until(is_so: impl Fn() -> bool, what: &str) {
    until_blocking(PATIENCE, what, || Ok(is_so().then_some(()))).unwrap();
}

#[test]
fn a_websocket_goes_on_a_stream_of_a_server_that_takes_it() {
    let fleet = instances(1, "http2").fleet();
    let mut socket = WebSocket::open(fleet.port(), "/echo");
    for text in ["hello", &"long ".repeat(100), &"longer ".repeat(20_000)] {
        assert_eq!(socket.echo(text), text);
    }
    assert_eq!(fleet.client().get("/").status, 200, "beside it");
    // An open one would be waited for.
    drop(socket);
    fleet.stop();
}

/// Node with TLS: it speaks both versions, and WebSocket in HTTP/1.1 alone.
fn server(desk: &Desk) -> (Process, u16) {
    let port = port::free();
    let mut command = Command::new(node::program().unwrap());
    command.arg("instance.cjs").current_dir(SCRIPTS).env("NODE_PATH", packages()).env("PORT", port.to_string()).env("SPEAKS", "https");
    command.env("CERTIFICATE", desk.path("good.pem")).env("KEY", desk.path("good.key"));
    let mut process = Process::start("node", &command, desk.directory()).unwrap();
    process.wait_until(PATIENCE, "a connection", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).unwrap();
    (process, port)
}

fn gateway(desk: &Desk, port: u16, protocol: &str) -> Fleet {
    let file = format!(
        "[gateway]\nworkers = 1\n[[upstream]]\nname = \"api\"\nservers = [\"https://localhost:{port}\"]\nca = \"ca.pem\"\n\
         protocol = \"{protocol}\"\nhealth_path = \"/\"\n[[route]]\nmatch = \"/*\"\nupstream = \"api\"\n"
    );
    std::fs::write(desk.path("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(desk.directory()).fleet()
}

#[test]
fn over_tls_alpn_decides_and_websockets_find_their_way() {
    let desk = Desk::new();
    desk.certificate("good", &["localhost"], 30);
    let (_node, port) = server(&desk);
    for (protocol, spoken) in [("http1", "1.1"), ("http2", "2.0"), ("auto", "2.0")] {
        let fleet = gateway(&desk, port, protocol);
        let mut client = fleet.client();
        for _ in 0..20 {
            assert_eq!(client.get("/seen").json()["httpVersion"], spoken, "{protocol}");
        }
        let posted = client.ask(&Request::new("POST", "/seen").json(&serde_json::json!({ "name": "rope" })));
        assert!(posted.json()["bytes"].as_u64() > Some(0), "{protocol}: {posted:?}");
        // This server takes none on streams: an HTTP/1.1 connection is opened for it.
        assert_eq!(WebSocket::open(fleet.port(), "/echo").echo("hello"), "hello", "{protocol}");
        fleet.stop();
    }
}

#[test]
fn a_server_without_http2_is_used_by_auto_and_named_by_http2() {
    let desk = Desk::new();
    desk.certificate("good", &["localhost"], 30);
    let nginx = Server::nginx(&desk, "good", None);
    let fleet = gateway(&desk, nginx.port(), "auto");
    for _ in 0..10 {
        assert_eq!(fleet.client().get("/").status, 200);
    }
    fleet.stop();
    let mut fleet = gateway(&desk, nginx.port(), "http2");
    fleet.wait_for_log("it does not offer the version of HTTP that is to be spoken");
    fleet.client().get("/").assert_problem(503, "no-instance");
    fleet.stop();
}
