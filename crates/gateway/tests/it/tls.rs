//! TLS with clients, over real sockets.

pub(crate) mod desk;

use std::time::Duration;

use plimsoll_gateway::config::{AccessLog, Lines};
use plimsoll_gateway::tls::{self, ClientCertificates, Redirect, Server, Shelf, Version};
use plimsoll_policy::forwarded::TrustedProxies;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::HandshakeKind;

use crate::access_log::Log;
use crate::edge::{Edge, Plan, get};
use crate::http2::Http2;
use crate::origin::Origin;
use crate::peer::{Peer, assert_problem, in_time, ms, until};
use desk::{Client, Desk};

const NAME: &str = "shop.example";

fn failures(edge: &Edge, reason: &str) -> u64 {
    let failures = edge.gateway.tls().handshake_failures_total;
    failures.into_iter().find(|(each, _)| each == reason).unwrap_or_else(|| panic!("no reason {reason}")).1
}

#[tokio::test]
async fn both_protocols_come_encrypted_and_instances_are_told() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, _| {}), &[&origin]).await;
    for protocols in [&["http/1.1"][..], &[]] {
        let mut client = desk.client().speaking(protocols).connect(&edge, NAME).await;
        assert_eq!(client.ask(get("/1")).await.text(), "x");
        assert_eq!(client.ask(get("/again")).await.text(), "x");
    }
    let stream = desk.client().speaking(&["h2", "http/1.1"]).handshake(&edge, NAME).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let client = Http2::over(stream, &h2::client::Builder::new()).await;
    let request = http::Request::get("https://shop.example/2").body(()).unwrap();
    assert_eq!(client.ask(request, b"").await.unwrap().text(), "x");
    for request in origin.requests() {
        assert_eq!(request.field("x-forwarded-proto"), Some("https"), "{request:?}");
        assert!(request.field("forwarded").unwrap().ends_with(";proto=https"), "{request:?}");
    }
    assert_eq!(edge.gateway.tls().handshakes_full_total, 3);
}

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let desk = Desk::new();
    let first = desk.write("first.pem", &["first.example"]);
    let wild = desk.write("wild.pem", &["*.wild.example"]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["first.pem", "wild.pem"], |_, _| {}), &[&origin]).await;
    let client = desk.client();
    assert_eq!(client.shown(&edge, "first.example").await, first.certificate);
    assert_eq!(client.shown(&edge, "any.wild.example").await, wild.certificate);
    assert!(client.handshake(&edge, "nobody.test").await.is_err(), "it is shown the first one, which is not for it");
    until("the failure to be counted", || failures(&edge, "refused-by-client") == 1).await;
}

#[tokio::test]
async fn a_client_that_says_half_a_hello_or_nothing_is_dropped_in_time() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let serving = desk.serving(&["shop.pem"], |_, plan| plan.config.timeouts.head = ms(150));
    let edge = Edge::with(serving, &[&origin]).await;
    let mut half = Peer::new(TcpStream::connect(edge.tls_address()).await.unwrap());
    half.send([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await;
    let mut silent = Peer::new(TcpStream::connect(edge.tls_address()).await.unwrap());
    until("both to be held", || edge.gateway.edge().connections == 2).await;
    in_time("both to be dropped", async {
        half.closed().await;
        silent.closed().await;
    })
    .await;
    until("both to be counted", || failures(&edge, "timeout") == 2).await;
    assert_eq!(edge.gateway.edge().connections, 0);
}

#[tokio::test]
async fn connections_beyond_the_cap_are_told_so_and_half_open_ones_count() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let serving = desk.serving(&["shop.pem"], |_, plan| plan.config.limits.connections_max = 1);
    let edge = Edge::with(serving, &[&origin]).await;
    let half = TcpStream::connect(edge.tls_address()).await.unwrap();
    until("the half-open one to be held", || edge.gateway.edge().connections == 1).await;
    let mut turned_away = desk.client().connect(&edge, NAME).await;
    assert_problem(&turned_away.answer().await, 503, "too-many-connections");
    drop(half);
    until("a place to be free", || edge.gateway.edge().connections == 0).await;
    assert_eq!(desk.client().connect(&edge, NAME).await.ask(get("/x")).await.status(), 200);
}

