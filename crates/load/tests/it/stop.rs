//! A run can be ended at any moment, and keeps what it has.

use std::time::Duration;

use plimsoll_load::plan::{Pace, Plan};
use plimsoll_load::{Progress, run};
use plimsoll_testbed::poll::until;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::fixture::plan;
use crate::server::{Reply, Server, Then};

const LONG: Duration = Duration::from_mins(1);

#[tokio::test]
async fn stopping_early_keeps_what_there_is() {
    let server = Server::start(|_| Reply::ok()).await;
    for pace in [Pace::constant(200.0, LONG), Pace::Closed { connections: 2, lasts: LONG }] {
        let (progress, mut seen) = watch::channel(Progress::default());
        let stop = CancellationToken::new();
        let running = tokio::spawn(run(plan(&server.url, pace), progress, stop.clone()));
        let far = timeout(Duration::from_secs(10), seen.wait_for(|progress| progress.good >= 50)).await.unwrap().unwrap().clone();
        stop.cancel();
        let recording = timeout(Duration::from_secs(2), running).await.unwrap().unwrap().unwrap();
        assert!(recording.stopped_early && recording.lasted < LONG / 2);
        assert!(recording.total.good >= far.good && recording.total.errors.sum() == 0);
        assert_eq!(recording.stages[0].lasted, recording.lasted);
        assert!(far.elapsed > Duration::ZERO && far.lasts == LONG && far.due >= far.good && far.connections > 0);
    }
}

#[tokio::test]
async fn stopping_waits_for_answers_no_longer_than_their_clients_do() {
    let server = Server::start(|_| Reply::new("", Then::Hang)).await;
    let (progress, mut seen) = watch::channel(Progress::default());
    let stop = CancellationToken::new();
    let patience = Duration::from_millis(500);
    let plan = Plan { timeout: patience, ..plan(&server.url, Pace::constant(100.0, LONG)) };
    let running = tokio::spawn(run(plan, progress, stop.clone()));
    timeout(Duration::from_secs(10), seen.wait_for(|progress| progress.in_flight > 0)).await.unwrap().unwrap();
    stop.cancel();
    let stopped = Instant::now();
    let recording = running.await.unwrap().unwrap();
    assert!(stopped.elapsed() < patience * 3, "{:?}", stopped.elapsed());
    assert_eq!(recording.total.ended(), recording.total.due);
}

#[tokio::test]
async fn dropping_a_run_ends_its_traffic() {
    let server = Server::start(|_| Reply::new("", Then::Hang)).await;
    let (progress, mut seen) = watch::channel(Progress::default());
    let running = tokio::spawn(run(plan(&server.url, Pace::constant(100.0, LONG)), progress, CancellationToken::new()));
    timeout(Duration::from_secs(10), seen.wait_for(|progress| progress.in_flight > 0)).await.unwrap().unwrap();
    running.abort();
    // Every connection that it had is closed, although nobody lost patience.
    let all_left = async || (server.left() > 0 && server.left() == server.seen().len()).then_some(());
    until(Duration::from_secs(2), "every client to leave", all_left).await;
}
