//! What a route does with a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use plimsoll_gateway::action::{Action, Edits, Redirect, Respond, Rewrite};
use plimsoll_gateway::route::{Conditions, Limits, Policies, Route};

use super::{asking, field, on, pattern, rewriting};
use crate::edge::{Edge, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{assert_problem, ms};

#[tokio::test]
async fn an_instance_gets_the_path_and_host_that_the_route_makes() {
    let origin = Origin::named("a").await;
    let edge = Edge::with(
        |plan| {
            let tail = pattern("/api/*");
            let strip = Rewrite::default().prefix(&tail, "/").unwrap().host("app.internal:9000").unwrap();
            let template = Rewrite::default().path(&pattern("/users/{id}/{rest...}"), "/v2/{rest}/of/{id}").unwrap();
            plan.routes = vec![rewriting("/api/*", strip), rewriting("/users/{id}/{rest...}", template)];
        },
        &[&origin],
    )
    .await;
    for target in ["/api/items/7?x=%20y", "/api", "/users/7/orders?page=2"] {
        for seen in asking("GET", target).over_both(&edge).await {
            assert_eq!(seen.status, 200, "{target}");
        }
    }
    let requests = origin.requests();
    let targets: Vec<_> = requests.iter().map(crate::peer::Message::target).collect();
    assert_eq!(targets, ["/items/7?x=%20y", "/items/7?x=%20y", "/", "/", "/v2/orders/of/7?page=2", "/v2/orders/of/7?page=2"]);
    for request in &requests[..4] {
        assert_eq!((request.field("host"), request.field("x-forwarded-host")), (Some("app.internal:9000"), Some("shop.example")));
        assert!(request.field("forwarded").unwrap().contains("host=\"shop.example\""));
    }
    assert_eq!(requests[4].field("host"), Some("shop.example"));
}

#[tokio::test]
async fn a_request_sent_again_is_rewritten_once() {
    let (mut first, second) = (Origin::named("first").await, Origin::named("second").await);
    let strip = Rewrite::default().prefix(&pattern("/a/*"), "/").unwrap();
    let edge = Edge::with(|plan| plan.routes = vec![rewriting("/a/*", strip)], &[&first, &second]).await;
    first.die().await;
    for _ in 0..2 {
        assert_eq!(edge.get("/a/a/x").await.text(), "second");
    }
    assert!(second.requests().iter().all(|request| request.target() == "/a/x"), "{:?}", second.requests());
}

#[tokio::test]
async fn a_path_that_could_lead_elsewhere_reaches_nobody_where_it_would_be_rewritten() {
    let origin = Origin::named("a").await;
    let strip = Rewrite::default().prefix(&pattern("/api/*"), "/").unwrap();
    let edge = Edge::with(|plan| plan.routes = vec![rewriting("/api/*", strip)], &[&origin]).await;
    for target in ["/api//evil.example/x", "/api/../admin", "/api/%2e%2e/admin", "/api/..%2fadmin", "/api/%2Fevil.example", "/api/x;/../y"]
    {
        for seen in asking("GET", target).over_both(&edge).await {
            seen.is_problem(404, "no-route");
        }
    }
    assert_eq!(origin.request_count(), 0);
}

fn redirecting(written: &str, status: u16, location: &str) -> Route {
    let redirect = Redirect::new(status, location, &pattern(written)).unwrap();
    Route::of(on(written, Conditions::default()), Action::Redirect(redirect))
}

#[tokio::test]
async fn a_client_is_sent_elsewhere() {
    let edge = Edge::over(
        |plan| {
            plan.routes = vec![redirecting("/*", 308, "https://{host}{path}?{query}"), redirecting("/old/{id}", 301, "/new/{id}")];
        },
        vec![],
    );
    for seen in asking("GET", "/a%20b/c?x=1").host("Shop.Example:8080").over_both(&edge).await {
        assert_eq!((seen.status, seen.body.as_str()), (308, ""));
        assert_eq!(seen.field("location").unwrap().to_lowercase(), "https://shop.example/a%20b/c?x=1");
        assert!(seen.field("x-request-id").is_some());
    }
    for seen in asking("HEAD", "/old/7?x").over_both(&edge).await {
        assert_eq!((seen.status, seen.field("location"), seen.field("content-length")), (301, Some("/new/7"), Some("0")));
    }
    asking("GET", "//evil.example/x").over_http1(&edge).await.is_problem(404, "no-route");
}

#[tokio::test]
async fn a_connection_goes_on_after_an_answer_of_the_edges_own() {
    let edge = Edge::over(|plan| plan.routes = vec![redirecting("/*", 307, "/elsewhere")], vec![]);
    let mut client = edge.connect().await;
    for _ in 0..2 {
        let answer = client.ask(crate::edge::get("/x")).await;
        assert_eq!((answer.status(), answer.field("connection")), (307, None));
    }
    let answer = client.ask(with_body("POST", "/x", "a body that nobody reads")).await;
    assert_eq!((answer.status(), answer.field("location")), (307, Some("/elsewhere")));
    client.closed_in_order().await;
}

fn responding(written: &str, status: u16, body: &'static str) -> Route {
    let respond = Respond::new(status, HeaderValue::from_static("text/plain"), Bytes::from_static(body.as_bytes())).unwrap();
    Route::of(on(written, Conditions::default()), Action::Respond(respond))
}

#[tokio::test]
async fn the_edge_answers_by_itself() {
    let edge = Edge::over(
        |plan| {
            let robots = responding("/robots.txt", 200, "User-agent: *\n");
            plan.routes = vec![robots, responding("/gone", 410, ""), responding("/quiet", 204, "")];
        },
        vec![],
    );
    for seen in asking("GET", "/robots.txt").over_both(&edge).await {
        assert_eq!((seen.status, seen.body.as_str(), seen.field("content-type")), (200, "User-agent: *\n", Some("text/plain")));
    }
    for seen in asking("HEAD", "/robots.txt").over_both(&edge).await {
        assert_eq!((seen.status, seen.body.as_str(), seen.field("content-length")), (200, "", Some("14")));
    }
    for seen in asking("GET", "/gone").over_both(&edge).await {
        assert_eq!((seen.status, seen.body.as_str(), seen.field("content-type")), (410, "", None));
    }
    for seen in asking("GET", "/quiet").over_both(&edge).await {
        assert_eq!((seen.status, seen.field("content-length")), (204, None));
    }
    let counted = edge.gateway.edge();
    assert_eq!(counted.responses_total[1] + counted.responses_total[3], 8);
}

fn edits(remove: &[&'static str], set: &[(HeaderName, HeaderValue)], add: &[(HeaderName, HeaderValue)]) -> Arc<Edits> {
    let remove = remove.iter().map(|name| HeaderName::from_static(name)).collect();
    Arc::new(Edits::new(remove, set.to_vec(), add.to_vec()).unwrap())
}

#[tokio::test]
async fn header_fields_are_taken_out_set_and_added_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nserver: app/1.0\r\nconnection: x-frame-options\r\nx-frame-options: ALLOWALL\r\nvary: accept\r\ncontent-length: 2\r\n\r\nhi";
    let origin = Origin::answering(answer).await;
    let policies = Policies {
        request_headers: Some(edits(&["cookie"], &[field("x-verified", "edge")], &[field("x-tag", "b")])),
        response_headers: Some(edits(&["server"], &[field("x-frame-options", "DENY")], &[field("vary", "origin")])),
        ..Policies::default()
    };
    let edge = Edge::with(|plan| plan.routes = vec![Route::new(None, "/*", 0).unwrap().with(policies)], &[&origin]).await;
    let asked = asking("GET", "/x").field("cookie", "a=1").field("x-verified", "client").field("x-tag", "a");
    for seen in asked.over_both(&edge).await {
        assert_eq!(
            (seen.field("server"), seen.field("x-frame-options"), seen.all("vary").concat()),
            (None, Some("DENY"), "acceptorigin".to_owned())
        );
    }
    // Whoever names our field in `Connection` does not get rid of it.
    asked.field("connection", "x-verified").over_http1(&edge).await;
    for request in origin.requests() {
        assert_eq!((request.field("cookie"), request.all("x-verified"), request.all("x-tag")), (None, vec!["edge"], vec!["a", "b"]));
    }
    assert_eq!(origin.request_count(), 3);
}

#[tokio::test]
async fn an_answer_of_the_edges_own_has_the_routes_header_fields_too() {
    let edits = edits(&[], &[field("cache-control", "public, max-age=60")], &[]);
    let policies = Policies { response_headers: Some(edits), ..Policies::default() };
    let edge = Edge::over(|plan| plan.routes = vec![responding("/a", 200, "x").with(policies)], vec![]);
    for seen in asking("GET", "/a").over_both(&edge).await {
        assert_eq!(seen.field("cache-control"), Some("public, max-age=60"));
    }
}

fn limited(limits: Limits) -> Policies {
    Policies { limits, ..Policies::default() }
}

#[tokio::test]
async fn a_route_has_its_own_limit_on_bodies_either_way() {
    let origin = Origin::named("a").await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.body_bytes_max = 10;
            let of = |pattern, body_bytes_max| {
                let limits = Limits { body_bytes_max: Some(body_bytes_max), ..Limits::default() };
                Route::new(None, pattern, 0).unwrap().with(limited(limits))
            };
            plan.routes.extend([of("/small", 3), of("/large", 100)]);
        },
        &[&origin],
    )
    .await;
    let small = edge.ask(with_body("POST", "/small", "four")).await;
    assert_problem(&small, 413, "body-too-large");
    assert_eq!(small.json()["setting"], "route.body_bytes_max");
    let common = edge.ask(with_body("POST", "/x", "eleven byte")).await;
    assert_problem(&common, 413, "body-too-large");
    assert_eq!(common.json()["setting"], "gateway.limits.body_bytes_max");
    assert_eq!(edge.ask(with_body("POST", "/large", "eleven byte")).await.status(), 200);
    let chunked = |target: &str, size: usize| {
        let body = "x".repeat(size);
        format!("POST {target} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n")
    };
    assert_problem(&edge.ask(chunked("/small", 4)).await, 413, "body-too-large");
    assert_eq!(edge.ask(chunked("/large", 100)).await.status(), 200);
}