#[tokio::test]
async fn whoever_forgets_the_s_is_told_what_to_do() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, _| {}), &[&origin]).await;
    let plain = async || Peer::new(TcpStream::connect(edge.tls_address()).await.unwrap());
    for method in ["GET", "HEAD"] {
        let mut client = plain().await;
        client.send(format!("{method} /a?b=c HTTP/1.1\r\nhost: shop.example:8443\r\n\r\n")).await;
        let answer = client.head().await.unwrap();
        assert_eq!((answer.status(), answer.field("location")), (308, Some("https://shop.example:8443/a?b=c")));
    }
    let answer = plain().await.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
    assert_problem(&answer, 400, "tls-required");
    assert_problem(&plain().await.ask("GET / HTTP/1.0\r\n\r\n").await, 400, "tls-required");
    let mut scanner = plain().await;
    scanner.send([0, 0, 0, 0, 0]).await;
    in_time("the scanner to be dropped", async { drop(scanner.rest().await) }).await;
    until("it to be counted", || failures(&edge, "malformed") == 1).await;
    assert_eq!(origin.request_count(), 0);
}

#[tokio::test]
async fn the_plain_door_sends_everybody_to_the_other_one() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    for (redirect, port) in
        [(Redirect::ToDoor, None), (Redirect::ToPort(443), Some(String::new())), (Redirect::ToPort(9), Some(":9".into()))]
    {
        let edge = Edge::with(desk.serving(&["shop.pem"], |config, _| config.redirect = redirect), &[&origin]).await;
        let port = port.unwrap_or_else(|| format!(":{}", edge.tls_address().port()));
        for method in ["GET", "POST"] {
            let request = format!("{method} /a/b?c=d HTTP/1.1\r\nhost: shop.example:80\r\ncontent-length: 0\r\n\r\n");
            let answer = edge.ask(request).await;
            let expected = format!("https://shop.example{port}/a/b?c=d");
            assert_eq!((answer.status(), answer.field("location")), (308, Some(expected.as_str())));
        }
        assert_eq!(desk.client().connect(&edge, NAME).await.ask(get("/x")).await.status(), 200);
    }
    assert_eq!(origin.request_count(), 3);
}

#[tokio::test]
async fn a_proxy_that_has_taken_the_encryption_off_is_not_sent_round_in_circles() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    for (trusted, status) in [(true, 200), (false, 308)] {
        let serving = desk.serving(&["shop.pem"], |config, plan| {
            config.redirect = Redirect::ToDoor;
            if trusted {
                plan.config.trusted_proxies = TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()]);
            }
        });
        let edge = Edge::with(serving, &[&origin]).await;
        let answer = edge.ask("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-proto: https\r\n\r\n").await;
        assert_eq!(answer.status(), status);
    }
}

#[tokio::test]
async fn browsers_are_told_to_stay_encrypted_only_where_they_are() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let own = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nStrict-Transport-Security: max-age=1\r\n\r\n";
    let [origin, outspoken] = [Origin::named("x").await, Origin::answering(own).await];
    let hsts = || desk.serving(&["shop.pem"], |config, _| config.hsts = Some(Duration::from_hours(1)));
    let edge = Edge::with(hsts(), &[&origin]).await;
    let field = "strict-transport-security";
    let mut client = desk.client().connect(&edge, NAME).await;
    assert_eq!(client.ask(get("/x")).await.field(field), Some("max-age=3600"));
    let refused = client.ask("TRACE /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((refused.status(), refused.field(field)), (501, Some("max-age=3600")));
    assert_eq!(edge.get("/x").await.field(field), None);
    let edge = Edge::with(hsts(), &[&outspoken]).await;
    assert_eq!(desk.client().connect(&edge, NAME).await.ask(get("/x")).await.field(field), Some("max-age=1"));
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_nobody_notices() {
    Log::listen();
    let desk = Desk::new();
    let old = desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, _| {}), &[&origin]).await;
    let mut kept = desk.client().connect(&edge, NAME).await;
    assert_eq!(kept.ask(get("/before")).await.status(), 200);

    desk.replace("shop.pem", "half of somethi");
    let file = desk.path("shop.pem").to_string_lossy().into_owned();
    let said = |line: &serde_json::Value| line["error"].as_str().is_some_and(|error| error.contains(&file));
    Log::line(|line| line["message"].as_str().unwrap().starts_with("a certificate cannot be renewed") && said(line)).await;
    assert_eq!(desk.client().shown(&edge, NAME).await, old.certificate, "what is broken is not served");

    let new = desk.write("shop.pem", &[NAME]);
    let expected = new.certificate.clone();
    in_time("the new one to be served", async {
        while desk.client().shown(&edge, NAME).await != expected {
            tokio::time::sleep(ms(5)).await;
        }
    })
    .await;
    assert_eq!(kept.ask(get("/after")).await.status(), 200);
    let told = &edge.gateway.certificates()[0];
    assert_eq!((told.names.as_slice(), told.source.as_str()), (&[NAME.to_owned()][..], &*desk.path("shop.pem").to_string_lossy()));
}

