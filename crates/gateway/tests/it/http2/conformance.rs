//! RFC 9113 and RFC 7541, point by point, as h2spec 2.6 tests them, written anew: what must be answered, what ends a stream, what ends the connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frames::*;
use crate::edge::Edge;
use crate::origin::Origin;
use crate::peer::{PATIENCE, ms};

const PROTOCOL: u32 = 1;
const FLOW_CONTROL: u32 = 3;
const CLOSED: u32 = 5;
const SIZE: u32 = 6;
const COMPRESSION: u32 = 9;
const REFUSED: u32 = 7;

/// What must follow.
#[derive(Clone, Copy, Debug)]
enum Must {
    /// The request on stream 1 is answered.
    Answer,
    /// A PING that was sent last is answered: all before it was taken or ignored.
    Pong,
    /// The stream is reset with one of these, or refused with a status of 400 to 499; ending the connection is allowed.
    Reset(&'static [u32]),
    /// The connection ends, with one of these if it says why.
    GoAway(&'static [u32]),
}

/// What came, until the connection ended or nothing more did.
struct Seen {
    frames: Vec<Frame>,
    is_closed: bool,
}

async fn exchange(edge: &Edge, sent: &[u8], must: Must) -> Seen {
    let mut stream = TcpStream::connect(edge.gateway.address()).await.unwrap();
    // The gateway may close before it has read it all.
    let _ = stream.write_all(sent).await;
    let (mut bytes, mut frames, mut is_closed) = (Vec::new(), Vec::new(), false);
    let read = async {
        while !is_closed && !frames.iter().any(|frame| settles(frame, must)) {
            is_closed = !matches!(stream.read_buf(&mut bytes).await, Ok(1..));
            frames.extend(std::iter::from_fn(|| Frame::take(&mut bytes)));
        }
    };
    let _ = timeout(PATIENCE, read).await;
    Seen { frames, is_closed }
}

/// Whether this frame is what was waited for. The end of a connection is waited for to the end.
fn settles(frame: &Frame, must: Must) -> bool {
    match must {
        Must::Answer => frame.kind == HEADERS && frame.stream == 1,
        Must::Pong => frame.kind == PING && frame.flags == ACK && frame.payload == PONG,
        Must::Reset(_) => frame.kind == RST_STREAM || is_refusal(frame),
        Must::GoAway(_) => false,
    }
}

/// 400 stands in HPACK's own table; a refusal's status is the first field that is sent.
fn is_refusal(frame: &Frame) -> bool {
    frame.kind == HEADERS && frame.payload.first() == Some(&0x8c)
}

fn is_met(seen: &Seen, must: Must) -> bool {
    let codes = |kind| seen.frames.iter().filter(move |frame| frame.kind == kind).filter_map(Frame::code);
    match must {
        Must::Answer | Must::Pong => seen.frames.iter().any(|frame| settles(frame, must)),
        Must::Reset(allowed) => {
            let is_reset = codes(RST_STREAM).any(|code| allowed.contains(&code)) || seen.frames.iter().any(is_refusal);
            is_reset || codes(GOAWAY).any(|code| allowed.contains(&code)) || seen.is_closed
        }
        Must::GoAway(allowed) => seen.is_closed && codes(GOAWAY).all(|code| allowed.contains(&code)),
    }
}

const PONG: [u8; 8] = *b"and then";

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &PONG)
}

/// HEADERS that end both the head and the stream, of these fields.
fn asks(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))
}

fn asking_with(more: &[(&'static str, &'static str)]) -> Vec<u8> {
    asks(&[&asking("GET", "/x")[..], more].concat())
}

