//! Which answers are compressed and what their heads say then; that the bytes survive it.

#[path = "../../tests/it/decode.rs"]
mod decode;

use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use plimsoll_policy::content_coding::Coding::{Brotli, Gzip, Zstd};
use proptest::prelude::*;

use super::*;
use crate::message::{BodyStream, Frame, RequestBody};
use decode::decoded;

const LEVELS: Levels = Levels { zstd: 3, brotli: 4, gzip: 6 };

fn config() -> Config {
    Config::new(Coding::ALL.to_vec(), LEVELS, MediaTypes::new(["text/*", "application/json"]).unwrap(), 100, 8)
}

fn headers(fields: &str) -> Headers {
    let mut headers = Headers::default();
    for line in fields.lines() {
        let (name, value) = line.trim().split_once(": ").unwrap();
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

fn request(method: Method, fields: &str) -> Request {
    Request {
        version: crate::message::Version::Http11,
        method,
        target: Bytes::from_static(b"/"),
        host: Bytes::from_static(b"a"),
        host_rewritten: None,
        headers: headers(fields),
        framing: Framing::None,
        body: RequestBody::empty(),
        upgrade: None,
        deadline: None,
    }
}

fn answer(status: u16, fields: &str, body: &[u8]) -> Response {
    let body = Bytes::copy_from_slice(body);
    let framing = Framing::Length(body.len() as u64);
    let head = ResponseHead::of_the_edge(StatusCode::from_u16(status).unwrap(), headers(fields), framing);
    Response { head, body: ResponseBody::Full(body) }
}

/// The fields of an answer, one a line.
fn fields(response: &Response) -> Vec<String> {
    let line = |(_, name, value): (_, &[u8], &[u8])| format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value));
    response.head.headers.iter().map(line).collect()
}

fn bytes(response: &Response) -> &[u8] {
    match &response.body {
        ResponseBody::Full(bytes) => bytes,
        _ => b"",
    }
}

#[test]
fn what_gets_smaller_is_compressed_and_what_must_not_be_touched_is_not() {
    const TEXT: &str = "content-type: text/plain";
    let body = "word ".repeat(100);
    let cases = [
        (200, "accept-encoding: gzip", TEXT, true),
        (201, "accept-encoding: gzip", TEXT, true),
        (404, "accept-encoding: gzip", TEXT, true),
        (500, "accept-encoding: gzip", TEXT, true),
        (200, "accept-encoding: gzip", "content-type: application/json; charset=utf-8", true),
        (200, "accept-encoding: gzip\ncache-control: no-cache", "content-type: text/plain\ncache-control: max-age=1", true),
        // Nothing says that a client takes it.
        (200, "accept: */*", TEXT, false),
        (200, "accept-encoding: identity", TEXT, false),
        (200, "accept-encoding: gzip;q=0", TEXT, false),
        // Somebody forbids it.
        (200, "accept-encoding: gzip\ncache-control: no-transform", TEXT, false),
        (200, "accept-encoding: gzip", "content-type: text/plain\nCache-Control: public, No-Transform", false),
        // It has been done.
        (200, "accept-encoding: gzip", "content-type: text/plain\ncontent-encoding: br", false),
        (200, "accept-encoding: gzip", "content-type: text/plain\ncontent-encoding: identity", false),
        // It is a part, or no content at all.
        (206, "accept-encoding: gzip", "content-type: text/plain\ncontent-range: bytes 0-499/900", false),
        (200, "accept-encoding: gzip", "content-type: text/plain\ncontent-range: bytes 0-499/900", false),
        (204, "accept-encoding: gzip", TEXT, false),
        (205, "accept-encoding: gzip", TEXT, false),
        (302, "accept-encoding: gzip", TEXT, false),
        // It would not get smaller.
        (200, "accept-encoding: gzip", "content-type: image/png", false),
        (200, "accept-encoding: gzip", "x-nothing: said", false),
    ];
    for (status, asked, said, expected) in cases {
        let mut response = answer(status, said, body.as_bytes());
        apply(&config(), None, &request(Method::GET, asked), &mut response);
        let coded = response.head.headers.first(Name::ContentEncoding) == Some(b"gzip");
        assert_eq!(coded, expected, "{status} {asked} {said}");
        if expected {
            assert_eq!(decoded(Gzip, bytes(&response)), body.as_bytes());
        } else {
            assert_eq!(bytes(&response), body.as_bytes());
        }
        assert_eq!(response.head.framing, Framing::Length(bytes(&response).len() as u64), "{status} {asked} {said}");
    }
}