#[tokio::test]
async fn clients_show_a_certificate_that_is_believed_or_are_turned_away() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let (known, stranger) = (desk.sign(&["client"]), Desk::new().sign(&["client"]));
    let origin = Origin::named("x").await;
    for optional in [false, true] {
        let authorities = desk.authority();
        let edge = Edge::with(
            desk.serving(&["shop.pem"], |config, _| config.clients = Some(ClientCertificates { authorities, optional })),
            &[&origin],
        )
        .await;
        let forged =
            "GET /x HTTP/1.1\r\nhost: a\r\nClient-Cert: :Zm9yZ2Vk:\r\nClient_Cert: :Zm9yZ2Vk:\r\nclient-cert-chain: :Zm9yZ2Vk:\r\n\r\n";
        let mut client = desk.client_with(&known).connect(&edge, NAME).await;
        assert_eq!(client.ask(forged).await.status(), 200);
        let request = origin.requests().pop().unwrap();
        let shown = request.field("client-cert").unwrap().to_owned();
        assert_eq!(decoded(&shown), known.certificate.to_vec());
        assert_eq!((request.all("client_cert"), request.all("client-cert-chain")), (vec![], vec![]));

        let shows = desk.client_with(&known);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let stream = shows.handshake(&edge, NAME).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
            assert_eq!(Peer::new(stream).ask(get("/x")).await.status(), 200);
            assert_eq!(origin.requests().pop().unwrap().field("client-cert"), Some(shown.as_str()), "{kind:?}");
        }

        let asked = origin.request_count();
        let strange = desk.client_with(&stranger).connect(&edge, NAME).await.try_ask(get("/x")).await;
        assert!(strange.is_none(), "{strange:?}");
        let mut nobody = desk.client().connect(&edge, NAME).await;
        if optional {
            assert_eq!(nobody.ask(forged).await.status(), 200);
            assert_eq!(origin.requests().pop().unwrap().field("client-cert"), None);
        } else {
            assert!(nobody.try_ask(get("/x")).await.is_none());
            assert_eq!(origin.request_count(), asked);
        }
        until("refusals to be counted", || failures(&edge, "client-certificate") == if optional { 1 } else { 2 }).await;
    }
}

#[tokio::test]
async fn the_log_says_whose_certificate_it_was_and_why_another_was_not_believed() {
    Log::listen();
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let authorities = desk.authority();
    let serving = desk.serving(&["shop.pem"], |config, _| config.clients = Some(ClientCertificates { authorities, optional: false }));
    let plan = |plan: &mut Plan| {
        serving(plan);
        plan.config.access_log = AccessLog { lines: Lines::All, query: false };
    };
    let edge = Edge::with(plan, &[&origin]).await;
    let known = desk.sign(&["billing.internal"]);
    assert_eq!(desk.client_with(&known).connect(&edge, NAME).await.ask(get("/certified")).await.status(), 200);
    let line = Log::of("/certified").await;
    assert!(line["client.certificate"].as_str().is_some_and(|subject| !subject.is_empty()), "{line}");
    let stranger = Desk::new().sign(&["client"]);
    assert!(desk.client_with(&stranger).connect(&edge, NAME).await.try_ask(get("/x")).await.is_none());
    let line = Log::line(|line| line["setting"] == "gateway.tls.client_ca").await;
    assert_eq!(line["client.ip"], "127.0.0.1");
    assert!(line["reason"].as_str().unwrap().contains("certificate"), "{line}");
}

fn decoded(sequence: &str) -> Vec<u8> {
    use base64::Engine;
    let inner = sequence.strip_prefix(':').and_then(|rest| rest.strip_suffix(':')).unwrap();
    base64::engine::general_purpose::STANDARD.decode(inner).unwrap()
}

