//! Every framing, torn at every place, and what is no answer at all.

use std::time::Duration;

use tokio::time::Instant;

use super::*;

/// The answer in `bytes`, fed in pieces of this size; `None` when it is not whole. And whether the connection lives on.
fn read(bytes: &[u8], piece: usize, to_head: bool) -> Result<(Option<Answered>, bool), &'static str> {
    let mut answer = Answer::new(to_head, None);
    for piece in bytes.chunks(piece) {
        answer.feed(piece, None)?;
    }
    Ok((answer.done(), answer.keeps_alive()))
}

#[test]
fn every_framing_ends_where_it_should_however_it_is_torn() {
    for (text, status, body_bytes, keeps_alive) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, 5, true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, 0, true),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, 0, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n", 304, 0, true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, 5, true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1;x=\"y\"\r\n\n\r\nA\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
            200,
            11,
            true,
        ),
        ("HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", 503, 2, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, 1, false),
        ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, 1, true),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            200,
            1,
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, 1, true),
    ] {
        for piece in [1, 2, 3, 7, 1000] {
            let (done, alive) = read(text.as_bytes(), piece, false).unwrap();
            assert_eq!((done, alive), (Some(Answered { status, body_bytes, is_fallback: false }), keeps_alive), "{text:?} by {piece}");
        }
        // One byte less is not whole, and one more makes the connection useless.
        assert_eq!(read(&text.as_bytes()[..text.len() - 1], 5, false).unwrap().0, None, "{text:?}");
        let (done, alive) = read(format!("{text}x").as_bytes(), 1000, false).unwrap();
        assert!(done.is_some() && !alive, "{text:?}");
    }
}

/// How long it takes, at best, to read a head of so many headers byte by byte.
fn time_to_read(headers: usize) -> Duration {
    let text = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\n\r\nok", format!("Field: {}\r\n", "x".repeat(480)).repeat(headers));
    let time = || {
        let started = Instant::now();
        assert!(read(text.as_bytes(), 1, false).unwrap().0.is_some());
        started.elapsed()
    };
    (0..5).map(|_| time()).min().unwrap()
}

#[test]
fn a_head_in_many_pieces_costs_no_more_than_its_length() {
    let (short, long) = (time_to_read(12), time_to_read(120));
    // Ten times as long; read anew with each piece it would cost a hundred times as much.
    assert!(long < short * 40, "{short:?} and {long:?}");
}

#[test]
fn blank_lines_before_an_answer_are_skipped() {
    for piece in [1, 2, 1000] {
        let (done, alive) = read(b"\r\n\r\n\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", piece, false).unwrap();
        assert_eq!((done, alive), (Some(Answered { status: 200, body_bytes: 1, is_fallback: false }), true), "by {piece}");
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let (done, alive) = read(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", 1000, true).unwrap();
    assert_eq!((done, alive), (Some(Answered { status: 200, body_bytes: 0, is_fallback: false }), true));
}

#[test]
fn without_a_length_the_end_of_the_connection_is_the_end() {
    let mut answer = Answer::new(false, None);
    answer.feed(b"HTTP/1.1 200 OK\r\n\r\nhello", None).unwrap();
    assert_eq!(answer.done(), None);
    answer.end();
    assert_eq!(answer.done(), Some(Answered { status: 200, body_bytes: 5, is_fallback: false }));
    assert!(!answer.keeps_alive());
}

#[test]
fn a_connection_that_ends_early_gives_no_answer() {
    for text in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"] {
        let mut answer = Answer::new(false, None);
        answer.feed(text.as_bytes(), None).unwrap();
        answer.end();
        assert_eq!(answer.done(), None, "{text:?}");
        assert_eq!(answer.is_untouched(), text.is_empty());
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for text in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        for piece in [1, 1000] {
            read(text.as_bytes(), piece, false).unwrap_err();
        }
    }
    let endless_head = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(HEAD_BYTES_MAX));
    read(endless_head.as_bytes(), 4096, false).unwrap_err();
    let endless_interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(INTERIM_MAX + 1);
    read(endless_interim.as_bytes(), 4096, false).unwrap_err();
}

#[test]
fn cookies_go_into_the_jar() {
    let mut jar = Jar::default();
    let text = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    Answer::new(false, None).feed(text, Some(&mut jar)).unwrap();
    let mut shown = Vec::new();
    jar.write(&mut shown);
    assert_eq!(shown, b"a=1; b=2");
}

#[test]
fn the_first_poor_answer_of_a_status_is_remembered_however_it_is_framed_and_torn() {
    let problem = "HTTP/1.1 503 No\r\nContent-Type: application/problem+json\r\n";
    for (rest, is_whole) in [
        ("Content-Length: 11\r\n\r\n{\"type\":\"\"}", true),
        ("Transfer-Encoding: chunked\r\n\r\n8\r\n{\"type\":\r\n3\r\n\"\"}\r\n0\r\n\r\n", true),
        ("Content-Length: 99\r\n\r\n{\"type\":\"\"}", false),
    ] {
        for piece in [1, 5, 1000] {
            let samples = Samples::default();
            for _ in 0..2 {
                let mut answer = Answer::new(false, Some(&samples));
                format!("{problem}{rest}").as_bytes().chunks(piece).for_each(|piece| answer.feed(piece, None).unwrap());
                assert_eq!(answer.done().is_some(), is_whole);
            }
            let kept = samples.take();
            assert_eq!(kept.len(), usize::from(is_whole), "one of two, and none of an answer that never ended");
            assert!(kept.iter().all(|sample| sample.status == 503 && sample.is_problem && sample.body == b"{\"type\":\"\"}"), "{kept:?}");
        }
    }
}

#[test]
fn an_answer_by_a_fallback_is_known_as_one() {
    let mut answer = Answer::new(false, None);
    answer.feed(b"HTTP/1.1 200 OK\r\nX-Plimsoll-Fallback: prepared\r\nContent-Length: 0\r\n\r\n", None).unwrap();
    assert!(answer.done().unwrap().is_fallback);
}