fn head() -> Vec<u8> {
    block(&asking("GET", "/x"))
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn priority(stream: u32, on: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &[&on.to_be_bytes()[..], &[7]].concat())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

type Case = (&'static str, Vec<Vec<u8>>, Must);

async fn check(cases: Vec<Case>) {
    let origin = Origin::named("fine").await;
    let edge = Edge::before(&[&origin]).await;
    let mut wrong = Vec::new();
    for (what, sent, must) in cases {
        let sent = if what.starts_with("3.4") { sent.concat() } else { [opening(), sent.concat()].concat() };
        let seen = exchange(&edge, &sent, must).await;
        if !is_met(&seen, must) {
            wrong.push(format!("{what}: wanted {must:?}, saw {:?}, closed: {}", seen.frames, seen.is_closed));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut next = edge.connect().await;
    assert_eq!(next.ask(crate::edge::get("/x")).await.text(), "fine", "the gateway has survived it all");
}

#[tokio::test]
async fn starting_and_framing() {
    use Must::{Answer, GoAway, Pong, Reset};
    check(vec![
        ("3.4 the preface and a request", vec![opening(), get(1)], Answer),
        ("3.4 another preface", vec![b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec()], GoAway(&[PROTOCOL])),
        ("3.4 no settings first", vec![PREFACE.to_vec(), ping(), frame(0, 0, 1, b"x")], GoAway(&[PROTOCOL])),
        ("4.1 an unknown kind of frame", vec![frame(0x16, 0, 0, b"?"), ping()], Pong),
        ("4.1 unknown flags", vec![frame(PING, 0x16 & !ACK, 0, &PONG)], Pong),
        ("4.1 the reserved bit", vec![frame(PING, 0, 1 << 31, &PONG)], Pong),
        ("4.2 the largest DATA", vec![post(1), frame(DATA, END_STREAM, 1, &[0; 16_384])], Answer),
        ("4.2 DATA too large", vec![post(1), frame(DATA, END_STREAM, 1, &[0; 16_385])], Reset(&[SIZE])),
        ("4.2 HEADERS too large", vec![frame(HEADERS, 5, 1, &[head(), block(&[("x", &"y".repeat(16_384))])].concat())], GoAway(&[SIZE])),
        ("4.3 a block that is none", vec![frame(HEADERS, 5, 1, &[0xff; 8])], GoAway(&[COMPRESSION, PROTOCOL])),
        ("4.3 PRIORITY within a head", vec![frame(HEADERS, END_STREAM, 1, &head()), priority(3, 0)], GoAway(&[PROTOCOL])),
        ("4.3 another stream within a head", vec![frame(HEADERS, END_STREAM, 1, &head()), get(3)], GoAway(&[PROTOCOL])),
        ("5.5 an unknown frame within a head", vec![frame(HEADERS, END_STREAM, 1, &head()), frame(0x16, 0, 1, b"?")], GoAway(&[PROTOCOL])),
    ])
    .await;
}

#[tokio::test]
async fn states_of_streams() {
    use Must::{GoAway, Pong, Reset};
    let after_end = |then: Vec<u8>| vec![get(1), then];
    let after_reset = |then: Vec<u8>| vec![post(1), reset(1), then];
    let streams = (0..130).map(|number| frame(HEADERS, END_HEADERS, 2 * number + 1, &block(&asking("POST", "/x")))).collect();
    check(vec![
        ("5.1 DATA on an idle stream", vec![frame(DATA, END_STREAM, 1, b"x")], GoAway(&[PROTOCOL])),
        ("5.1 RST_STREAM on an idle stream", vec![reset(1)], GoAway(&[PROTOCOL])),
        ("5.1 WINDOW_UPDATE on an idle stream", vec![window(1, 100)], GoAway(&[PROTOCOL])),
        ("5.1 CONTINUATION on an idle stream", vec![frame(CONTINUATION, END_HEADERS, 1, &head())], GoAway(&[PROTOCOL])),
        ("5.1 DATA after the end", after_end(frame(DATA, END_STREAM, 1, b"x")), Reset(&[CLOSED])),
        ("5.1 HEADERS after the end", after_end(get(1)), Reset(&[CLOSED])),
        ("5.1 CONTINUATION after the end", after_end(frame(CONTINUATION, END_HEADERS, 1, &head())), GoAway(&[CLOSED, PROTOCOL])),
        ("5.1 DATA after a reset", after_reset(frame(DATA, END_STREAM, 1, b"x")), Reset(&[CLOSED])),
        ("5.1 HEADERS after a reset", after_reset(get(1)), Reset(&[CLOSED])),
        ("5.1 CONTINUATION after a reset", after_reset(frame(CONTINUATION, END_HEADERS, 1, &head())), GoAway(&[CLOSED, PROTOCOL])),
        ("5.1.1 an even number", vec![get(2)], GoAway(&[PROTOCOL])),
        ("5.1.1 a number that goes back", vec![get(5), get(3)], GoAway(&[PROTOCOL])),
        ("5.1.2 too many streams", streams, Reset(&[PROTOCOL, REFUSED])),
        (
            "5.3.1 HEADERS that depend on themselves",
            vec![frame(HEADERS, 37, 1, &[&[0, 0, 0, 1, 7][..], &head()].concat())],
            Reset(&[PROTOCOL]),
        ),
        ("5.3.1 PRIORITY that depends on itself", vec![priority(1, 1)], Reset(&[PROTOCOL])),
        ("5.4.1 GOAWAY before the end", vec![frame(DATA, 0, 0, b"x")], GoAway(&[PROTOCOL])),
        ("7 a reset for an unknown reason", vec![post(1), frame(RST_STREAM, 0, 1, &[0, 0, 0, 0xff]), ping()], Pong),
        ("7 a GOAWAY for an unknown reason", vec![frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 0xff])], GoAway(&[0, 0xff])),
    ])
    .await;
}

#[tokio::test]
async fn kinds_of_frames_about_streams_and_settings() {
    use Must::{Answer, GoAway, Pong, Reset};
    check(vec![
        ("6.1 DATA on stream 0", vec![frame(DATA, 0, 0, b"x")], GoAway(&[PROTOCOL])),
        ("6.1 DATA of nothing but too much padding", vec![post(1), frame(DATA, PADDED, 1, &[9, 0])], GoAway(&[PROTOCOL])),
        ("6.2 HEADERS on stream 0", vec![get(0)], GoAway(&[PROTOCOL])),
        (
            "6.2 HEADERS of nothing but too much padding",
            vec![frame(HEADERS, 5 | PADDED, 1, &[&[99][..], &head()].concat())],
            GoAway(&[PROTOCOL]),
        ),
        (
            "6.2 HEADERS with padding and priority",
            vec![frame(HEADERS, 5 | PADDED | PRIORITISED, 1, &[&[1, 0, 0, 0, 0, 7][..], &head(), &[0]].concat())],
            Answer,
        ),
        ("6.3 PRIORITY on stream 0", vec![priority(0, 1)], GoAway(&[PROTOCOL])),
        ("6.3 PRIORITY of another length", vec![frame(PRIORITY, 0, 1, &[0; 4])], Reset(&[SIZE, PROTOCOL])),
        ("6.3 PRIORITY of an idle stream", vec![priority(1, 0), get(1)], Answer),
        ("6.4 RST_STREAM on stream 0", vec![reset(0)], GoAway(&[PROTOCOL])),
        ("6.4 RST_STREAM of another length", vec![post(1), frame(RST_STREAM, 0, 1, &[0; 3])], GoAway(&[SIZE, PROTOCOL])),
        ("6.5 SETTINGS acknowledged with contents", vec![frame(SETTINGS, ACK, 0, &[0])], GoAway(&[SIZE, PROTOCOL])),
        ("6.5 SETTINGS on a stream", vec![frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 9])], GoAway(&[PROTOCOL])),
        ("6.5 SETTINGS of another length", vec![frame(SETTINGS, 0, 0, &[0, 3, 0])], GoAway(&[SIZE, PROTOCOL])),
        ("6.5.2 pushes neither on nor off", vec![setting(2, 2)], GoAway(&[PROTOCOL])),
        ("6.5.2 a window beyond all bounds", vec![setting(4, 1 << 31)], GoAway(&[FLOW_CONTROL, PROTOCOL])),
        ("6.5.2 frames too small", vec![setting(5, 16_383)], GoAway(&[PROTOCOL])),
        ("6.5.2 frames too large", vec![setting(5, 1 << 24)], GoAway(&[PROTOCOL])),
        ("6.5.2 a setting that nobody knows", vec![setting(0xff, 1), ping()], Pong),
    ])
    .await;
}

