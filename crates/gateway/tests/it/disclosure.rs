//! What answers tell about their way, to whom, and what they keep to themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use plimsoll_gateway::disclosure::{Config, Removed, Tell};
use plimsoll_policy::admission;
use plimsoll_policy::forwarded::TrustedProxies;
use tokio::sync::Notify;

use crate::edge::{Edge, Plan, get};
use crate::origin::Origin;
use crate::peer::{Message, ms, until};

const ASKING: &str = "GET /x HTTP/1.1\r\nhost: shop.example\r\nx-request-diagnostics: 1\r\n\r\n";

/// Tells both in this way; clients on this machine may ask.
fn telling(tell: Tell) -> impl FnOnce(&mut Plan) {
    let asked_by = TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()]);
    move |plan| plan.config.disclosure = Some(Config { server_timing: tell, via: tell, asked_by })
}

/// The parts of our `Server-Timing`, in milliseconds, and whether all of them are well-formed.
fn parts(answer: &Message) -> BTreeMap<String, f64> {
    let ours = *answer.all("server-timing").last().unwrap();
    let part = |member: &str| {
        let (name, took) = member.split_once(";dur=").unwrap_or_else(|| panic!("{ours}"));
        (name.to_owned(), took.parse().unwrap())
    };
    ours.split(", ").map(part).collect()
}

async fn chatty() -> Origin {
    Origin::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nServer: app/1.2.3\r\nX-Powered-By: Frame 4\r\nserver-timing: db;dur=3\r\nvia: 1.0 inner\r\n\r\nok",
    )
    .await
}

#[tokio::test]
async fn nothing_is_told_to_those_who_do_not_ask_nor_by_the_instance() {
    let origin = chatty().await;
    let edge = Edge::with(telling(Tell::Asked), &[&origin]).await;
    let quiet = edge.get("/x").await;
    assert_eq!((quiet.all("server-timing"), quiet.all("via")), (vec![], vec!["1.0 inner"]));
    let told = edge.ask(ASKING).await;
    assert_eq!(told.all("server-timing")[0], "db;dur=3", "what the instance says stays in front");
    assert!(parts(&told).contains_key("edge"), "{told:?}");
    assert_eq!(told.all("via"), ["1.0 inner", "1.1 plimsoll"]);
}

#[tokio::test]
async fn not_everybody_may_ask() {
    let origin = chatty().await;
    let elsewhere = TrustedProxies::new(vec!["192.0.2.0/24".parse().unwrap()]);
    let disclosure = Config { server_timing: Tell::Asked, via: Tell::Asked, asked_by: elsewhere };
    let edge = Edge::with(|plan| plan.config.disclosure = Some(disclosure), &[&origin]).await;
    let answer = edge.ask(ASKING).await;
    assert_eq!((answer.all("server-timing"), answer.all("via")), (vec![], vec!["1.0 inner"]));
}

#[tokio::test]
async fn the_parts_say_who_took_the_time() {
    let go = Arc::new(Notify::new());
    let first_may_end = Arc::clone(&go);
    let origin = Origin::start(move |mut visit| {
        let first_may_end = Arc::clone(&first_may_end);
        async move {
            while let Some(request) = visit.request().await {
                if request.target() == "/first" {
                    first_may_end.notified().await;
                } else {
                    tokio::time::sleep(ms(80)).await;
                }
                visit.send("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let plan = |plan: &mut Plan| {
        telling(Tell::Always)(plan);
        let patient = admission::Config { queue_wait_max: ms(20_000), queue_wait_overloaded: ms(20_000), ..admission::Config::default() };
        plan.upstream.admission = Some(patient.fixed_at(1));
    };
    let edge = Edge::with(plan, &[&origin]).await;
    let mut first = edge.connect().await;
    first.send(get("/first")).await;
    until("the first to arrive", || origin.request_count() == 1).await;
    let mut second = edge.connect().await;
    second.send(get("/second")).await;
    until("the second to wait", || edge.gateway.load_lines()[0].waiting.iter().sum::<u64>() == 1).await;
    tokio::time::sleep(ms(30)).await;
    go.notify_one();
    let parts = parts(&second.answer().await);
    assert!(parts["upstream"] >= 79.0, "the instance needs 80 ms: {parts:?}");
    assert!(parts["queue"] >= 29.0, "the place was taken until the first had its answer: {parts:?}");
    assert!(!parts.contains_key("retry"), "{parts:?}");
}

#[tokio::test]
async fn a_refusal_tells_how_long_it_took_and_has_come_through_nobody() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(telling(Tell::Always), &[&origin]).await;
    let answer = edge.ask("TRACE /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((answer.status(), answer.all("via")), (501, vec![]));
    assert_eq!(parts(&answer).into_keys().collect::<Vec<_>>(), ["edge"]);
}

#[tokio::test]
async fn an_instance_cannot_have_taken_away_what_the_edge_tells() {
    let origin =
        Origin::answering("HTTP/1.1 200 OK\r\nconnection: server-timing, via, x-own\r\nx-own: 1\r\ncontent-length: 2\r\n\r\nok").await;
    let edge = Edge::with(telling(Tell::Always), &[&origin]).await;
    let answer = edge.get("/x").await;
    assert!(parts(&answer).contains_key("edge"));
    assert_eq!((answer.all("via"), answer.field("x-own")), (vec!["1.1 plimsoll"], None));
}

#[tokio::test]
async fn via_names_the_version_that_each_side_spoke() {
    let origin = Origin::answering("HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok").await;
    let edge = Edge::with(telling(Tell::Always), &[&origin]).await;
    let answer = edge.ask("GET /x HTTP/1.0\r\nhost: a\r\nvia: 1.1 cdn\r\n\r\n").await;
    assert_eq!(origin.only_request().all("via"), ["1.1 cdn, 1.0 plimsoll"]);
    assert_eq!(answer.all("via"), ["1.0 plimsoll"]);
}

#[tokio::test]
async fn what_software_says_about_itself_stays_inside() {
    let origin = chatty().await;
    let removed = Removed::new(["server", "x-powered-by"].map(|name| name.parse().unwrap()).to_vec());
    let edge = Edge::with(|plan| plan.config.removed = removed, &[&origin]).await;
    let answer = edge.get("/x").await;
    assert_eq!((answer.field("server"), answer.field("x-powered-by")), (None, None));
    assert_eq!((answer.field("server-timing"), answer.text()), (Some("db;dur=3"), "ok"));
}

/// Every byte of a head is sent with every answer, to everybody.
#[tokio::test]
async fn an_answer_gains_the_id_of_its_request_and_not_a_byte_more() {
    let head = "HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n";
    let origin = Origin::answering(format!("{head}ok")).await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let received = client.rest().await;
    let gained = received.len() - head.len() - 2;
    assert_eq!(gained, "x-request-id: \r\nconnection: close\r\n".len() + 26, "{}", String::from_utf8_lossy(&received));
}
