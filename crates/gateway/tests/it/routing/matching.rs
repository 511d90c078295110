//! Which route takes a request.

use http::Method;
use plimsoll_gateway::route::{Conditions, Match, Requirement, Route};

use super::{asking, on, with_second};
use crate::edge::Edge;
use crate::origin::Origin;

fn requirement(name: &str, value: &str) -> Requirement {
    Requirement { name: name.to_owned(), value: Some(value.to_owned()) }
}

fn to_second(on: Match) -> Route {
    Route::of(on, plimsoll_gateway::action::Action::Forward(plimsoll_gateway::action::Forward::to(1)))
}

#[tokio::test]
async fn host_path_method_header_and_query_choose_the_upstream() {
    let (first, second) = (Origin::named("first").await, Origin::named("second").await);
    let edge = with_second(
        |plan| {
            plan.routes.push(to_second(on("/write", Conditions::new(vec![Method::DELETE], vec![], vec![]))));
            plan.routes.push(to_second(on("/beta", Conditions::new(vec![], vec![requirement("X-Beta", "yes")], vec![]))));
            plan.routes.push(to_second(on("/v", Conditions::new(vec![], vec![], vec![requirement("v", "2 b")]))));
            plan.routes.push(to_second(on("/users/{id}/orders", Conditions::default())));
            plan.routes.push(to_second(Match::new(Some("*.tenants.example"), "/*").unwrap()));
        },
        &first,
        &second,
    )
    .await;
    let cases = [
        (asking("DELETE", "/write"), "second"),
        (asking("GET", "/write"), "first"),
        (asking("GET", "/beta").field("x-beta", "yes"), "second"),
        (asking("GET", "/beta").field("x-beta", "no"), "first"),
        (asking("GET", "/beta"), "first"),
        (asking("GET", "/v?a=1&v=2+b"), "second"),
        (asking("GET", "/v?v=2%20b"), "second"),
        (asking("GET", "/v?v=2"), "first"),
        (asking("GET", "/users/7/orders"), "second"),
        (asking("GET", "/users/7/orders/1"), "first"),
        (asking("GET", "/users//orders"), "first"),
        (asking("GET", "/").host("acme.tenants.example"), "second"),
        (asking("GET", "/").host("a.b.Tenants.Example:80"), "second"),
        (asking("GET", "/").host("tenants.example"), "first"),
    ];
    for (case, expected) in cases {
        for seen in case.over_both(&edge).await {
            assert_eq!(seen.body, expected, "{} {} at {}", case.method, case.target, case.host);
        }
    }
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_told_which_do() {
    let origin = Origin::named("a").await;
    let edge = Edge::with(
        |plan| {
            let only = |methods| Conditions::new(methods, vec![], vec![]);
            plan.routes = vec![Route::new(None, "/open", 0).unwrap()];
            for methods in [vec![Method::GET], vec![Method::POST, Method::PUT]] {
                let on = on("/items/{id}", only(methods));
                plan.routes.push(Route::of(on, plimsoll_gateway::action::Action::Forward(plimsoll_gateway::action::Forward::to(0))));
            }
        },
        &[&origin],
    )
    .await;
    for seen in asking("DELETE", "/items/7").over_both(&edge).await {
        seen.is_problem(405, "method-not-allowed");
        assert_eq!(seen.field("allow"), Some("GET, HEAD, POST, PUT"));
        assert!(seen.body.contains("\"setting\":\"route.methods\""), "{}", seen.body);
    }
    for seen in asking("DELETE", "/nothing").over_both(&edge).await {
        seen.is_problem(404, "no-route");
        assert_eq!(seen.field("allow"), None);
    }
    for seen in asking("HEAD", "/items/7").over_both(&edge).await {
        assert_eq!(seen.status, 200, "GET takes HEAD, too");
    }
    assert_eq!(edge.refusals("method-not-allowed"), 2);
    assert_eq!(origin.request_count(), 2, "nothing else came");
}
