//! The end of a fleet: asked for, asked for twice, or without any warning.

use std::time::{Duration, Instant};

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::python;
use rustix::process::Signal;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Client, Request};

fn fastapi(arguments: &[&str]) -> Launch {
    let uvicorn = python::program("uvicorn").unwrap().display().to_string();
    let command: Vec<_> = [uvicorn.as_str(), "app:app"].iter().chain(arguments).copied().collect();
    Launch::run(&command).working_dir(python::example()).word("--instances").word("2")
}

/// A client whose request an instance is working on.
fn waiting_client(fleet: &Fleet, request: &Request) -> Client {
    let mut client = fleet.client();
    client.begin(request).unwrap();
    let in_flight = || Ok((fleet.status()["edge"]["in_flight"] == 1).then_some(()));
    until_blocking(PATIENCE, "a request in flight", in_flight).unwrap();
    client
}

fn wait_until_connections_are_refused(fleet: &Fleet) {
    let refused = || Ok((!fleet.takes_connections()).then_some(()));
    until_blocking(PATIENCE, "connections to be refused", refused).unwrap();
}

#[test]
fn a_request_in_flight_finishes_whichever_way_the_stop_is_asked_for() {
    let asks: [fn(&Fleet); 3] = [|fleet| fleet.signal(Signal::TERM), |fleet| fleet.signal(Signal::INT), Fleet::press_ctrl_c];
    for ask in asks {
        let fleet = fastapi(&[]).fleet();
        let request = Request::get("/slow?ms=1500");
        let begun = Instant::now();
        let mut client = waiting_client(&fleet, &request);
        ask(&fleet);
        wait_until_connections_are_refused(&fleet);
        assert!(begun.elapsed() < Duration::from_millis(1_500), "new connections are refused at once, not at the end");
        let answer = client.finish(&request).unwrap();
        assert_eq!((answer.status, answer.json()["slept_ms"].as_u64()), (200, Some(1_500)));
        assert_eq!(answer.header("Connection"), "close", "a kept connection is told to go");
        fleet.ended();
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let fleet = fastapi(&[]).fleet();
    let request = Request::get("/slow?ms=60000");
    let mut client = waiting_client(&fleet, &request);
    fleet.signal(Signal::TERM);
    wait_until_connections_are_refused(&fleet);
    let asked = Instant::now();
    fleet.signal(Signal::TERM);
    assert!(fleet.ended_with().is_some(), "it ends by itself");
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(client.finish(&request).map_or(true, |answer| answer.status == 502), "what was cut off is not passed off as an answer");
}

#[test]
fn a_drain_ends_when_its_time_is_up() {
    let launch = fastapi(&[]).variable("PLIMSOLL__GATEWAY__TIMEOUTS__DRAIN", "500ms");
    let fleet = launch.variable("PLIMSOLL__FLEET__STOP_TIMEOUT", "500ms").fleet();
    let request = Request::get("/slow?ms=60000");
    let mut client = waiting_client(&fleet, &request);
    let asked = Instant::now();
    fleet.signal(Signal::TERM);
    fleet.ended();
    assert!((Duration::from_millis(500)..Duration::from_secs(4)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    assert!(client.finish(&request).map_or(true, |answer| answer.status == 502), "what was cut off is not passed off as an answer");
}

#[test]
fn an_instance_that_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; while :; do python3 -m http.server -b 127.0.0.1 $PORT; done";
    let launch = Launch::run(&["sh", "-c", script]).word("--instances").word("1");
    let fleet = launch.variable("PLIMSOLL__FLEET__STOP_TIMEOUT", "500ms").fleet();
    fleet.stop();
}

#[test]
fn a_fleet_that_is_still_starting_can_be_stopped() {
    let fleet = Launch::run(&["sleep", "60"]).begun("instance started");
    fleet.signal(Signal::INT);
    fleet.ended();
}

#[test]
fn killing_plimsoll_itself_leaves_no_process_behind() {
    let fleet = fastapi(&["--workers", "2"]).fleet();
    let all = || Ok(Some(fleet.processes()).filter(|processes| processes.len() >= 8));
    // Plimsoll, its guard, two instances, and at least two workers of each.
    let before = until_blocking(PATIENCE, "all workers", all).unwrap();
    fleet.signal(Signal::KILL);
    assert_eq!(fleet.ended_with(), None, "killed: {before:?}");
}

#[test]
fn after_a_kill_the_next_start_works_at_once_and_sessions_are_still_good() {
    let directory = tempfile::tempdir().unwrap();
    let killed = Launch::new(&["up"]).data_dir(directory.path()).fleet();
    let session = Client::logged_in(killed.port(), "ada").session.unwrap();
    killed.signal(Signal::KILL);
    let again = Launch::new(&["up"]).data_dir(directory.path()).port(killed.port()).admin_port(killed.admin_port()).fleet();
    let mut client = Client::with_session(again.port(), session);
    for _ in 0..9 {
        assert_eq!(client.get("/me").json()["username"], "ada");
    }
    again.stop();
    // Asserts that the first one left nothing.
    drop(killed);
}
