//! Several kinds of requests, by users who log in and keep their cookies.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plimsoll_load::Error;
use plimsoll_load::plan::Plan;
use plimsoll_load::scenario::{Request, Scenario};

use crate::fixture::{carry_out, evenly, plan, try_to};
use crate::server::{Reply, Seen, Server, Then};

const SHORT: Duration = Duration::from_millis(400);

fn cookie(seen: &Seen) -> Option<&str> {
    seen.head.lines().find_map(|line| line.strip_prefix("cookie: "))
}

#[tokio::test]
async fn every_user_logs_in_first_and_shows_its_own_cookie_from_then_on() {
    let server = Server::start(|seen| {
        if seen.head.starts_with("POST /login ") {
            let text = format!("HTTP/1.1 200 OK\r\nSet-Cookie: session={}; HttpOnly\r\nContent-Length: 0\r\n\r\n", seen.body);
            return Reply::new(&text, Then::Keep);
        }
        let known = cookie(seen).is_some_and(|cookie| cookie.starts_with("session=user"));
        Reply::new(&format!("HTTP/1.1 {} X\r\nContent-Length: 0\r\n\r\n", if known { 200 } else { 401 }), Then::Keep)
    })
    .await;
    let login = vec![Request { body: b"user{{user}}".to_vec(), ..Request::new("POST", "/login") }];
    let scenario = Scenario { requests: vec![Request::new("GET", "/of/{{user}}")], login, users: 5 };
    let recording = carry_out(Plan { scenario, threads: Some(2), ..plan(&server.url, evenly(200, SHORT)) }).await;
    assert_eq!((recording.total.due, recording.total.good), (200, 200), "{:?}", recording.total.answered_by_class);
    let (logins, others): (Vec<Seen>, Vec<Seen>) = server.seen().into_iter().partition(|seen| seen.head.starts_with("POST"));
    let who: BTreeSet<&str> = logins.iter().map(|seen| seen.body.as_str()).collect();
    assert_eq!((logins.len(), who), (5, BTreeSet::from(["user0", "user1", "user2", "user3", "user4"])));
    for seen in &others {
        let user = cookie(seen).unwrap().strip_prefix("session=user").unwrap();
        assert!(seen.head.starts_with(&format!("GET /of/{user} ")), "{}", seen.head);
    }
    assert_eq!(others.iter().filter_map(cookie).collect::<BTreeSet<_>>().len(), 5);
}

#[tokio::test]
async fn a_login_that_fails_ends_the_run_before_its_load() {
    let server = Server::start(|_| Reply::new("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", Then::Keep)).await;
    let scenario = Scenario { login: vec![Request::new("POST", "/login")], users: 3, ..Scenario::get("/") };
    let error = try_to(Plan { scenario, ..plan(&server.url, evenly(20, SHORT)) }).await.unwrap_err();
    assert!(matches!(error, Error::Login { .. }) && error.to_string().contains("403"), "{error}");
    assert!(server.seen().iter().all(|seen| seen.head.starts_with("POST /login")));
}

#[tokio::test]
async fn places_are_filled_in_anew_for_each_request() {
    let server = Server::start(|_| Reply::ok()).await;
    let order = Request {
        headers: vec![("Idempotency-Key".to_owned(), "{{uuid}}".to_owned())],
        body: b"{{n}} {{uuid}}".to_vec(),
        ..Request::new("PUT", "/orders/{{n}}")
    };
    let scenario = Scenario { requests: vec![order], login: Vec::new(), users: 0 };
    carry_out(Plan { scenario, threads: Some(2), ..plan(&server.url, evenly(100, SHORT)) }).await;
    let mut numbers = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for seen in server.seen() {
        let (n, id) = seen.body.split_once(' ').unwrap();
        assert!(seen.head.starts_with(&format!("PUT /orders/{n} HTTP/1.1\r\n")), "{}", seen.head);
        assert!(seen.head.contains(&format!("Idempotency-Key: {id}\r\n")), "one request has one id: {}", seen.head);
        numbers.insert(n.parse::<u64>().unwrap());
        ids.insert(id.to_owned());
    }
    assert_eq!((numbers, ids.len()), ((0..100).collect(), 100));
}

#[tokio::test]
async fn requests_are_chosen_by_weight_and_counted_by_name() {
    let server = Server::start(|_| Reply::ok()).await;
    let request = |path, weight| Request { weight, ..Request::new("GET", path) };
    let scenario = Scenario { requests: vec![request("/often", 3.0), request("/seldom", 1.0)], login: Vec::new(), users: 0 };
    let recording = carry_out(Plan { scenario, ..plan(&server.url, evenly(1_000, Duration::from_secs(1))) }).await;
    let by_name: BTreeMap<&str, u64> = recording.requests.iter().map(|request| (request.name.as_str(), request.totals.good)).collect();
    assert_eq!(by_name.values().sum::<u64>(), 1_000);
    // Five standard deviations.
    assert!(by_name["GET /often"].abs_diff(750) < 70, "{by_name:?}");
    assert_eq!(server.seen().iter().filter(|seen| seen.head.starts_with("GET /often ")).count() as u64, by_name["GET /often"]);
}