#[test]
fn what_is_short_is_sent_as_it_is() {
    for (length, expected) in [(0, false), (99, false), (100, true)] {
        let mut response = answer(200, "content-type: text/plain", &vec![b'x'; length]);
        apply(&config(), None, &request(Method::GET, "accept-encoding: br"), &mut response);
        assert_eq!(response.head.headers.first(Name::ContentEncoding).is_some(), expected, "{length} bytes");
        assert_eq!(fields(&response).iter().any(|field| field.starts_with("vary")), expected, "{length} bytes");
    }
}

#[test]
fn the_head_says_what_is_true_of_the_coded_bytes() {
    let said = "content-type: text/plain\nContent-Length: 500\nETag: \"v1\"\nAccept-Ranges: bytes\nContent-MD5: x\nDigest: sha-256=x\n\
                Repr-Digest: sha-256=:x:\nContent-Digest: sha-256=:x:\nX-Other: stays\nVary: Origin";
    let mut response = answer(200, said, &[b'x'; 500]);
    apply(&config(), None, &request(Method::GET, "accept-encoding: zstd"), &mut response);
    assert_eq!(
        fields(&response),
        ["content-type: text/plain", "X-Other: stays", "vary: Origin, accept-encoding", "etag: W/\"v1\"", "content-encoding: zstd"]
    );
    let mut weak = answer(200, "content-type: text/plain\netag: W/\"v1\"", &[b'x'; 500]);
    apply(&config(), None, &request(Method::GET, "accept-encoding: zstd"), &mut weak);
    assert!(fields(&weak).contains(&"etag: W/\"v1\"".to_owned()));
}

#[test]
fn caches_are_told_also_where_the_client_took_no_coding() {
    let cases = [
        ("content-type: text/plain", Some("vary: accept-encoding")),
        ("content-type: text/plain\nvary: cookie\nvary: origin", Some("vary: cookie, origin, accept-encoding")),
        ("content-type: text/plain\nvary: Accept-Encoding", Some("vary: Accept-Encoding")),
        ("content-type: text/plain\nvary: origin, accept-encoding", Some("vary: origin, accept-encoding")),
        ("content-type: text/plain\nvary: *", Some("vary: *")),
        ("content-type: image/png", None),
        ("content-type: text/plain\ncontent-encoding: gzip", None),
    ];
    for (said, expected) in cases {
        let mut response = answer(200, said, &[b'x'; 500]);
        apply(&config(), None, &request(Method::GET, "accept: */*"), &mut response);
        let vary: Vec<_> = fields(&response).into_iter().filter(|field| field.starts_with("vary")).collect();
        assert_eq!(vary.iter().map(String::as_str).collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>(), "{said}");
    }
}

#[test]
fn the_answer_to_head_has_the_fields_of_the_answer_to_get() {
    let asked = "accept-encoding: gzip";
    let said = "content-type: text/plain\netag: \"v1\"\ncontent-length: 500";
    let mut head = answer(200, said, b"");
    (head.head.framing, head.body) = (Framing::None, ResponseBody::Empty);
    apply(&config(), None, &request(Method::HEAD, asked), &mut head);
    let mut get = answer(200, said, &[b'x'; 500]);
    apply(&config(), None, &request(Method::GET, asked), &mut get);
    assert_eq!(fields(&head), fields(&get));
    assert_eq!(head.head.framing, Framing::None, "how long it would be is not known");
}