#[tokio::test]
async fn kinds_of_frames_about_connections_and_windows() {
    use Must::{Answer, GoAway, Pong, Reset};
    let in_pieces = |stream, kind, flags| frame(kind, flags, stream, &block(&[("x", "y")]));
    check(vec![
        (
            "6.6 PUSH_PROMISE by a client",
            vec![post(1), frame(PUSH_PROMISE, END_HEADERS, 1, &[&[0, 0, 0, 2][..], &head()].concat())],
            GoAway(&[PROTOCOL]),
        ),
        ("6.7 PING", vec![ping()], Pong),
        ("6.7 an answer to no PING", vec![frame(PING, ACK, 0, &[1; 8]), ping()], Pong),
        ("6.7 PING on a stream", vec![frame(PING, 0, 1, &PONG)], GoAway(&[PROTOCOL])),
        ("6.7 PING of another length", vec![frame(PING, 0, 0, &[0; 7])], GoAway(&[SIZE, PROTOCOL])),
        ("6.8 GOAWAY on a stream", vec![frame(GOAWAY, 0, 1, &[0; 8])], GoAway(&[PROTOCOL])),
        ("6.9 a connection's window opened by nothing", vec![window(0, 0)], GoAway(&[PROTOCOL])),
        ("6.9 a stream's window opened by nothing", vec![post(1), window(1, 0)], Reset(&[PROTOCOL])),
        ("6.9 WINDOW_UPDATE of another length", vec![frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1])], GoAway(&[SIZE, PROTOCOL])),
        (
            "6.9.1 a connection's window beyond all bounds",
            vec![window(0, (1 << 31) - 1), window(0, (1 << 31) - 1)],
            GoAway(&[FLOW_CONTROL]),
        ),
        (
            "6.9.1 a stream's window beyond all bounds",
            vec![post(1), window(1, (1 << 31) - 1), window(1, (1 << 31) - 1)],
            Reset(&[FLOW_CONTROL]),
        ),
        (
            "6.9.2 a window that was made too wide by settings",
            vec![post(1), window(1, (1 << 31) - 65_536), setting(4, 70_000)],
            GoAway(&[FLOW_CONTROL]),
        ),
        (
            "6.10 a head in three",
            vec![frame(HEADERS, END_STREAM, 1, &head()), in_pieces(1, CONTINUATION, 0), in_pieces(1, CONTINUATION, END_HEADERS)],
            Answer,
        ),
        (
            "6.10 CONTINUATION on stream 0",
            vec![frame(HEADERS, END_STREAM, 1, &head()), in_pieces(0, CONTINUATION, END_HEADERS)],
            GoAway(&[PROTOCOL]),
        ),
        (
            "6.10 CONTINUATION after the end of a head",
            vec![frame(HEADERS, END_HEADERS, 1, &head()), in_pieces(1, CONTINUATION, END_HEADERS)],
            GoAway(&[PROTOCOL]),
        ),
        ("6.10 DATA within a head", vec![frame(HEADERS, 0, 1, &head()), frame(DATA, END_STREAM, 1, b"x")], GoAway(&[PROTOCOL])),
    ])
    .await;
}

