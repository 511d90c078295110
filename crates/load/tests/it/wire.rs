//! Whatever a server does on the wire is counted as what it is.

use std::time::Duration;

use plimsoll_load::plan::{Pace, Plan};
use plimsoll_load::scenario::{Request, Scenario};
use plimsoll_load::{Error, ErrorKind};

use crate::fixture::{carry_out, evenly, plan, try_to};
use crate::server::{Reply, Server, Then};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn every_framing_is_a_good_answer_and_torn_ones_too() {
    let framings = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Keep),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Then::Keep),
        ("HTTP/1.1 200 OK\r\n\r\nhello", Then::Close),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Close),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", Then::Close),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Then::Keep),
    ];
    for (text, then) in framings {
        for piece in [1, 9, 1000] {
            let pieces = move || text.as_bytes().chunks(piece).map(<[u8]>::to_vec).collect();
            let server = Server::start(move |_| Reply { pieces: pieces(), then }).await;
            let recording = carry_out(plan(&server.url, evenly(20, SHORT))).await;
            assert_eq!((recording.total.good, recording.total.body_bytes), (20, 100), "{text:?} by {piece}: {:?}", recording.examples);
        }
    }
}

#[tokio::test]
async fn answers_without_a_body_end_with_their_head() {
    for (method, text, class) in [
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", 2),
        ("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 3),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 2),
    ] {
        let server = Server::start(move |_| Reply::new(text, Then::Keep)).await;
        let scenario = Scenario { requests: vec![Request::new(method, "/")], login: Vec::new(), users: 0 };
        let recording = carry_out(Plan { scenario, ..plan(&server.url, evenly(20, SHORT)) }).await;
        assert_eq!(recording.total.answered_by_class[class], 20, "{text:?}: {:?}", recording.examples);
        let connections = 1 + server.seen().iter().map(|seen| seen.connection).max().unwrap();
        assert!(connections < 20, "{text:?}: connections are kept");
    }
}

#[tokio::test]
async fn statuses_count_by_class_and_only_2xx_and_3xx_are_good() {
    let statuses = ["200", "302", "404", "503", "700"];
    let server = Server::start(move |seen| {
        let status = statuses[seen.number % statuses.len()];
        Reply::new(&format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"), Then::Keep)
    })
    .await;
    let recording = carry_out(plan(&server.url, Pace::Closed { connections: 1, lasts: SHORT })).await;
    let total = &recording.total;
    let [odd, _, class2, class3, class4, class5] = total.answered_by_class;
    assert!([odd, class2, class3, class4, class5].iter().all(|count| count.abs_diff(class2) <= 1), "{total:?}");
    assert_eq!(total.good, class2 + class3);
    assert_eq!((total.good_latency.count(), total.poor_latency.count()), (total.good, total.answered() - total.good));
}

/// What a server that behaves so to every request makes of 20 of them.
async fn errors_of(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Vec<(ErrorKind, u64)> {
    let server = Server::start(move |_| reply()).await;
    let timeout = Duration::from_millis(300);
    let recording = carry_out(Plan { timeout, ..plan(&server.url, evenly(20, SHORT)) }).await;
    assert_eq!(recording.total.ended(), 20);
    recording.total.errors.iter().filter(|(_, count)| *count > 0).collect()
}

#[tokio::test]
async fn failures_are_told_apart() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    assert_eq!(errors_of(move || Reply::new(half, Then::Close)).await, [(ErrorKind::Closed, 20)]);
    assert_eq!(errors_of(|| Reply::new("", Then::Close)).await, [(ErrorKind::Closed, 20)]);
    assert_eq!(errors_of(move || Reply::new("", Then::Reset)).await, [(ErrorKind::Reset, 20)]);
    assert_eq!(errors_of(|| Reply::new("SSH-2.0-OpenSSH\r\n", Then::Keep)).await, [(ErrorKind::Protocol, 20)]);
    assert_eq!(errors_of(|| Reply::new("", Then::Hang)).await, [(ErrorKind::Timeout, 20)]);
}

#[tokio::test]
async fn a_server_that_goes_away_refuses_the_rest() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    // It takes the connection that only finds out whether anybody is there, and is gone.
    let gone = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let recording = carry_out(plan(&url, evenly(20, SHORT))).await;
    gone.join().unwrap();
    assert_eq!(recording.total.errors[ErrorKind::Refused], 20, "{:?}", recording.total.errors);
    assert_eq!((recording.total.sent, recording.total.latency().count()), (0, 0));
    assert!(recording.examples[0].message.contains("refused"), "{:?}", recording.examples);
}

#[tokio::test]
async fn nobody_there_is_an_error_before_any_load() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = try_to(plan(&format!("http://{free}/"), evenly(20, SHORT))).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { kind: ErrorKind::Refused, .. }), "{error}");
    let error = try_to(plan("unix:/no/such/socket", evenly(20, SHORT))).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let error = try_to(plan("http://no-such-host.invalid/", evenly(20, SHORT))).await.unwrap_err();
    assert!(error.to_string().starts_with("the name `no-such-host.invalid` does not resolve: "), "{error}");
}

