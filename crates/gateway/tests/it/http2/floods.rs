//! Clients that make work of nothing: each is sent away soon, and nobody else notices.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use h2::client::Builder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Http2, next_data, request};
use super::frames::*;
use crate::edge::Edge;
use crate::origin::{Origin, ok};
use crate::peer::{in_time, ms, until};

const PROTOCOL_ERROR: u32 = 1;
const STREAM_CLOSED: u32 = 5;
const ENHANCE_YOUR_CALM: u32 = 11;
/// More than any client needs, and less than what would hurt: whoever gets so far has not been stopped.
const PIECES_MAX: usize = 400_000;

/// What is sent again and again, by its number.
type Piece<'a> = &'a dyn Fn(usize) -> Vec<u8>;

/// How a flood ended.
#[derive(Debug)]
struct Ended {
    /// How often it was sent, roughly: what was under way is counted too.
    pieces: usize,
    /// The code of the last GOAWAY, if the close did not overtake it.
    code: Option<u32>,
}

/// Sends pieces until the gateway ends the connection, and reads whatever comes.
async fn flood(edge: &Edge, opening: Vec<u8>, piece: impl Fn(usize) -> Vec<u8>) -> Ended {
    let stream = TcpStream::connect(edge.gateway.address()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let sent = AtomicUsize::new(0);
    let write = async {
        writing.write_all(&opening).await.unwrap();
        for first in (0..PIECES_MAX).step_by(50) {
            let pieces: Vec<u8> = (first..first + 50).flat_map(&piece).collect();
            if writing.write_all(&pieces).await.is_err() {
                break;
            }
            sent.fetch_add(50, Relaxed);
            // Others must get their turn on this thread.
            tokio::task::yield_now().await;
        }
        pending::<()>().await;
    };
    let read = async {
        let mut bytes = Vec::new();
        // A reset is an end, too.
        let _ = reading.read_to_end(&mut bytes).await;
        bytes
    };
    let mut bytes = tokio::select! {
        () = write => unreachable!("it waits for the other"),
        bytes = in_time("the gateway to end a flood", read) => bytes,
    };
    let frames = std::iter::from_fn(|| Frame::take(&mut bytes));
    let code = frames.filter(|frame| frame.kind == GOAWAY).last().and_then(|frame| frame.code());
    Ended { pieces: sent.into_inner(), code }
}

/// The connection is over, by the gateway's will, and the next client is served.
async fn assert_sent_away(edge: &Edge, what: &str, ended: &Ended) {
    assert!(ended.pieces < PIECES_MAX, "{what}: {ended:?}");
    assert!(ended.code.is_none_or(|code| [PROTOCOL_ERROR, STREAM_CLOSED, ENHANCE_YOUR_CALM].contains(&code)), "{what}: {ended:?}");
    until("its connection to be gone", || edge.gateway.edge().connections == 0).await;
    assert_eq!(Http2::connect(edge).await.get("/x").await.text(), "fine", "{what}");
}

#[tokio::test]
async fn frames_that_carry_nothing_end_the_connection() {
    let origin = Origin::named("fine").await;
    let edge = Edge::before(&[&origin]).await;
    let floods: [(&str, Vec<u8>, Vec<u8>); 8] = [
        ("PING (CVE-2019-9512)", opening(), frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS (CVE-2019-9515)", opening(), setting(4, 70_000)),
        ("PRIORITY (CVE-2019-9513)", opening(), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7])),
        ("WINDOW_UPDATE of the connection", opening(), frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("unknown frames", opening(), frame(0xbe, 0, 0, b"?")),
        ("empty DATA (CVE-2019-9518)", [opening(), post(1)].concat(), frame(DATA, 0, 1, &[])),
        ("acknowledged PINGs that nobody sent", opening(), frame(PING, ACK, 0, &[7; 8])),
        ("PINGs on a busy connection", [opening(), post(1)].concat(), frame(PING, 0, 0, &[7; 8])),
    ];
    for (what, opening, piece) in floods {
        let ended = flood(&edge, opening, |_| piece.clone()).await;
        assert_sent_away(&edge, what, &ended).await;
    }
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_are_few() {
    let begun = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&begun);
    let origin = Origin::start(move |mut visit| {
        let begun = Arc::clone(&counter);
        async move {
            while visit.request().await.is_some() {
                begun.fetch_add(1, Relaxed);
                visit.send(ok("fine")).await;
            }
        }
    })
    .await;
    let edge = Edge::before(&[&origin]).await;
    let stream = |number: usize| 2 * u32::try_from(number).unwrap() + 1;
    // CVE-2023-44487, and the same with the reset provoked from this side (CVE-2025-8671): a window that overflows, a body after its end.
    let floods: [(&str, Piece<'_>); 3] = [
        ("rapid reset", &|number| [get(stream(number)), frame(RST_STREAM, 0, stream(number), &[0, 0, 0, 8])].concat()),
        ("provoked by a window", &|number| [get(stream(number)), frame(WINDOW_UPDATE, 0, stream(number), &[0; 4])].concat()),
        ("provoked by data", &|number| [get(stream(number)), frame(DATA, 0, stream(number), b"x")].concat()),
    ];
    for (what, piece) in floods {
        begun.store(0, Relaxed);
        let ended = flood(&edge, opening(), piece).await;
        assert_sent_away(&edge, what, &ended).await;
        println!("{what}: {ended:?}, {} were worked on", begun.load(Relaxed));
        assert!(begun.load(Relaxed) < 1_000, "{what}: {} were worked on", begun.load(Relaxed));
    }
}

#[tokio::test]
async fn a_head_that_never_ends_or_unpacks_to_much_more_is_not_kept() {
    let origin = Origin::named("fine").await;
    let edge = Edge::before(&[&origin]).await;
    let first = frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/x")));
    // CVE-2024-27316: CONTINUATION without an end, with fields and without.
    for piece in [block(&[("x", "y")]), Vec::new(), vec![0, 1, b'x', 127, 0x80]] {
        let ended = flood(&edge, [opening(), first.clone()].concat(), |_| frame(CONTINUATION, 0, 1, &piece)).await;
        assert!(ended.pieces < PIECES_MAX, "{ended:?}");
        until("it to be gone", || edge.gateway.edge().connections == 0).await;
    }
    // One field of 4 KB enters the table; then a byte stands for all of it, ten thousand times.
    let bomb = {
        let mut block = block(&asking("GET", "/x"));
        let value = "v".repeat(4_000);
        block.extend([0x40, 1, b'b', 127, 0xa1, 0x1e]);
        block.extend_from_slice(value.as_bytes());
        block.extend([0xbe; 10_000]);
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &block)
    };
    let ended = flood(&edge, opening(), |_| bomb.clone()).await;
    assert_sent_away(&edge, "a header bomb", &ended).await;
    assert_eq!(origin.request_count(), 1, "only the honest one");
}

#[tokio::test]
async fn more_streams_than_are_allowed_are_refused_and_the_others_go_on() {
    const ALLOWED: u32 = 128;
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        pending::<()>().await;
    })
    .await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let mut client = edge.connect().await;
    let more = 20;
    let streams: Vec<u8> = (0..ALLOWED + more).flat_map(|number| get(2 * number + 1)).collect();
    client.send([opening(), streams].concat()).await;
    let mut bytes = Vec::new();
    let mut refused = Vec::new();
    in_time("the refusals", async {
        while refused.len() < more as usize {
            bytes.extend(client.exactly(1).await.unwrap());
            if let Some(frame) = Frame::take(&mut bytes).filter(|frame| frame.kind == RST_STREAM) {
                assert_eq!(frame.code(), Some(7), "REFUSED_STREAM: it may be sent again");
                refused.push(frame.stream);
            }
        }
    })
    .await;
    assert!(refused.iter().all(|stream| *stream > 2 * ALLOWED - 2), "{refused:?}");
    until("the others to be under way", || origin.request_count() == ALLOWED as usize).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_what_it_asked_for_is_sent_away_and_costs_little_until_then() {
    let origin = Origin::endless("").await;
    let edge = Edge::with(
        |plan| {
            plan.config.timeouts.write_idle = ms(150);
            plan.config.timeouts.idle = ms(150);
        },
        &[&origin],
    )
    .await;
    // Windows as wide as they can be, so that nothing but the socket holds anything back.
    let mut client = edge.connect_narrow().await;
    let streams: Vec<u8> = (0..20).flat_map(|number| get(2 * number + 1)).collect();
    let wide = [setting(4, (1 << 31) - 1), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])].concat();
    client.send([opening(), wide, streams].concat()).await;
    until("all to be under way", || origin.request_count() == 20).await;
    until("every instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
    until("the connection to be gone", || edge.gateway.edge().connections == 0).await;
}

