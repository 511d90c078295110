//! `plimsoll gateway` in front of servers that somebody else runs, told by `plimsoll.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use plimsoll_testbed::poll::until_blocking;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Answer, Request};
use crate::origin::Origin;

fn gateway(directory: &Path, file: &str) -> Fleet {
    std::fs::write(directory.join("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(directory).fleet()
}

fn name(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["name"].as_str().unwrap().to_owned()
}

#[test]
fn serves_from_a_port_and_a_socket_and_does_without_either() {
    let directory = tempfile::tempdir().unwrap();
    let [port, socket] = [Origin::tcp("port"), Origin::unix("socket", &directory.path().join("app.sock"))];
    let file = format!(
        "[[upstream]]\nname = \"origin\"\nservers = [\"{}\", \"{}\"]\n\n[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n",
        port.server(),
        socket.server()
    );
    let fleet = gateway(directory.path(), &file);
    let mut client = fleet.client();
    let names: BTreeSet<_> = (0..40).map(|_| name(&client.get("/"))).collect();
    assert!(names.iter().eq(["port", "socket"]), "{names:?}");
    let status = fleet.status();
    assert_eq!(status["instances"].as_array().unwrap().len(), 2, "{status}");

    drop(port);
    for _ in 0..40 {
        assert_eq!(fleet.client().get("/").status, 200);
    }
    let gone = || Ok((fleet.status()["instances"][0]["state"] != "ready").then_some(()));
    until_blocking(PATIENCE, "the status to show that one is gone", gone).unwrap();
    drop(socket);
    // With nobody left, all of them are tried: probes may be wrong.
    fleet.client().get("/").assert_problem(502, "upstream-failed");
    fleet.stop();
}

fn before_nobody(directory: &Path) -> (Fleet, PathBuf) {
    let socket = directory.join("app.sock");
    let servers = format!("[[upstream]]\nname = \"o\"\nservers = [\"unix:{}\"]\n", socket.display());
    (gateway(directory, &format!("{servers}[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n")), socket)
}

#[test]
fn who_comes_early_is_served_as_soon_as_somebody_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (fleet, socket) = before_nobody(directory.path());
    let mut early = fleet.client();
    early.begin(&Request::get("/")).unwrap();
    let _late = Origin::unix("late", &socket);
    assert_eq!(name(&early.finish(&Request::get("/")).unwrap()), "late");
    fleet.stop();
}

#[test]
fn servers_that_were_never_there_are_waited_for_once_and_refused_at_once_until_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let (fleet, socket) = before_nobody(directory.path());
    let answer = fleet.client().get("/");
    answer.assert_problem(503, "no-instance");
    assert!((1..=60).contains(&answer.header("Retry-After").parse::<u64>().unwrap()), "{answer:?}");
    let answer = fleet.client().get("/");
    answer.assert_problem(503, "circuit-open");
    assert!((1..=60).contains(&answer.header("Retry-After").parse::<u64>().unwrap()), "{answer:?}");

    let _late = Origin::unix("late", &socket);
    let served = || Ok((fleet.client().get("/").status == 200).then_some(()));
    until_blocking(PATIENCE, "requests to be served", served).unwrap();
    fleet.stop();
}

#[test]
fn hosts_and_paths_choose_the_upstream_and_everything_else_is_404() {
    let directory = tempfile::tempdir().unwrap();
    let [api, images, tenant] = [Origin::tcp("api"), Origin::tcp("images"), Origin::tcp("tenant")];
    let upstream = |name: &str, origin: &Origin| format!("[[upstream]]\nname = \"{name}\"\nservers = [\"{}\"]\n", origin.server());
    let route = |keys: &str| format!("[[route]]\n{keys}\n");
    let file = [
        upstream("api", &api),
        upstream("images", &images),
        upstream("tenant", &tenant),
        route("match = \"/api/*\"\nupstream = \"api\""),
        route("match = \"/api/images/*\"\nupstream = \"images\""),
        route("match = \"/*\"\nhost = \"tenant.example\"\nupstream = \"tenant\""),
    ];
    let fleet = gateway(directory.path(), &file.concat());
    let ask = |target: &str, host: &str| fleet.client().ask(&Request::get(target).host(host));
    for (target, host, expected) in [
        ("/api/items", "localhost", "api"),
        ("/api", "localhost", "api"),
        ("/api/images/1", "localhost", "images"),
        ("/api/items", "tenant.example", "tenant"),
        ("/", "TENANT.example:8080", "tenant"),
    ] {
        assert_eq!(name(&ask(target, host)), expected, "{target} at {host}");
    }
    ask("/", "localhost").assert_problem(404, "no-route");
    ask("/apis", "localhost").assert_problem(404, "no-route");
    // Some servers would read it as `/api/items`, others as an image.
    ask("/api/images/../items", "localhost").assert_problem(404, "no-route");
    fleet.stop();
}

#[test]
fn instances_learn_who_asked_from_the_gateway_alone() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::tcp("origin");
    let file = format!("[[upstream]]\nname = \"o\"\nservers = [\"{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n", origin.server());
    let fleet = gateway(directory.path(), &file);
    let liar = Request::get("/").header("X-Forwarded-For", "203.0.113.9").header("X-Forwarded-Proto", "https");
    let answer = fleet.client().ask(&liar.header("Forwarded", "for=203.0.113.9"));
    let headers = answer.json()["headers"].to_string().to_lowercase();
    assert!(headers.contains("\"x-forwarded-for: 127.0.0.1\"") && headers.contains("\"x-forwarded-proto: http\""), "{headers}");
    assert!(!headers.contains("203.0.113.9"), "{headers}");
    assert!(headers.contains(&format!("\"x-request-id: {}\"", answer.header("X-Request-Id").to_lowercase())), "{headers}");
    fleet.stop();
}

#[test]
fn what_answers_and_the_log_tell_is_said_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::tcp("origin");
    let file = format!(
        "[log]\naccess = \"all\"\nquery = \"on\"\n\
         [gateway.response_headers]\nremove = [\"Content-Type\"]\nserver_timing = \"asked\"\nvia = \"always\"\nasked_by = [\"127.0.0.0/8\"]\n\
         [[upstream]]\nname = \"o\"\nservers = [\"{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n\
         [[route]]\nmatch = \"/prepared\"\nrespond = 200\nrespond_body = \"x\"\n",
        origin.server()
    );
    let mut fleet = gateway(directory.path(), &file);
    let quiet = fleet.client().get("/quiet");
    assert_eq!((quiet.header("Via"), quiet.header("Server-Timing")), ("1.1 plimsoll", ""));
    assert_eq!(fleet.client().get("/prepared").header("Content-Type"), "");
    let told = fleet.client().ask(&Request::get("/told?a=1").header("X-Request-Diagnostics", "1"));
    assert!(told.header("Server-Timing").starts_with("edge;dur="), "{told:?}");
    fleet.wait_for_log("\"http.query\":\"a=1\"");
    fleet.stop();
}
