use super::*;
use proptest::prelude::*;

/// The body, its trailers if any came, and what was left over.
type Decoded = (Vec<u8>, Option<HeaderMap>, Vec<u8>);

/// Feeds `wire` in pieces of the given size.
fn decode(framing: Framing, wire: &[u8], piece: usize) -> Result<Decoded, &'static str> {
    let (mut decoder, mut buffer, mut body, mut trailers) = (Decoder::new(framing), BytesMut::new(), Vec::new(), None);
    let mut pieces = wire.chunks(piece.max(1));
    loop {
        match decoder.step(&mut buffer)? {
            Step::Frame(Frame::Data(data)) => {
                assert!(!data.is_empty(), "an empty frame would end a chunked body early");
                body.extend_from_slice(&data);
            }
            Step::Frame(Frame::Trailers(fields)) => trailers = Some(fields),
            Step::End => {
                buffer.extend(pieces.flatten());
                return Ok((body, trailers, buffer.to_vec()));
            }
            Step::More => match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => return Err("ended early"),
            },
        }
    }
}

#[test]
fn takes_exactly_its_body_and_leaves_the_rest() {
    let (body, _, rest) = decode(Framing::Length(5), b"helloGET", 3).unwrap();
    assert_eq!((&body[..], &rest[..]), (&b"hello"[..], &b"GET"[..]));
    let (body, trailers, rest) = decode(Framing::Chunked, b"5;a=b\r\nhello\r\n0\r\nx-sum: 1\r\n\r\nGET", 1).unwrap();
    assert_eq!((&body[..], &rest[..]), (&b"hello"[..], &b"GET"[..]));
    assert_eq!(trailers.unwrap()["x-sum"], "1");
}

#[test]
fn refuses_chunks_that_two_readers_could_read_differently() {
    for wire in [
        &b"5\nhello\r\n0\r\n\r\n"[..],
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff1\r\nhello",
        b"0\r\nbad name: 1\r\n\r\n",
        b"0\r\nx: 1\ny: 2\r\n\r\n",
    ] {
        assert!(decode(Framing::Chunked, wire, 4096).is_err(), "{}", String::from_utf8_lossy(wire));
        assert!(decode(Framing::Chunked, wire, 1).is_err(), "{} in single bytes", String::from_utf8_lossy(wire));
    }
}

#[test]
fn trailers_cannot_reframe_the_message() {
    let (_, trailers, _) = decode(Framing::Chunked, b"0\r\nContent-Length: 9\r\nx: 1\r\n\r\n", 64).unwrap();
    assert_eq!(trailers.unwrap().len(), 1);
}

proptest! {
    #[test]
    fn any_chunking_and_any_reading_give_the_body_back(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 0..8), piece in 1_usize..300) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            wire.extend(format!("{:x}\r\n", chunk.len()).bytes());
            wire.extend(chunk);
            wire.extend(b"\r\n");
        }
        wire.extend(b"0\r\n\r\nrest");
        let (body, trailers, rest) = decode(Framing::Chunked, &wire, piece).unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert!(trailers.is_none());
        prop_assert_eq!(rest, b"rest");
    }

    #[test]
    fn never_panics_on_noise(noise in prop::collection::vec(any::<u8>(), 0..600), piece in 1_usize..100) {
        let _ = decode(Framing::Chunked, &noise, piece);
    }
}