#[tokio::test]
async fn fields_of_requests() {
    use Must::{Answer, Reset};
    let malformed = Reset(&[PROTOCOL]);
    let trailers = |fields: &[(&str, &str)]| vec![post(1), frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(fields))];
    let without = |name: &str| asks(&asking("GET", "/x").into_iter().filter(|(each, _)| *each != name).collect::<Vec<_>>());
    let sized = |length: &'static str| {
        let fields = [&asking("POST", "/x")[..], &[("content-length", length)]].concat();
        frame(HEADERS, END_HEADERS, 1, &block(&fields))
    };
    check(vec![
        ("8.1 trailers that do not end the stream", vec![post(1), frame(HEADERS, END_HEADERS, 1, &block(&[("x", "y")]))], malformed),
        ("8.1 trailers", trailers(&[("x", "y")]), Answer),
        // The library passes over them; nothing of them goes on.
        ("8.1 pseudo-fields in trailers", trailers(&[(":method", "GET")]), Answer),
        ("8.1.1 a body shorter than announced", vec![sized("2"), frame(DATA, END_STREAM, 1, b"x")], malformed),
        ("8.1.1 a body longer than announced", vec![sized("1"), frame(DATA, 0, 1, b"x"), frame(DATA, END_STREAM, 1, b"x")], malformed),
        ("8.1.1 a body as announced", vec![sized("2"), frame(DATA, 0, 1, b"x"), frame(DATA, END_STREAM, 1, b"x")], Answer),
        ("8.2 a name in upper case", vec![asking_with(&[("X-Test", "y")])], malformed),
        ("8.2.2 connection", vec![asking_with(&[("connection", "keep-alive")])], malformed),
        ("8.2.2 keep-alive", vec![asking_with(&[("keep-alive", "5")])], malformed),
        ("8.2.2 proxy-connection", vec![asking_with(&[("proxy-connection", "close")])], malformed),
        ("8.2.2 upgrade", vec![asking_with(&[("upgrade", "websocket")])], malformed),
        ("8.2.2 transfer-encoding", vec![asking_with(&[("transfer-encoding", "chunked")])], malformed),
        ("8.2.2 te with more than trailers", vec![asking_with(&[("te", "trailers, deflate;q=0.5")])], malformed),
        ("8.2.2 te: trailers", vec![asking_with(&[("te", "trailers")])], Answer),
        ("8.3 an unknown pseudo-field", vec![asking_with(&[(":test", "ok")])], malformed),
        ("8.3 a pseudo-field of answers", vec![asking_with(&[(":status", "200")])], malformed),
        (
            "8.3 a pseudo-field after others",
            vec![asks(&[(":method", "GET"), (":path", "/x"), (":authority", "a"), ("x", "y"), (":scheme", "http")])],
            malformed,
        ),
        ("8.3.1 an empty path", vec![asks(&[(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "")])], malformed),
        ("8.3.1 no method", vec![without(":method")], malformed),
        ("8.3.1 no scheme", vec![without(":scheme")], malformed),
        ("8.3.1 no path", vec![without(":path")], malformed),
        ("8.3.1 two methods", vec![asking_with(&[(":method", "GET")])], malformed),
        ("8.3.1 two schemes", vec![asking_with(&[(":scheme", "http")])], malformed),
        ("8.3.1 two paths", vec![asking_with(&[(":path", "/x")])], malformed),
        ("8.3.1 two authorities", vec![asking_with(&[(":authority", "a")])], malformed),
    ])
    .await;
}