#[tokio::test]
async fn whoever_is_struck_from_the_authorities_is_turned_away_from_then_on() {
    Log::listen();
    let (desk, other) = (Desk::new(), Desk::new());
    desk.write("shop.pem", &[NAME]);
    let (known, late) = (desk.sign(&["client"]), other.sign(&["client"]));
    let origin = Origin::named("x").await;
    let clients = ClientCertificates { authorities: desk.authority(), optional: false };
    let edge = Edge::with(desk.serving(&["shop.pem"], |config, _| config.clients = Some(clients)), &[&origin]).await;
    let (known, late) = (desk.client_with(&known), desk.client_with(&late));
    let comes_in = async |client: &Client| client.connect(&edge, NAME).await.try_ask(get("/x")).await.is_some();
    assert!(comes_in(&known).await && !comes_in(&late).await);

    desk.replace("authority.pem", "half of somethi");
    let file = desk.authority().to_string_lossy().into_owned();
    let said = |line: &serde_json::Value| line["error"].as_str().is_some_and(|error| error.contains(&file));
    Log::line(|line| line["message"].as_str().unwrap().starts_with("the authorities of client certificates stay") && said(line)).await;
    assert!(comes_in(&known).await && !comes_in(&late).await, "what is broken changes nothing");

    desk.replace("authority.pem", &std::fs::read_to_string(other.authority()).unwrap());
    in_time("the new authority to be believed", async { while !comes_in(&late).await {} }).await;
    assert!(!comes_in(&known).await, "its ticket is of no use any more");
}

#[tokio::test]
async fn what_is_under_way_for_a_certificate_survives_a_reload_of_the_same_settings() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let config = desk.config(&["shop.pem"]);
    let server = Server::start(config.clone()).unwrap();
    let (ended, mut source_ends) = tokio::sync::mpsc::channel::<()>(1);
    server.supply(|store| async move {
        store.put_answer("token-1", Some("token-1.thumbprint"));
        std::future::pending::<()>().await;
        drop(ended);
    });
    let edge = Edge::with(move |plan| plan.config.tls = Some(server), &[&origin]).await;
    let answer = async || edge.get("/.well-known/acme-challenge/token-1").await.text().to_owned();
    let asked = async || while answer().await != "token-1.thumbprint" {};
    in_time("the source to begin", asked()).await;

    desk.replace("shop.pem", "half of somethi");
    assert!(edge.gateway.tls_server().unwrap().renewed(config.clone()).is_err(), "a reload tells what is wrong");
    let renewed = desk.write("shop.pem", &[NAME]);
    let after = edge.gateway.tls_server().unwrap().renewed(tls::Config { hsts: Some(Duration::from_secs(1)), ..config }).unwrap();
    edge.reload(|plan| plan.config.tls = Some(after)).await;
    assert_eq!(answer().await, "token-1.thumbprint");
    assert!(source_ends.try_recv() == Err(tokio::sync::mpsc::error::TryRecvError::Empty), "the order goes on");
    assert_eq!(desk.client().shown(&edge, NAME).await, renewed.certificate, "without waiting for the next look");
    let mut client = desk.client().connect(&edge, NAME).await;
    assert_eq!(client.ask(get("/x")).await.field("strict-transport-security"), Some("max-age=1"));

    let other = Server::start(desk.config(&["shop.pem"])).unwrap();
    edge.reload(|plan| plan.config.tls = Some(other)).await;
    assert_eq!(in_time("the source to be ended by other settings", source_ends.recv()).await, None);
}

#[tokio::test]
async fn nobody_can_claim_a_client_certificate_where_none_is_asked_for() {
    let origin = Origin::named("x").await;
    let trusting = |plan: &mut Plan| plan.config.trusted_proxies = TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let edge = Edge::with(trusting, &[&origin]).await;
    edge.ask("GET /x HTTP/1.1\r\nhost: a\r\nClient-Cert: :Zm9yZ2Vk:\r\n\r\n").await;
    assert_eq!(origin.only_request().all("client-cert"), Vec::<&str>::new());
}

