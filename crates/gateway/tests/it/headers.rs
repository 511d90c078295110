//! What a header says on each side of the gateway.

use plimsoll_policy::forwarded::TrustedProxies;

use crate::edge::{Edge, Plan, get};
use crate::origin::Origin;
use crate::peer::Message;

fn trusting(networks: &[&str]) -> impl FnOnce(&mut Plan) {
    let trusted = TrustedProxies::new(networks.iter().map(|network| network.parse().unwrap()).collect());
    move |plan| plan.config.trusted_proxies = trusted
}

/// What the instance sees of a request with these fields.
async fn seen(networks: &[&str], fields: &str) -> Message {
    let origin = Origin::named("x").await;
    let edge = Edge::with(trusting(networks), &[&origin]).await;
    edge.ask(format!("GET /x HTTP/1.1\r\nhost: shop.example:8080\r\n{fields}\r\n")).await;
    origin.only_request()
}

#[tokio::test]
async fn fields_of_one_hop_end_at_it_in_both_directions() {
    let origin = Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: x\r\n\
         Proxy-Connection: close\r\nSet-Cookie: a=1\r\nX-Stays: 1\r\nSet-Cookie: b=2\r\n\r\nok",
    )
    .await;
    let edge = Edge::before(&[&origin]).await;
    let answer = edge
        .ask(
            "GET /x HTTP/1.1\r\nHost: a\r\nConnection: X-Hop, x-OTHER\r\nconnection: x-third\r\nX-Hop: 1\r\nX-Other: 1\r\nX-Third: 1\r\n\
             Keep-Alive: 5\r\nProxy-Connection: keep-alive\r\nUpgrade: x\r\nTE: gzip\r\nX-Stays: 1\r\nCookie: a=1\r\nX-Stays: 2\r\n\r\n",
        )
        .await;
    let request = origin.only_request();
    for name in ["connection", "x-hop", "x-other", "x-third", "keep-alive", "proxy-connection", "upgrade", "te", "transfer-encoding"] {
        assert_eq!(request.all(name), Vec::<&str>::new(), "{name}");
        assert_eq!(answer.all(name), Vec::<&str>::new(), "{name}");
    }
    assert_eq!((request.all("x-stays"), request.field("cookie")), (vec!["1", "2"], Some("a=1")));
    assert_eq!((answer.all("set-cookie"), answer.field("x-stays")), (vec!["a=1", "b=2"], Some("1")));
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_the_client() {
    const CLAIMS: &str = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-For: 198.51.100.2\r\nX-Forwarded-Proto: https\r\n\
                          X-Forwarded-Host: public.example\r\nX-Forwarded-Port: 443\r\nForwarded: for=203.0.113.7;proto=https\r\n\
                          Via: 1.1 cdn\r\nX-Request-Id: from-the-cdn\r\nX-Real-IP: 203.0.113.7\r\n";
    let stranger = seen(&[], CLAIMS).await;
    let proxy = seen(&["127.0.0.0/8"], CLAIMS).await;
    let cases = [
        ("x-forwarded-for", Some("127.0.0.1"), Some("203.0.113.7, 198.51.100.2, 127.0.0.1")),
        ("x-forwarded-proto", Some("http"), Some("https")),
        ("x-forwarded-host", Some("shop.example:8080"), Some("public.example")),
        ("x-forwarded-port", None, Some("443")),
        (
            "forwarded",
            Some("for=127.0.0.1;host=\"shop.example:8080\";proto=http"),
            Some("for=203.0.113.7;proto=https, for=127.0.0.1;host=\"shop.example:8080\";proto=http"),
        ),
        ("via", Some("1.1 cdn, 1.1 plimsoll"), Some("1.1 cdn, 1.1 plimsoll")),
        ("x-real-ip", Some("127.0.0.1"), Some("198.51.100.2")),
        ("host", Some("shop.example:8080"), Some("shop.example:8080")),
    ];
    for (name, from_stranger, from_proxy) in cases {
        assert_eq!((stranger.field(name), proxy.field(name)), (from_stranger, from_proxy), "{name}");
    }
    assert_ne!(stranger.field("x-request-id"), Some("from-the-cdn"));
    assert_eq!(proxy.field("x-request-id"), Some("from-the-cdn"));
}

#[tokio::test]
async fn connection_cannot_be_used_to_take_away_what_the_gateway_says() {
    let request = seen(&[], "Connection: x-forwarded-for, host, x-request-id, via, content-length, close\r\n").await;
    for name in ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-request-id", "host"] {
        assert!(request.field(name).is_some(), "{name}: {request:?}");
    }
    assert_eq!(request.field("connection"), None, "the client's wish to close is about its own connection");
}