#[tokio::test]
async fn a_kept_connection_that_was_just_closed_is_no_error_of_the_server() {
    // Without a word, after each second request.
    let server = Server::start(|seen| Reply { then: if seen.number == 1 { Then::Close } else { Then::Keep }, ..Reply::ok() }).await;
    let recording = carry_out(plan(&server.url, Pace::Closed { connections: 4, lasts: SHORT })).await;
    assert_eq!(recording.total.errors.sum(), 0, "{:?}", recording.examples);
    assert!(recording.total.resent > 0 && recording.total.good > 20, "{:?}", recording.total);
}

#[tokio::test]
async fn an_order_is_never_sent_twice() {
    let server = Server::start(|seen| Reply { then: if seen.number == 1 { Then::Close } else { Then::Keep }, ..Reply::ok() }).await;
    let scenario = Scenario { requests: vec![Request::new("POST", "/")], login: Vec::new(), users: 0 };
    let recording = carry_out(Plan { scenario, ..plan(&server.url, Pace::Closed { connections: 2, lasts: SHORT }) }).await;
    let total = recording.total;
    assert_eq!(total.resent, 0);
    assert_eq!(server.seen().len() as u64, total.good);
    assert!(total.errors.sum() > 0 && total.errors.sum() == total.errors[ErrorKind::Closed] + total.errors[ErrorKind::Reset]);
}

#[tokio::test]
async fn a_unix_socket_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_unix(&folder.path().join("app.sock"), |_| Reply::ok());
    let recording = carry_out(plan(&server.url, evenly(20, SHORT))).await;
    assert_eq!(recording.total.good, 20);
    assert!(server.seen()[0].head.contains("host: localhost\r\n"));
}

#[tokio::test]
async fn a_large_request_is_answered_before_it_is_read_without_a_deadlock() {
    let body = vec![b'x'; 8 * 1024 * 1024];
    let server = Server::start(|seen| {
        assert_eq!(seen.body.len(), 8 * 1024 * 1024);
        Reply::ok()
    })
    .await;
    let scenario = Scenario { requests: vec![Request { body, ..Request::new("POST", "/") }], login: Vec::new(), users: 0 };
    let recording = carry_out(Plan { scenario, ..plan(&server.url, evenly(3, SHORT)) }).await;
    assert_eq!(recording.total.good, 3, "{:?}", recording.examples);
}

#[tokio::test]
async fn what_failed_is_told_by_status_with_what_the_first_said() {
    let problem = r#"{"type":"urn:x:full","title":"no room"}"#;
    let server = Server::start(move |seen| match seen.number % 4 {
        0 => Reply::new("HTTP/1.1 200 OK\r\nX-Plimsoll-Fallback: prepared\r\nContent-Length: 2\r\n\r\nok", Then::Keep),
        1 => Reply::new("HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno \r\n4\r\nsuch\r\n0\r\n\r\n", Then::Keep),
        _ => {
            let head = format!("HTTP/1.1 503 X\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\n\r\n", problem.len());
            Reply::new(&(head + problem), Then::Keep)
        }
    })
    .await;
    // The pace of one connection tells which request is which.
    let recording = carry_out(plan(&server.url, Pace::Closed { connections: 1, lasts: SHORT })).await;
    let count = |status| recording.statuses.iter().find(|record| record.status == status).map_or(0, |record| record.count);
    assert!(count(200) > 0 && count(200).abs_diff(count(404)) <= 1 && count(503).abs_diff(2 * count(404)) <= 2, "{:?}", recording.statuses);
    assert_eq!(recording.total.fallbacks, count(200));
    let said: Vec<_> = recording.statuses.iter().map(|record| (record.problem.as_deref(), record.excerpt.as_deref())).collect();
    assert_eq!(said, [(None, None), (None, Some("no such")), (Some("urn:x:full"), Some(problem))]);
}

#[tokio::test]
async fn a_server_with_a_thousand_ways_to_fail_fills_no_memory() {
    let server = Server::start(|seen| {
        let body = "x".repeat(5_000);
        Reply::new(&format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n\r\n{body}", 400 + seen.number % 200, body.len()), Then::Keep)
    })
    .await;
    let recording = carry_out(plan(&server.url, Pace::Closed { connections: 1, lasts: SHORT })).await;
    assert_eq!(recording.statuses.iter().map(|record| record.count).sum::<u64>(), recording.total.answered());
    let excerpts: Vec<_> = recording.statuses.iter().filter_map(|record| record.excerpt.as_ref()).collect();
    assert!(excerpts.len() == 8 && excerpts.iter().all(|excerpt| excerpt.len() < 210), "{excerpts:?}");
}
