//! Two gateways with a fleet each, as on two hosts, sharing one real Redis; and that Redis going away.

use std::time::Duration;

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::redis::Redis;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::{Client, Request};

const KEY: &str = "one-key-for-both-one-key-for-both-one-key";

/// Keeps what it is told, so that sessions outlive its restart.
fn redis() -> Redis {
    Redis::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).unwrap()
}

fn fleet_on(redis: &Redis) -> Fleet {
    let launch = Launch::new(&["up"]).variable("PLIMSOLL__STATE__URL", redis.url());
    launch.variable("PLIMSOLL__SERVICE__SESSION_KEYS", KEY).fleet()
}

#[test]
fn two_gateways_on_one_redis_share_sessions_and_stats() {
    let redis = redis();
    let [here, there] = [fleet_on(&redis), fleet_on(&redis)];
    let session = Client::logged_in(here.port(), "ada").session.unwrap();
    let mut elsewhere = Client::with_session(there.port(), &session);
    // More often than there are instances.
    for _ in 0..9 {
        assert_eq!(elsewhere.get("/me").json()["username"], "ada");
    }
    here.client().get("/only/here");
    there.client().get("/only/there");
    for fleet in [&here, &there] {
        let both = || {
            let stats = fleet.client().get("/stats").json();
            let paths: Vec<_> = stats["requests"].as_array().unwrap().iter().map(|request| request["path"].to_string()).collect();
            assert!(paths.len() <= 10, "{stats}");
            let has = |path: &str| paths.iter().any(|each| each.contains(path));
            Ok((has("/only/here") && has("/only/there")).then_some(()))
        };
        until_blocking(PATIENCE, "/stats to tell of both fleets", both).unwrap();
    }
    assert_eq!(elsewhere.ask(&Request::new("DELETE", "/logout")).status, 204);
    for _ in 0..9 {
        Client::with_session(here.port(), &session).get("/me").assert_problem(401, "session-missing");
    }
    here.stop();
    there.stop();
}

#[test]
fn without_redis_the_user_is_asked_to_wait_and_with_it_back_is_still_logged_in() {
    let mut redis = redis();
    let fleet = fleet_on(&redis);
    let pids = fleet.pids();
    let mut client = Client::logged_in(fleet.port(), "ada");
    redis.stop();
    for _ in 0..9 {
        let answer = client.get("/me");
        answer.assert_problem(503, "state-unavailable");
        let seconds: u64 = answer.header("Retry-After").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{answer:?}");
        assert_eq!(client.get("/whoami").status, 200, "what needs no state goes on");
    }
    redis.start_again().unwrap();
    let back = || Ok((client.get("/me").status == 200).then_some(()));
    until_blocking(Duration::from_secs(10), "/me to answer again", back).unwrap();

    redis.freeze();
    client.get("/me").assert_problem(503, "state-unavailable");
    assert_eq!(client.get("/whoami").status, 200);
    redis.thaw();
    let back = || Ok((client.get("/me").status == 200).then_some(()));
    until_blocking(Duration::from_secs(10), "/me to answer again", back).unwrap();
    assert_eq!(fleet.pids(), pids, "nothing was restarted");
    fleet.stop();
}
