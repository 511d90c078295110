//! Requests are due when the schedule says, whatever the server does.

use std::time::Duration;

use plimsoll_load::plan::{Arrivals, Pace, Plan, Stage};
use plimsoll_load::{ErrorKind, Totals};
use plimsoll_testbed::capacity;
use plimsoll_testbed::poll::until;

use crate::fixture::{carry_out, evenly, plan};
use crate::server::{Reply, Server, Then};

#[tokio::test]
async fn every_stage_gets_the_requests_that_its_rate_promises() {
    let server = Server::start(|_| Reply::ok()).await;
    let half = Duration::from_millis(500);
    let ramp = Stage { from_rate: 100.0, to_rate: 300.0, lasts: half };
    let stages = vec![Stage::constant(100.0, half), ramp, Stage::constant(300.0, half)];
    for threads in [1, 2] {
        let recording = carry_out(Plan { threads: Some(threads), ..plan(&server.url, Pace::Open(stages.clone())) }).await;
        let due: Vec<u64> = recording.stages.iter().map(|stage| stage.totals.due).collect();
        assert_eq!(due, [50, 100, 150], "{threads} threads");
        assert_eq!(recording.total.good, 300, "{:?}", recording.examples);
        assert_eq!(recording.seconds.iter().map(|second| second.due).collect::<Vec<_>>(), [150, 150]);
        assert_eq!(recording.generator.threads, threads);
    }
}

#[tokio::test]
async fn poisson_arrivals_are_as_many_as_the_rate_says_by_chance() {
    let server = Server::start(|_| Reply::ok()).await;
    let pace = Pace::constant(1_000.0, Duration::from_secs(1));
    let recording = carry_out(Plan { arrivals: Arrivals::Poisson, seed: 3, ..plan(&server.url, pace) }).await;
    // Five standard deviations.
    assert!(recording.total.due.abs_diff(1_000) < 160, "{}", recording.total.due);
    assert_eq!(recording.total.good, recording.total.due);
}

#[tokio::test]
async fn sums_agree_however_they_are_grouped() {
    let server = Server::start(|seen| if seen.number == 3 { Reply::new("", Then::Reset) } else { Reply::ok() }).await;
    let recording = carry_out(plan(&server.url, evenly(500, Duration::from_millis(1_200)))).await;
    let sum = |groups: Vec<&Totals>| {
        let mut sum = Totals::default();
        for totals in groups {
            sum.merge(totals);
        }
        (sum.due, sum.sent, sum.good, sum.errors, sum.good_latency.count())
    };
    let total = sum(vec![&recording.total]);
    assert_eq!(sum(recording.seconds.iter().collect()), total);
    assert_eq!(sum(recording.stages.iter().map(|stage| &stage.totals).collect()), total);
    assert_eq!(sum(recording.requests.iter().map(|request| &request.totals).collect()), total);
    assert_eq!((total.0, recording.total.ended()), (500, 500));
}

#[tokio::test]
async fn who_loses_patience_leaves_and_closes_the_connection() {
    let server = Server::start(|_| Reply::new("", Then::Hang)).await;
    let timeout = Duration::from_millis(250);
    let recording = carry_out(Plan { timeout, ..plan(&server.url, evenly(40, Duration::from_millis(400))) }).await;
    let total = &recording.total;
    assert_eq!((total.errors[ErrorKind::Timeout], total.sent), (40, 40));
    assert_eq!(total.latency().quantile(0.5).unwrap().as_millis(), 250);
    until(Duration::from_secs(5), "every client to leave", async || (server.left() == 40).then_some(())).await;
}

#[tokio::test]
async fn beyond_the_connections_requests_wait_and_their_latency_counts_the_wait() {
    // One connection, and a server that takes 20 ms: of 20 requests in 100 ms the last waits for the other 19.
    let server = capacity::Server::start(capacity::Config::healthy(1_000, Duration::from_millis(20)), 0).unwrap();
    let url = format!("http://127.0.0.1:{}/", server.port());
    let recording = carry_out(Plan { connections_max: 1, ..plan(&url, evenly(20, Duration::from_millis(100))) }).await;
    let longest = recording.total.good_latency.max().unwrap();
    assert_eq!((recording.total.good, recording.generator.connections_opened), (20, 1));
    assert!(longest >= Duration::from_millis(300), "{longest:?}");
    assert!(recording.generator.queued >= 15, "{}", recording.generator.queued);
    let service = recording.stages[0].totals.service.quantile(0.5).unwrap();
    assert!(service < longest / 3, "service time hides the wait: {service:?}");
}

#[tokio::test]
async fn the_queue_for_connections_is_bounded_and_what_is_beyond_is_said() {
    let server = Server::start(|_| Reply::new("", Then::Hang)).await;
    let timeout = Duration::from_millis(300);
    let slow = Plan { connections_max: 2, queue_max: 5, timeout, ..plan(&server.url, evenly(50, Duration::from_millis(100))) };
    let recording = carry_out(slow).await;
    let errors = recording.total.errors;
    assert_eq!((errors[ErrorKind::Overflow], errors[ErrorKind::Timeout]), (43, 7), "{errors:?}");
}
