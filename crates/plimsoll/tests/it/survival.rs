//! The first proof: instances are killed one after another under traffic, and no user notices.

use std::time::{Duration, Instant};

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::python;
use rustix::process::Signal;

use crate::fleet::{Fleet, Launch};
use crate::http::{Client, Request};
use crate::processes;
use crate::traffic::{Mix, Tally, Traffic};

const INSTANCES: [&str; 3] = ["api-1", "api-2", "api-3"];
const TIME: Duration = Duration::from_mins(1);
/// One after another, and each lives for more than ten seconds: killed more often it would count as crashing by itself, and wait longer.
const BETWEEN_KILLS: Duration = Duration::from_secs(4);
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(5);

#[test]
fn killing_instances_of_up_fails_no_request_and_logs_nobody_out() {
    let fleet = Fleet::up();
    let session = Client::logged_in(fleet.port(), "ada").session;
    let head = Request::new("HEAD", "/whoami");
    let requests = vec![Request::get("/whoami"), Request::get("/me"), Request::get("/stats"), Request::get("/me"), head];
    let tally = kill_one_after_another(&fleet, &Mix { requests, session });
    assert_all_answered(&tally);
    fleet.stop();
}

#[test]
fn killing_instances_of_a_fastapi_app_fails_no_request() {
    let uvicorn = python::program("uvicorn").unwrap().display().to_string();
    let launch = Launch::run(&[uvicorn.as_str(), "app:app"]).working_dir(python::example()).word("--instances").word("3");
    let fleet = launch.fleet();
    // The slow ones are under way whenever an instance dies.
    let requests = vec![Request::get("/"), Request::get("/health"), Request::get("/slow?ms=20"), Request::get("/openapi.json")];
    let tally = kill_one_after_another(&fleet, &Mix { requests, session: None });
    assert_all_answered(&tally);
    fleet.stop();
}

fn assert_all_answered(tally: &Tally) {
    assert_eq!(tally.failed, 0, "of {}, such as {:#?}", tally.answered, tally.failures);
    assert!((190.0..=210.0).contains(&tally.per_second), "{} a second", tally.per_second);
}

/// Kills for a minute. Each instance must be back and serve in time, and know the user as all others do.
fn kill_one_after_another(fleet: &Fleet, mix: &Mix) -> Tally {
    let traffic = Traffic::start(fleet.port(), mix);
    let mut recoveries = Vec::new();
    for (kill, victim) in INSTANCES.iter().cycle().enumerate() {
        let due = BETWEEN_KILLS * kill as u32 + Duration::from_secs(1);
        if due > TIME {
            break;
        }
        let begun = || Ok((traffic.elapsed() >= due).then_some(()));
        until_blocking(TIME, "the time of the next kill", begun).unwrap();
        recoveries.push(kill_and_wait(fleet, &traffic, victim));
        if mix.session.is_some() {
            assert_all_know_the_user(fleet, &traffic);
        }
    }
    until_blocking(TIME, "the end of the minute", || Ok((traffic.elapsed() >= TIME).then_some(()))).unwrap();
    let tally = traffic.stop();
    println!("{} kills; back after {recoveries:?}; {tally:?}", recoveries.len());
    tally
}

/// How long it took from the kill to the first answer of the new process.
fn kill_and_wait(fleet: &Fleet, traffic: &Traffic, victim: &str) -> Duration {
    let old = fleet.pids()[victim];
    let killed = Instant::now();
    processes::signal(old, Signal::KILL);
    let back = || {
        let new = fleet.pids().get(victim).copied().filter(|pid| *pid != old);
        Ok(new.and_then(|pid| traffic.first_answer(victim, pid)))
    };
    let recovery = until_blocking(RECOVERY_TIME_MAX * 2, &format!("an answer from {victim}"), back).unwrap() - killed;
    assert!(recovery < RECOVERY_TIME_MAX, "{victim} was back after {recovery:?}");
    recovery
}

fn assert_all_know_the_user(fleet: &Fleet, traffic: &Traffic) {
    traffic.ask_anew_who_knows_the_user();
    let all = || Ok((traffic.knows_user() == INSTANCES).then_some(()));
    let asked = until_blocking(RECOVERY_TIME_MAX, "/me answered by every instance", all);
    assert!(asked.is_ok(), "only {:?} answered /me: {:#}", traffic.knows_user(), fleet.status());
}