#[test]
fn a_client_that_has_the_weakened_tag_hears_it_again() {
    for (known, expected) in [("W/\"v1\"", "etag: W/\"v1\""), ("\"v1\"", "etag: \"v1\""), ("W/\"v0\"", "etag: \"v1\"")] {
        let mut response = answer(304, "etag: \"v1\"", b"");
        response.head.framing = Framing::None;
        apply(&config(), None, &request(Method::GET, &format!("accept-encoding: gzip\nif-none-match: {known}")), &mut response);
        assert!(fields(&response).contains(&expected.to_owned()), "{known}: {:?}", fields(&response));
    }
}

#[test]
fn what_lasts_leaves_half_of_the_encoders_to_others() {
    let config = Config { encoders_max: 4, ..config() };
    let admitted = |lasts, tries| (0..tries).filter_map(|_| config.admit(lasts)).collect::<Vec<_>>();
    let lasting = admitted(true, 3);
    let brief = admitted(false, 3);
    assert_eq!((lasting.len(), brief.len()), (2, 2));
}

/// A megabyte that is all there at once, as a fast instance's is.
#[test]
fn others_get_a_turn_while_a_long_answer_is_compressed() {
    let plain = "word ".repeat(200_000).into_bytes();
    let config = config();
    let encoder = Encoder::new(Gzip, LEVELS, Length::Unknown);
    let mut body = Compressed::new(ResponseBody::Full(plain.clone().into()), encoder, config.admit(false).unwrap());
    let (mut coded, mut turns) = (Vec::new(), 0);
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match body.poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(Frame::Data(data)))) => coded.extend_from_slice(&data),
            Poll::Ready(Some(_)) => panic!("neither a fault nor trailers"),
            Poll::Ready(None) => break,
            Poll::Pending => turns += 1,
        }
    }
    assert!(decoded(Gzip, &coded) == plain);
    assert!(turns >= plain.len() / (16 * 1024), "{turns} turns for {} bytes", plain.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_bytes_come_through_and_none_waits_behind_a_flush(
        coding in prop::sample::select(vec![Zstd, Brotli, Gzip]),
        level in 1_u32..=9,
        pieces in prop::collection::vec((prop::collection::vec(prop::sample::select(b"aabcdefgh \n".to_vec()), 0..3_000), any::<bool>()), 0..8),
        is_long in any::<bool>(),
        length_is_known in any::<bool>(),
    ) {
        let pieces: Vec<_> = pieces.into_iter().map(|(piece, flush)| (if is_long { piece.repeat(20) } else { piece }, flush)).collect();
        let length = pieces.iter().map(|(piece, _)| piece.len() as u64).sum();
        let levels = Levels { zstd: level, brotli: level, gzip: level };
        let mut encoder = Encoder::new(coding, levels, if length_is_known { Length::Known(length) } else { Length::Unknown });
        let (mut plain, mut coded) = (Vec::new(), Vec::new());
        for (piece, flush) in &pieces {
            encoder.write(piece, &mut coded).unwrap();
            plain.extend_from_slice(piece);
            if *flush {
                encoder.flush(&mut coded).unwrap();
                prop_assert!(decoded(coding, &coded) == plain, "something was kept back");
            }
        }
        encoder.finish(&mut coded).unwrap();
        prop_assert!(decoded(coding, &coded) == plain);
    }

    #[test]
    fn a_short_body_in_one_piece_is_the_same(
        coding in prop::sample::select(vec![Zstd, Brotli, Gzip]),
        body in prop::collection::vec(any::<u8>(), 1..20_000),
    ) {
        let coded = Encoder::new(coding, LEVELS, Length::Known(body.len() as u64)).whole(&body);
        prop_assert!(decoded(coding, &coded) == body);
        prop_assert!(coded.len() < body.len() + 64, "what does not get smaller does not get much larger");
    }
}
