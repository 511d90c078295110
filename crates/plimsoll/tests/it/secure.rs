//! https upstreams, in front of real servers: whom the gateway believes, what it shows of itself, and what it says when it does not work.

pub(crate) mod server;

use plimsoll_testbed::poll::until_blocking;
use serde_json::Value;
use server::Server;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::tls::Desk;

/// A desk with a certificate for `localhost`, one for another host and one that is too old.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.certificate("good", &["localhost"], 30);
    desk.certificate("other", &["other.test"], 30);
    desk.certificate("old", &["localhost"], 0);
    desk.certificate("client", &["client.test"], 30);
    desk
}

/// A gateway with one worker before the server on this port.
fn gateway(desk: &Desk, port: u16, keys: &str) -> Fleet {
    let file = format!(
        "[gateway]\nworkers = 1\n[gateway.health]\ninterval = \"200ms\"\n\
         [[upstream]]\nname = \"api\"\nservers = [\"https://localhost:{port}\"]\n{keys}\n[[route]]\nmatch = \"/*\"\nupstream = \"api\"\n"
    );
    std::fs::write(desk.path("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(desk.directory()).fleet()
}

fn answer(fleet: &Fleet) -> Value {
    let answer = fleet.client().get("/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn servers_are_asked_under_their_name_on_connections_that_are_kept() {
    let desk = desk();
    let node = Server::node(&desk, "good", None);
    // Sessions are told of after the handshake: a probe that asks for something takes them along.
    let fleet = gateway(&desk, node.port(), "ca = \"ca.pem\"\nhealth_path = \"/\"");
    let mut client = fleet.client();
    let answers: Vec<_> = (0..40).map(|_| client.get("/").json()).collect();
    assert!(answers.iter().all(|answer| answer["sni"] == "localhost" && answer["newest"].is_null()), "{answers:?}");
    let mut connections: Vec<_> = answers.iter().map(|answer| answer["connection"].as_u64().unwrap()).collect();
    connections.dedup();
    assert!(connections.len() <= 2, "one connection serves them all, or two if a pause was long: {connections:?}");
    assert!(answers[39]["resumed"] == true, "probes have been there before: a session is resumed: {}", answers[39]);
    let status = fleet.status();
    assert!(status["instances"][0]["address"].as_str().unwrap().starts_with("https://127.0.0.1:"), "{status}");
    fleet.stop();
}

#[test]
fn other_servers_speak_the_same_tls() {
    let desk = desk();
    for server in [Server::nginx(&desk, "good", None), Server::openssl(&desk, "good")] {
        let fleet = gateway(&desk, server.port(), "ca = \"ca.pem\"");
        let mut client = fleet.client();
        for _ in 0..10 {
            let answer = client.get("/");
            assert!(answer.status == 200 && !answer.body.is_empty(), "{answer:?}");
        }
        fleet.stop();
    }
}

#[test]
fn nobody_is_believed_whose_certificate_is_not_right_and_the_log_says_what_is_wrong() {
    let (desk, stranger) = (desk(), Desk::new());
    desk.replace("stranger.pem", &std::fs::read_to_string(stranger.path("ca.pem")).unwrap());
    for (certificate, keys, reason) in [
        ("other", "ca = \"ca.pem\"", "its certificate is for another name"),
        ("old", "ca = \"ca.pem\"", "its certificate has expired"),
        ("good", "ca = \"stranger.pem\"", "nobody who is trusted here vouches for its certificate"),
    ] {
        let node = Server::node(&desk, certificate, None);
        let mut fleet = gateway(&desk, node.port(), keys);
        fleet.wait_for_log(reason);
        // After the second probe it is unhealthy.
        let state = fleet.status()["instances"][0]["state"].clone();
        assert!(state == "starting" || state == "unhealthy", "it gets no traffic: {state}");
        fleet.stop();
        // Believing anybody is possible, and said aloud.
        let mut fleet = gateway(&desk, node.port(), &format!("{keys}\ntls_verify = \"off\""));
        fleet.wait_for_log("tls_verify is off");
        assert_eq!(answer_of(&fleet, "node")["sni"], "localhost");
        fleet.stop();
    }
    let node = Server::node(&desk, "other", None);
    let fleet = gateway(&desk, node.port(), "ca = \"ca.pem\"\nserver_name = \"other.test\"");
    assert_eq!(answer_of(&fleet, "node")["sni"], "other.test", "a name can be given");
    fleet.stop();
}

fn answer_of(fleet: &Fleet, name: &str) -> Value {
    let answer = answer(fleet);
    assert_eq!(answer["name"], name, "{answer}");
    answer
}

#[test]
fn a_certificate_that_goes_bad_is_named_to_clients_and_a_new_one_is_believed_at_once() {
    let desk = desk();
    let mut node = Server::node(&desk, "good", None);
    let mut fleet = gateway(&desk, node.port(), "ca = \"ca.pem\"");
    answer_of(&fleet, "node");
    node.start_again_with(&desk, "old");
    fleet.wait_for_log("its certificate has expired");
    // With nobody else left, it is tried all the same: the probe may be wrong.
    let refused = || {
        let answer = fleet.client().get("/");
        Ok((answer.status == 502).then_some(answer))
    };
    let answer = until_blocking(PATIENCE, "an answer that says why", refused).unwrap();
    answer.assert_problem(502, "upstream-failed");
    assert!(answer.text().contains("no instance could be reached: its certificate has expired"), "{}", answer.text());
    node.start_again_with(&desk, "good");
    let served = || Ok((fleet.client().get("/").status == 200).then_some(()));
    until_blocking(PATIENCE, "requests to be served", served).unwrap();
    fleet.stop();
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_one_and_the_next_one_when_its_file_changes() {
    let desk = desk();
    let keys = "ca = \"ca.pem\"\nclient_certificate = \"client.pem\"\nclient_key = \"client.key\"\nhealth_path = \"/\"";
    let nginx = Server::nginx(&desk, "good", Some("ca.pem"));
    let fleet = gateway(&desk, nginx.port(), keys);
    let peer = answer_of(&fleet, "nginx")["peer"].as_str().unwrap().to_owned();
    assert!(peer.contains("CN=client"), "{peer}");
    fleet.stop();
    let node = Server::node(&desk, "good", Some("ca.pem"));
    let fleet = gateway(&desk, node.port(), keys);
    assert_eq!(answer_of(&fleet, "node")["newest"], "client");
    let other = ["pem", "key"].map(|kind| std::fs::read_to_string(desk.path(&format!("other.{kind}"))).unwrap());
    desk.replace("client.key", &other[1]);
    desk.replace("client.pem", &other[0]);
    // Connections that are open keep what was shown on them; probes open new ones.
    let changed = || Ok((answer(&fleet)["newest"] == "other").then_some(()));
    until_blocking(PATIENCE, "the other certificate to be shown", changed).unwrap();
    fleet.stop();
}

#[test]
fn a_server_that_asks_for_a_certificate_turns_us_away_without_one() {
    let desk = desk();
    let node = Server::node(&desk, "good", Some("ca.pem"));
    let mut fleet = gateway(&desk, node.port(), "ca = \"ca.pem\"\nhealth_path = \"/\"");
    fleet.wait_for_log("it does not accept the certificate, or the lack of one, from this side");
    fleet.client().get("/").assert_problem(503, "no-instance");
    fleet.stop();
}

#[test]
fn a_server_without_tls_is_told_from_one_that_is_not_believed() {
    let desk = desk();
    let plain = Server::plain();
    let mut fleet = gateway(&desk, plain.port(), "ca = \"ca.pem\"");
    fleet.wait_for_log("it does not speak TLS");
    fleet.stop();
}
