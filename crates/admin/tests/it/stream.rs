//! `/api/stream`: what a dashboard is told, and what dashboards may cost.

use std::time::{Duration, Instant};

use plimsoll_admin::{Config, Limits};
use plimsoll_telemetry::InstanceState;
use plimsoll_testbed::poll::until;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use crate::client::{DEADLINE, Events, get};
use crate::fixture::{Admin, Fleet, quick};

#[tokio::test]
async fn statuses_move_with_the_fleet() {
    let fleet = Fleet::new(3);
    let admin = Admin::start(&fleet, quick()).await;
    let mut events = Events::open(admin.address).await;
    let first = events.next_status().await;
    assert_eq!((first.instances.len(), first.edge.requests_total), (3, 0));

    fleet.change(|snapshot| snapshot.edge.responses_total[1] += 500);
    let mut uptime_ms = first.uptime_ms;
    loop {
        let status = events.next_status().await;
        assert!(status.uptime_ms > uptime_ms, "statuses go forward");
        uptime_ms = status.uptime_ms;
        if status.edge.requests_total == 500 {
            assert!(status.edge.rate_per_second > 0.0);
            return;
        }
    }
}

#[tokio::test]
async fn a_change_of_state_is_told_at_once_and_to_those_who_come_later() {
    let fleet = Fleet::new(2);
    let admin = Admin::start(&fleet, quick()).await;
    let mut events = Events::open(admin.address).await;
    assert_eq!(events.next_of("recap").await["changes"].as_array().unwrap().len(), 0);

    fleet.change(|snapshot| snapshot.instances[1].state = InstanceState::Backoff);
    let change = events.next_of("changes").await[0].clone();
    assert_eq!((&change["instance"], &change["from"], &change["to"]), (&"api-2".into(), &"ready".into(), &"backoff".into()));

    let recap = Events::open(admin.address).await.next_of("recap").await;
    assert_eq!(recap["changes"][0], change);
    assert!(!recap["points"].as_array().unwrap().is_empty());
    assert_eq!(recap["instances"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn one_dashboard_too_many_is_refused_until_another_closes() {
    let config = Config { limits: Limits { streams_max: 2, ..quick().limits }, ..Config::default() };
    let admin = Admin::start(&Fleet::new(1), config).await;
    let first = Events::open(admin.address).await;
    let second = Events::open(admin.address).await;
    assert_eq!((first.status, second.status), (200, 200));
    let refused = get(admin.address, "/api/stream", &[]).await;
    assert_eq!((refused.status, refused.problem().as_str()), (503, "too-many-connections"));
    assert_eq!(get(admin.address, "/api/status", &[]).await.status, 200, "the other pages do not count");

    drop(first);
    until(DEADLINE, "a place among the streams", async || (Events::open(admin.address).await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_skips_looks_instead_of_filling_memory() {
    let fleet = Fleet::new(200);
    let config = Config { limits: Limits { sample_interval: Duration::from_millis(2), ..quick().limits }, ..Config::default() };
    let admin = Admin::start(&fleet, config).await;
    let mut witness = Events::open(admin.address).await;
    let mut sleeper = Events::start(connect_with_small_buffer(admin.address)).await;
    sleeper.next_status().await;

    // Long enough for tens of megabytes: the witness takes every byte that the sleeper leaves.
    let mut passed = 0;
    while passed < 500 {
        witness.next_status().await;
        passed += 1;
    }
    let woke_at_ms = fleet.look().uptime_ms;
    let mut stale = 0;
    while sleeper.next_status().await.uptime_ms < woke_at_ms {
        stale += 1;
    }
    assert!(stale < passed / 4, "{stale} of {passed} statuses were kept for a reader that did not read");
}

#[tokio::test]
async fn a_reader_that_stalls_for_good_loses_its_place() {
    let limits =
        Limits { streams_max: 1, stall_time_max: Duration::from_secs(1), sample_interval: Duration::from_millis(2), ..Limits::default() };
    let admin = Admin::start(&Fleet::new(200), Config { limits, ..Config::default() }).await;
    let stalled = Events::start(connect_with_small_buffer(admin.address)).await;
    assert_eq!(Events::open(admin.address).await.status, 503);
    until(DEADLINE, "the stalled reader's place", async || (Events::open(admin.address).await.status == 200).then_some(())).await;
    drop(stalled);
}

#[tokio::test]
async fn the_end_of_the_listener_ends_streams_at_once() {
    let admin = Admin::start(&Fleet::new(1), quick()).await;
    let mut events = Events::open(admin.address).await;
    events.next_status().await;
    let started = Instant::now();
    let stopping = tokio::spawn(admin.stop());
    while events.next().await.is_some() {}
    stopping.await.unwrap().unwrap();
    assert!(started.elapsed() < Limits::default().drain_time_max / 2, "streams must not use up the time for draining");
}

/// The kernel would otherwise take megabytes on the reader's behalf.
fn connect_with_small_buffer(address: std::net::SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    TcpStream::from_std(socket.into()).unwrap()
}
