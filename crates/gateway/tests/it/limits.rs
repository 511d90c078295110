//! What one client may ask for, and how long it may take.

use plimsoll_gateway::config::Limits;
use tokio::time::timeout;

use crate::edge::{Edge, get, with_body};
use crate::origin::{Origin, ok};
use crate::peer::{Message, PIECE, assert_problem, in_time, ms, until};

const LIMITS: Limits = Limits {
    connections_max: 100,
    connections_per_client_max: 0,
    head_bytes_max: 4_096,
    headers_max: 10,
    target_bytes_max: 1_000,
    body_bytes_max: 5_000,
    body_bytes_per_second_min: 0,
    answer_bytes_per_second_min: 0,
    upstream_idle_per_instance_max: 64,
};

async fn edge_with_limits(origin: &Origin) -> Edge {
    Edge::with(|plan| plan.config.limits = LIMITS, &[origin]).await
}

/// Refused in a way that leaves no doubt about where the next request would begin: there is none.
fn assert_refused(answer: &Message, status: u16, slug: &str) {
    assert_problem(answer, status, slug);
    assert_eq!(answer.field("connection"), Some("close"));
}

fn head(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: a\r\n{fields}\r\n")
}

#[tokio::test]
async fn each_limit_is_enforced_at_its_value_and_its_refusal_names_the_setting() {
    let origin = Origin::named("x").await;
    let edge = edge_with_limits(&origin).await;
    let target = |length: usize| format!("/{}", "t".repeat(length - 1));
    let fields = |count: usize| "x: y\r\n".repeat(count - 1);
    let sized = |length: usize| {
        let rest = head("/", "x: \r\n").len();
        head("/", &format!("x: {}\r\n", "y".repeat(length - rest)))
    };
    let chunked = |length: usize| {
        let head = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
        format!("{head}{:x}\r\n{}\r\n0\r\n\r\n", length, "b".repeat(length))
    };
    let with_length = |length: usize| with_body("POST", "/", &"b".repeat(length));
    let cases = [
        ("head-too-large", 431, "head_bytes_max", sized(4_096), sized(4_097)),
        ("too-many-headers", 431, "headers_max", head("/", &fields(10)), head("/", &fields(11))),
        ("target-too-long", 414, "target_bytes_max", head(&target(1_000), ""), head(&target(1_001), "")),
        ("target-too-long", 414, "target_bytes_max", head(&target(1_000), ""), head(&target(9_000), "")),
        ("body-too-large", 413, "body_bytes_max", with_length(5_000), with_length(5_001)),
        ("body-too-large", 413, "body_bytes_max", chunked(5_000), chunked(5_001)),
    ];
    for (slug, status, setting, within, beyond) in cases {
        let before = origin.request_count();
        assert_eq!(edge.ask(within).await.status(), 200, "{slug}: the limit itself is allowed");
        assert_eq!(origin.request_count(), before + 1, "{slug}");
        let mut client = edge.connect().await;
        let answer = client.ask(beyond).await;
        assert_problem(&answer, status, slug);
        assert_eq!(answer.json()["setting"], format!("gateway.limits.{setting}"));
        if answer.field("connection") == Some("close") {
            client.closed_in_order().await;
        } else {
            assert_eq!(client.ask(get("/next")).await.status(), 200, "{slug}: all of the body was read, so the next request is clear");
        }
    }
    assert_eq!((edge.refusals("body-too-large"), edge.refusals("target-too-long")), (2, 2));
}