#[tokio::test]
async fn compressed_heads() {
    use Must::GoAway;
    check(vec![
        (
            "7541 2.3.3 an index beyond the table",
            vec![frame(HEADERS, 5, 1, &[head(), vec![0xc6]].concat())],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
        (
            "7541 4.2 a size of the table after fields",
            vec![frame(HEADERS, 5, 1, &[head(), vec![0x20]].concat())],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
        (
            "7541 5.2 padding of more than seven bits",
            vec![frame(HEADERS, 5, 1, &[head(), vec![0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff]].concat())],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
        (
            "7541 5.2 padding of zeros",
            vec![frame(HEADERS, 5, 1, &[head(), vec![0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x83, 0x49, 0x50, 0x90]].concat())],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
        (
            "7541 5.2 the end of a string within it",
            vec![frame(
                HEADERS,
                5,
                1,
                &[head(), vec![0, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x87, 0x49, 0x51, 0xff, 0xff, 0xff, 0xfa, 0x7f]].concat(),
            )],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
        ("7541 6.1 index 0", vec![frame(HEADERS, 5, 1, &[head(), vec![0x80]].concat())], GoAway(&[COMPRESSION, PROTOCOL])),
        (
            "7541 6.3 a table larger than allowed",
            vec![frame(HEADERS, 5, 1, &[vec![0x3f, 0xe2, 0x1f], head()].concat())],
            GoAway(&[COMPRESSION, PROTOCOL]),
        ),
    ])
    .await;
}

/// Flow control is the client's to rule: what is sent fits into its window, whatever becomes of that.
#[tokio::test]
async fn answers_keep_to_the_window_however_it_changes() {
    let origin = Origin::named("fine").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send([opening(), setting(4, 1), get(1)].concat()).await;
    let mut bytes = Vec::new();
    let mut data = Vec::new();
    let steps = [setting(4, 0), window(1, 1), setting(4, 10)];
    for (step, allowed) in std::iter::once(None).chain(steps.into_iter().map(Some)).zip([1, 1, 1, 4]) {
        if let Some(step) = step {
            client.send(step).await;
        }
        let _ = timeout(ms(150), async {
            loop {
                bytes.extend(client.exactly(1).await.unwrap());
                data.extend(Frame::take(&mut bytes).filter(|frame| frame.kind == DATA).into_iter().flat_map(|frame| frame.payload));
            }
        })
        .await;
        assert_eq!(data.len(), allowed, "{data:?}");
    }
    assert_eq!(data, b"fine");
}

/// Who is told to go knows which of its streams were served: the others may be sent again elsewhere (RFC 9113, section 6.8).
#[tokio::test]
async fn a_drain_says_which_stream_was_the_last() {
    let origin = Origin::named("fine").await;
    let edge = Edge::before(&[&origin]).await;
    let mut client = edge.connect().await;
    client.send([opening(), get(1), get(3), get(5)].concat()).await;
    let mut bytes = Vec::new();
    let mut frames = Vec::new();
    let mut until_frame = async |kind: u8, client: &mut crate::peer::Peer, times: usize| {
        let mut last = None;
        for _ in 0..times {
            last = loop {
                bytes.extend(client.exactly(1).await.unwrap());
                let Some(frame) = Frame::take(&mut bytes) else { continue };
                frames.push(frame.clone());
                if frame.kind == kind {
                    break Some(frame);
                }
            };
        }
        last.unwrap()
    };
    until_frame(HEADERS, &mut client, 3).await;
    let goodbye = async {
        let notice = until_frame(GOAWAY, &mut client, 1).await;
        assert_eq!(notice.payload[..4], [0x7f, 0xff, 0xff, 0xff], "first a notice, which takes nothing back");
        let shutdown = until_frame(PING, &mut client, 1).await;
        client.send(frame(PING, ACK, 0, &shutdown.payload)).await;
        let last = until_frame(GOAWAY, &mut client, 1).await;
        assert_eq!((&last.payload[..4], last.code()), (&[0, 0, 0, 5][..], Some(0)));
    };
    tokio::join!(edge.gateway.drain(), goodbye);
}
