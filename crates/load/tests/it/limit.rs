//! The limit of real servers whose capacity is known.
#![expect(clippy::print_stdout, reason = "shown when a test fails")]

use std::time::Duration;

use plimsoll_load::plan::{Arrivals, Pace, Plan};
use plimsoll_load::report::Line;
use plimsoll_load::search::hunt::{Hunt, Hunted};
use plimsoll_load::search::stepper::Watcher;
use plimsoll_load::search::{Bounds, Found};
use plimsoll_load::slo::Measured;
use plimsoll_load::{Progress, Slo};
use plimsoll_testbed::capacity::{Config, Server};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::server::{Reply, Seen, Then};

struct Nobody;

impl Watcher for Nobody {
    fn begins(&self, _: &str) -> watch::Sender<Progress> {
        watch::channel(Progress::default()).0
    }

    fn found(&self, line: &str) {
        println!("{line}");
    }
}

#[tokio::test]
async fn a_server_that_serves_nobody_has_no_limit_to_look_for() {
    let server = Server::start(Config { broken: true, ..Config::healthy(10, Duration::from_millis(5)) }, 0).unwrap();
    let missing = crate::server::Server::start(|_| Reply::new("HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n", Then::Keep)).await;
    for (url, reason) in [
        (format!("http://127.0.0.1:{}/", server.port()), "the server closed the connection before the end of its answer"),
        (missing.url.clone(), "it answers 404 Not Found"),
    ] {
        let plan = Plan::new(url.parse().unwrap(), Pace::constant(1.0, Duration::from_secs(1)));
        let hunted = Hunt::new(plan, Slo::default()).run(&Nobody, &CancellationToken::new()).await;
        let error = hunted.err().unwrap().to_string();
        assert!(error.contains("not one of ") && error.ends_with(reason), "{error}");
    }
    assert!(missing.seen().len() < 20, "it stopped at once");
}

#[tokio::test]
async fn a_share_of_failures_that_was_there_at_the_start_is_nothing_to_recover_from() {
    let half = |seen: &Seen| {
        let status = if seen.number.is_multiple_of(2) { 200 } else { 404 };
        Reply::new(&format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"), Then::Keep)
    };
    let server = crate::server::Server::start(half).await;
    let plan = Plan { arrivals: Arrivals::Constant, ..Plan::new(server.url.parse().unwrap(), Pace::constant(1.0, Duration::from_secs(1))) };
    let bounds = Bounds { start: 20.0, floor: 10.0, ..Bounds::default() };
    let hunt = Hunt { bounds, step: Duration::from_millis(500), ..Hunt::new(plan, Slo::default()) };
    let limit = timeout(Duration::from_secs(30), hunt.run(&Nobody, &CancellationToken::new())).await.unwrap().unwrap().unwrap().limit;
    assert!(matches!(limit.found, Found::Nothing { .. }) && limit.knee.is_none(), "{limit:?}");
}

async fn hunt(config: Config, arrivals: Arrivals, beyond: Vec<f64>) -> Hunted {
    let server = Server::start(config, 0).unwrap();
    let target = format!("http://127.0.0.1:{}/", server.port()).parse().unwrap();
    let pace = Pace::constant(1.0, Duration::from_secs(1));
    let plan = Plan { arrivals, timeout: Duration::from_secs(1), ..Plan::new(target, pace) };
    let bounds = Bounds { start: config.per_second() / 3.0, ..Bounds::default() };
    let hunt = Hunt { bounds, step: Duration::from_secs(3), beyond, ..Hunt::new(plan, Slo::default()) };
    hunt.run(&Nobody, &CancellationToken::new()).await.unwrap().unwrap()
}

/// The best of two: other work on the machine can make a server slower, but nothing makes it faster than it is.
async fn check(config: Config, arrivals: Arrivals) {
    let capacity = config.per_second();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let found = hunt(config, arrivals, Vec::new()).await.limit.found;
        let Found::Limit { rate, range } = found else { panic!("{found:?}") };
        assert!(rate < capacity * 1.05, "{rate:.0} instead of {capacity}, {range:?}");
        if rate > capacity * 0.95 {
            return;
        }
        seen.push(rate);
    }
    panic!("{seen:.0?} instead of {capacity}");
}

#[tokio::test]
async fn of_a_server_of_known_capacity_it_is_found_within_five_percent() {
    check(Config::healthy(10, Duration::from_millis(25)), Arrivals::Constant).await;
}

#[tokio::test]
async fn and_when_requests_come_at_random_too() {
    check(Config::healthy(10, Duration::from_millis(25)), Arrivals::Poisson).await;
}

#[tokio::test]
async fn beyond_it_the_server_is_left_to_recover_and_the_bottleneck_is_its_queue() {
    let config = Config::healthy(10, Duration::from_millis(50));
    let hunted = hunt(config, Arrivals::Constant, vec![2.0, 3.0]).await;
    let limit = hunted.limit;
    assert_eq!((limit.beyond.len(), limit.unrecovered), (2, 0), "{limit:?}");
    // It goes on working for those who have left, so that nearly nobody is served in time.
    assert!(limit.beyond.iter().all(|beyond| beyond.goodput < config.per_second() * 0.8), "{:?}", limit.beyond);
    assert!(limit.bottleneck.to_string().contains("queueing"), "{:?}", limit.bottleneck);
    assert!((0.05..0.07).contains(&limit.calm_latency), "{}", limit.calm_latency);
    let points = Line::new("", hunted.recordings).by_rate();
    assert!(points.len() >= 5 && points[0].figures.error_share() <= 0.0);
}