#[tokio::test]
async fn a_body_that_announces_too_much_is_refused_before_any_of_it_is_sent_on() {
    let origin = Origin::named("x").await;
    let edge = edge_with_limits(&origin).await;
    let mut client = edge.connect().await;
    // The client waits with its body, as it should: the refusal must not wait for it.
    let answer = client.ask("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5001\r\n\r\n").await;
    assert_refused(&answer, 413, "body-too-large");
    assert_eq!(origin.connection_count(), 0);
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_never_becomes_a_whole_request() {
    let origin = Origin::start(|mut visit| async move {
        assert!(visit.request().await.is_none(), "the request must break off");
        visit.send(ok("")).await;
    })
    .await;
    let edge = edge_with_limits(&origin).await;
    let mut client = edge.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").await;
    client.chunk(&"b".repeat(4_000)).await;
    until("the first part to be sent on", || origin.request_count() == 1).await;
    client.chunk(&"b".repeat(1_001)).await;
    assert_refused(&client.answer().await, 413, "body-too-large");
}

#[tokio::test]
async fn a_head_must_be_complete_in_time_however_it_dribbles() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.timeouts.head = ms(120), &[&origin]).await;
    let mut stalls = edge.connect().await;
    assert_refused(&stalls.ask("GET / HTTP/1.1\r\nhost: a\r\nx:").await, 408, "head-timeout");
    stalls.closed().await;
    let mut dribbles = edge.connect().await;
    let drop_by_drop = async {
        loop {
            let _ = dribbles.try_send("G").await;
            tokio::time::sleep(ms(20)).await;
        }
    };
    tokio::select! {
        () = drop_by_drop => {}
        () = until("the dribbling client to be refused", || edge.refusals("head-timeout") == 2) => {}
    }
    let mut second = edge.connect().await;
    assert_eq!(second.ask(get("/x")).await.status(), 200);
    assert_refused(&second.ask("GET / HT").await, 408, "head-timeout");
    assert_eq!(origin.request_count(), 1);
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_given_up_and_one_that_trickles_is_not() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.timeouts.body_idle = ms(150), &[&origin]).await;
    let mut client = edge.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\n").await;
    for _ in 0..7 {
        tokio::time::sleep(ms(50)).await;
        client.send("b").await;
    }
    assert_eq!(client.ask("b").await.status(), 200);
    for head in ["content-length: 8\r\n\r\n", "content-length: 8\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let mut client = edge.connect().await;
        let answer = client.ask(format!("POST / HTTP/1.1\r\nhost: a\r\n{head}")).await;
        assert_refused(&answer, 408, "body-timeout");
        client.closed().await;
    }
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off_and_its_instance_set_free() {
    let origin = Origin::endless("content-length: 999999999\r\n").await;
    let edge = Edge::with(|plan| plan.config.timeouts.write_idle = ms(150), &[&origin]).await;
    let mut client = edge.connect_narrow().await;
    client.send(get("/x")).await;
    client.head().await.unwrap();
    until("the gateway to give up", || edge.gateway.edge().connections == 0).await;
    until("the instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
}

#[tokio::test]
async fn a_connection_beyond_the_cap_is_told_so_and_does_not_take_a_place() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.limits.connections_max = 2, &[&origin]).await;
    let mut kept = [edge.connect().await, edge.connect().await];
    for client in &mut kept {
        client.ask(get("/x")).await;
    }
    let mut turned_away = edge.connect().await;
    let answer = turned_away.answer().await;
    assert_refused(&answer, 503, "too-many-connections");
    assert_eq!(answer.field("retry-after"), Some("1"));
    let [first, second] = kept;
    drop(first);
    // The one that was turned away has not closed yet; it must not count.
    let freed = timeout(ms(1_000), until("a place to be free", || edge.gateway.edge().connections == 1));
    freed.await.expect("the one turned away takes no place");
    assert_eq!(edge.get("/x").await.status(), 200);
    drop((second, turned_away));
}

#[tokio::test]
async fn those_turned_away_are_bounded_too() {
    const MORE: usize = 300;
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.limits.connections_max = 1, &[&origin]).await;
    let mut kept = edge.connect().await;
    kept.ask(get("/x")).await;
    let mut turned_away = Vec::new();
    for _ in 0..MORE {
        turned_away.push(edge.connect().await);
    }
    let mut told = 0;
    for client in &mut turned_away {
        // Nobody closes: each that was told is listened to for a moment, in case it is still sending.
        told += usize::from(client.head().await.is_some_and(|head| head.status() == 503));
    }
    assert!((200..MORE).contains(&told), "{told} of {MORE} were told");
    assert_eq!(kept.ask(get("/x")).await.status(), 200);
}

#[tokio::test]
async fn an_instance_that_stops_reading_is_not_taken_for_a_client_that_stops_sending() {
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = Edge::with(|plan| plan.config.timeouts.body_idle = ms(150), &[&origin]).await;
    let mut client = edge.connect().await;
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n").await;
    let (mut reading, mut writing) = tokio::io::split(client.stream);
    let endless = async {
        use tokio::io::AsyncWriteExt;
        while writing.write_all(PIECE).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let mut answer = [0; 12];
    tokio::select! {
        () = endless => {}
        read = in_time("an answer", tokio::io::AsyncReadExt::read_exact(&mut reading, &mut answer)) => drop(read.unwrap()),
    }
    assert_eq!(&answer, b"HTTP/1.1 502");
    assert_eq!((edge.refusals("upstream-failed"), edge.refusals("body-timeout")), (1, 0));
}

#[tokio::test]
async fn idle_connections_are_closed_without_a_word() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.timeouts.idle = ms(120), &[&origin]).await;
    let mut silent = edge.connect().await;
    let mut between_requests = edge.connect().await;
    for _ in 0..4 {
        assert_eq!(between_requests.ask(get("/x")).await.status(), 200);
        tokio::time::sleep(ms(60)).await;
    }
    in_time("both to be closed", async {
        silent.closed().await;
        between_requests.closed().await;
    })
    .await;
}