/// Pings without reading the answers: the gateway stops reading, so nothing piles up, and the idle limit ends it.
#[tokio::test]
async fn answers_that_nobody_reads_do_not_pile_up() {
    let origin = Origin::named("fine").await;
    let edge = Edge::with(|plan| plan.config.timeouts.idle = ms(200), &[&origin]).await;
    let mut client = edge.connect_narrow().await;
    client.send(opening()).await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(100);
    in_time("the connection to be gone", async {
        while edge.gateway.edge().connections > 0 {
            let _ = tokio::time::timeout(ms(10), client.stream.write_all(&pings)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_window_that_opens_by_the_byte_is_too_slow() {
    let origin = Origin::start(|mut visit| async move {
        visit.request().await;
        visit.send("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n").await;
        visit.send(vec![b'x'; 100_000]).await;
        visit.peer.rest().await;
    })
    .await;
    let edge = Edge::with(
        |plan| {
            plan.config.limits.answer_bytes_per_second_min = 1_000;
            plan.config.timeouts.pace_window = ms(200);
        },
        &[&origin],
    )
    .await;
    let client = Http2::connect_with(&edge, Builder::new().initial_window_size(1)).await;
    let (response, _) = client.begin(request("GET", "/x"), true);
    let mut body = in_time("the head", response).await.unwrap().into_body();
    let error = in_time("the stream to be given up", async {
        loop {
            // Each byte that is taken opens the window for one more.
            if let Err(error) = next_data(&mut body).await.expect("it must not look like an end") {
                return error;
            }
            tokio::time::sleep(ms(20)).await;
        }
    })
    .await;
    assert_eq!(error.reason(), Some(h2::Reason::CANCEL));
    until("the instance to be set free", || edge.gateway.instances()[0].in_flight == 0).await;
}
