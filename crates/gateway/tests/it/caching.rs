//! What caches are told by a route in the application's place.

use http::HeaderValue;
use plimsoll_gateway::caching::Caching;
use plimsoll_gateway::route::{Policies, Route};

use crate::edge::Edge;
use crate::origin::Origin;

const OURS: (Option<&str>, Option<&str>) = (Some("public, max-age=60"), Some("max-age=3600"));

/// What a client hears of caching when the instance answers with this status and these fields.
async fn heard(method: &str, status: &str, fields: &str) -> (Option<String>, Option<String>) {
    heard_when_asked("", method, status, fields).await
}

/// The same when the client sends these fields.
async fn heard_when_asked(asked: &str, method: &str, status: &str, fields: &str) -> (Option<String>, Option<String>) {
    let body = if status.starts_with("304") || method == "HEAD" { "" } else { "ok" };
    let origin = Origin::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n{fields}\r\n{body}")).await;
    let caching = Caching {
        cache_control: Some(HeaderValue::from_static("public, max-age=60")),
        cdn_cache_control: Some(HeaderValue::from_static("max-age=3600")),
    };
    let route = || Route::new(None, "/*", 0).unwrap().with(Policies { caching: caching.clone(), ..Policies::default() });
    let edge = Edge::with(|plan| plan.routes = vec![route()], &[&origin]).await;
    let mut client = edge.connect().await;
    client.send(format!("{method} /x HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n{asked}\r\n")).await;
    let answer = client.head().await.unwrap();
    (answer.field("cache-control").map(str::to_owned), answer.field("cdn-cache-control").map(str::to_owned))
}

#[tokio::test]
async fn good_answers_to_reads_say_what_the_route_says() {
    for (method, status, fields) in [
        ("GET", "200 OK", ""),
        ("HEAD", "200 OK", ""),
        ("GET", "304 Not Modified", ""),
        ("GET", "301 Moved Permanently", "location: /y\r\n"),
        ("GET", "200 OK", "Cache-Control: public, max-age=5\r\nCache-Control: must-revalidate\r\nCDN-Cache-Control: max-age=5\r\n"),
        ("GET", "200 OK", "cache-control: no-cache\r\n"),
    ] {
        let (ours, cdns) = heard(method, status, fields).await;
        assert_eq!((ours.as_deref(), cdns.as_deref()), OURS, "{method} {status} {fields}");
    }
}

#[tokio::test]
async fn what_was_asked_with_credentials_is_not_made_public() {
    let (heard, cdns) = heard_when_asked("Authorization: Bearer x\r\n", "GET", "200 OK", "").await;
    assert_eq!((heard, cdns), (None, None));
}

#[tokio::test]
async fn errors_writes_and_what_is_personal_keep_their_own_word() {
    for (method, status, fields, own) in [
        ("POST", "200 OK", "", None),
        ("GET", "404 Not Found", "", None),
        ("GET", "500 Oops", "cache-control: max-age=1\r\n", Some("max-age=1")),
        ("GET", "302 Found", "location: /y\r\n", None),
        ("GET", "200 OK", "cache-control: max-age=5, Private\r\n", Some("max-age=5, Private")),
        ("GET", "200 OK", "cache-control: private=\"x\"\r\n", Some("private=\"x\"")),
        ("GET", "200 OK", "cache-control: no-store\r\n", Some("no-store")),
        ("GET", "200 OK", "set-cookie: a=b\r\n", None),
    ] {
        let (heard, cdns) = heard(method, status, fields).await;
        assert_eq!((heard.as_deref(), cdns.as_deref()), (own, None), "{method} {status} {fields}");
    }
}