#[tokio::test]
async fn one_request_id_is_seen_by_all_and_a_bad_one_is_replaced() {
    let origin = Origin::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: of-the-instance\r\n\r\n").await;
    let edge = Edge::with(trusting(&["127.0.0.0/8"]), &[&origin]).await;
    let answer = edge.get("/x").await;
    assert_eq!(answer.field("x-request-id"), origin.only_request().field("x-request-id"));
    assert_eq!(answer.field("x-request-id").unwrap().len(), 26);
    let asked = |id: &str| format!("GET /x HTTP/1.1\r\nhost: a\r\nx-request-id: {id}\r\n\r\n");
    assert_eq!(edge.ask(asked("abc-1")).await.field("x-request-id"), Some("abc-1"));
    let long = "a".repeat(65);
    for bad in ["a b", "a\"b", long.as_str()] {
        assert_ne!(edge.ask(asked(bad)).await.field("x-request-id"), Some(bad));
    }
}

#[tokio::test]
async fn what_is_meant_for_the_instance_arrives_as_it_was_written() {
    let request = seen(
        &[],
        "Accept: */*\r\nX-MiXeD: Case And  Spaces\r\nAuthorization: Bearer x\r\nTE: gzip, trailers;q=0.5, trailers\r\nExpect: 100-continue\r\n\
         Referer: http://b/\r\n",
    )
    .await;
    assert!(request.fields.contains(&("X-MiXeD".to_owned(), "Case And  Spaces".to_owned())), "{request:?}");
    assert_eq!(request.field("authorization"), Some("Bearer x"));
    assert_eq!(request.field("te"), Some("trailers"), "the only part of TE that is not about this hop");
    assert_eq!((request.field("expect"), request.field("referer")), (Some("100-continue"), Some("http://b/")));
}

/// CGI and WSGI cannot tell `_` from `-`, and take `X-Forwarded-Prefix` for part of the address.
#[tokio::test]
async fn no_other_spelling_gets_past() {
    const CLAIMS: &str = "X_Forwarded_For: 203.0.113.7\r\nX-Forwarded_Proto: https\r\nX_Real_IP: 203.0.113.7\r\nContent_Length: 5\r\n\
                          Transfer_Encoding: chunked\r\nX-Forwarded-Prefix: /admin\r\nx_custom: stays\r\n";
    let stranger = seen(&[], CLAIMS).await;
    let proxy = seen(&["127.0.0.0/8"], CLAIMS).await;
    for name in ["x_forwarded_for", "x-forwarded_proto", "x_real_ip", "content_length", "transfer_encoding"] {
        assert_eq!((stranger.field(name), proxy.field(name)), (None, None), "{name}");
    }
    assert_eq!((stranger.field("x-forwarded-prefix"), proxy.field("x-forwarded-prefix")), (None, Some("/admin")));
    assert_eq!((stranger.field("x_custom"), proxy.field("x_custom")), (Some("stays"), Some("stays")));
}

#[tokio::test]
async fn every_answer_has_one_date() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            let dated = if request.target() == "/dated" { "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" } else { "" };
            visit.send(format!("HTTP/1.1 200 OK\r\n{dated}content-length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    assert_eq!(edge.get("/dated").await.field("date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    for request in [get("/undated"), "nonsense\r\n\r\n".to_owned()] {
        let answer = edge.ask(request).await;
        assert!(answer.field("date").is_some_and(|date| date.ends_with(" GMT") && date.len() == 29), "{answer:?}");
    }
}

#[tokio::test]
async fn methods_that_make_tunnels_or_echo_secrets_are_refused() {
    let origin = Origin::named("x").await;
    let edge = Edge::before(&[&origin]).await;
    for request in ["TRACE /x HTTP/1.1\r\nhost: a\r\n\r\n", "CONNECT b:443 HTTP/1.1\r\nhost: a\r\n\r\n"] {
        let answer = edge.ask(request).await;
        assert_eq!((answer.status(), answer.json()["type"].as_str()), (501, Some("urn:plimsoll:problem:not-implemented")));
    }
    assert_eq!(origin.connection_count(), 0);
    assert_eq!(edge.ask(get("/x")).await.status(), 200);
}

#[tokio::test]
async fn an_answer_keeps_its_status_and_its_fields_whatever_they_are() {
    for status in ["200 Fine By Me", "299", "418 x", "451 x", "500 x", "503 x", "599 x", "999 x"] {
        let origin = Origin::answering(format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\nx-odd: \u{e9}\r\nx-empty:\r\n\r\nok")).await;
        let edge = Edge::before(&[&origin]).await;
        edge.connect().await.send(get("/other")).await;
        let mut client = edge.connect().await;
        client.send(get("/x")).await;
        let head = client.head().await.unwrap();
        assert_eq!(head.status().to_string(), status[..3]);
        assert_eq!((head.field("x-odd"), head.field("x-empty")), (Some("\u{e9}"), Some("")));
    }
}