#[tokio::test]
async fn a_route_has_its_own_time_limits() {
    let origin = Origin::start(|mut visit| async move {
        while let Some(request) = visit.request().await {
            if request.target() == "/fine" {
                visit.send(ok("in time")).await;
            } else {
                std::future::pending::<()>().await;
            }
        }
    })
    .await;
    let edge = Edge::with(
        |plan| {
            let total = Limits { total: Some(ms(100)), ..Limits::default() };
            let first_byte = Limits { first_byte: Some(ms(100)), total: Some(Duration::from_secs(2)), ..Limits::default() };
            plan.config.retry.attempts_max = 1;
            plan.routes = vec![
                Route::new(None, "/*", 0).unwrap(),
                Route::new(None, "/total", 0).unwrap().with(limited(total)),
                Route::new(None, "/first", 0).unwrap().with(limited(first_byte)),
            ];
        },
        &[&origin],
    )
    .await;
    let total = edge.get("/total").await;
    assert_problem(&total, 504, "total-timeout");
    assert_eq!(
        (&total.json()["setting"], total.json()["detail"].as_str()),
        (&"route.total_timeout".into(), Some("no answer within 100ms"))
    );
    let first = edge.get("/first").await;
    assert_problem(&first, 504, "first-byte-timeout");
    assert_eq!(first.json()["setting"], "route.first_byte_timeout");
    assert_eq!(edge.get("/fine").await.text(), "in time");
}

#[tokio::test]
async fn a_redirect_has_conditions_like_any_route() {
    let edge = Edge::over(
        |plan| {
            let redirect = Redirect::new(303, "/x", &pattern("/form")).unwrap();
            plan.routes = vec![Route::of(on("/form", Conditions::new(vec![Method::POST], vec![], vec![])), Action::Redirect(redirect))];
        },
        vec![],
    );
    assert_eq!(edge.ask(with_body("POST", "/form", "")).await.status(), 303);
    assert_problem(&edge.get("/form").await, 405, "method-not-allowed");
}