#[tokio::test]
async fn sessions_are_resumed_and_survive_a_reload_on_the_same_terms_only() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, _| {}), &[&origin]).await;
    let client = desk.client();
    let kind = async || {
        let stream = client.handshake(&edge, NAME).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        // The ticket comes behind the handshake, before the first answer.
        Peer::new(stream).ask(get("/x")).await;
        kind
    };
    assert_eq!([kind().await, kind().await], [Some(HandshakeKind::Full), Some(HandshakeKind::Resumed)]);
    let mut config = desk.config(&["shop.pem"]);
    edge.reload(|plan| plan.config.tls = Some(Server::start(config.clone()).unwrap())).await;
    assert_eq!(kind().await, Some(HandshakeKind::Resumed));
    config.version_min = Version::Tls13;
    edge.reload(|plan| plan.config.tls = Some(Server::start(config).unwrap())).await;
    assert_eq!(kind().await, Some(HandshakeKind::Full));
    assert_eq!((edge.gateway.tls().handshakes_full_total, edge.gateway.tls().handshakes_resumed_total), (2, 2));
}

#[tokio::test]
async fn whoever_checks_a_challenge_sees_its_certificate_and_speaks_no_http() {
    let desk = Desk::new();
    let usual = desk.write("shop.pem", &[NAME]);
    let challenge = desk.sign(&[NAME]);
    let origin = Origin::named("x").await;
    let server = Server::start(desk.config(&["shop.pem"])).unwrap();
    let handle = server.clone();
    let edge = Edge::with(move |plan| plan.config.tls = Some(server), &[&origin]).await;
    let checker = desk.client().speaking(&["acme-tls/1"]);
    assert!(checker.handshake(&edge, NAME).await.is_err(), "no challenge is under way");
    handle.store().put_challenge(NAME, Some(challenge.as_certificate().into()));
    let mut stream = checker.handshake(&edge, NAME).await.unwrap();
    assert_eq!(stream.get_ref().1.peer_certificates().unwrap()[0], challenge.certificate);
    let _ = in_time("the end", stream.read_u8()).await.unwrap_err();
    assert_eq!(desk.client().shown(&edge, NAME).await, usual.certificate);
    handle.store().put(Shelf::Files, Vec::new());
    assert!(desk.client().handshake(&edge, NAME).await.is_err());
    until("the lack to be counted", || failures(&edge, "no-certificate") >= 1).await;
}

#[tokio::test]
async fn whoever_checks_a_token_is_answered_on_the_plain_door_before_redirects_and_routes() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let server = Server::start(tls::Config { redirect: Redirect::ToDoor, ..desk.config(&["shop.pem"]) }).unwrap();
    let handle = server.clone();
    let edge = Edge::with(move |plan| plan.config.tls = Some(server), &[&origin]).await;
    let path = "/.well-known/acme-challenge/token-1";
    assert_eq!(edge.ask(get(path)).await.status(), 308, "not yet");
    handle.store().put_answer("token-1", Some("token-1.thumbprint"));
    let answer = edge.ask(get(path)).await;
    assert_eq!(
        (answer.status(), answer.text(), answer.field("content-type")),
        (200, "token-1.thumbprint", Some("application/octet-stream"))
    );
    for other in
        ["/.well-known/acme-challenge/token-2", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/token-1/x", "/token-1"]
    {
        assert_eq!(edge.ask(get(other)).await.status(), 308, "{other}");
    }
    let post = edge.ask(format!("POST {path} HTTP/1.1\r\nhost: {NAME}\r\ncontent-length: 0\r\n\r\n")).await;
    assert_eq!(post.status(), 308);
    assert_eq!(origin.request_count(), 0);
    assert_eq!(desk.client().connect(&edge, NAME).await.ask(get(path)).await.text(), "x", "encrypted, it is a path like any other");
    handle.store().put_answer("token-1", None);
    assert_eq!(edge.ask(get(path)).await.status(), 308, "no more");
}

#[tokio::test]
async fn a_drain_lets_encrypted_requests_finish_and_says_goodbye() {
    let desk = Desk::new();
    desk.write("shop.pem", &[NAME]);
    let origin = Origin::named("x").await;
    let edge = Edge::with(desk.serving(&["shop.pem"], |_, _| {}), &[&origin]).await;
    let mut idle = desk.client().connect(&edge, NAME).await;
    idle.ask(get("/x")).await;
    let half = TcpStream::connect(edge.tls_address()).await.unwrap();
    until("the half-open one to be held", || edge.gateway.edge().connections == 2).await;
    timeout(ms(3_000), edge.gateway.drain()).await.expect("nobody holds up a drain who has not even said hello");
    idle.closed_in_order().await;
    drop(half);
}
