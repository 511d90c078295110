use proptest::prelude::*;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::*;

fn of(address: &str) -> Progress {
    Progress::Whole(Header::Of(address.parse().unwrap()))
}

const OWN: Progress = Progress::Whole(Header::Own);

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE_V2, &[command, family], &length, rest].concat()
}

/// Source, destination, both ports, and an annotation that nobody needs.
fn addresses(source: &[u8], port: u16) -> Vec<u8> {
    [source, &vec![9; source.len()][..], &port.to_be_bytes(), &[0, 80], &[0xee, 0, 2, 1, 2]].concat()
}

#[test]
fn says_whose_connection_it_is() {
    let v6 = "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets();
    for (bytes, expected) in [
        (b"PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n".to_vec(), of("192.0.2.7:56324")),
        (b"PROXY TCP6 2001:db8::7 ::1 1 0\r\n".to_vec(), of("[2001:db8::7]:1")),
        (b"PROXY UNKNOWN\r\n".to_vec(), OWN),
        (b"PROXY UNKNOWN 1.2.3.4 whatever\r\n".to_vec(), OWN),
        (v2(0x21, 0x11, &addresses(&[192, 0, 2, 7], 56_324)), of("192.0.2.7:56324")),
        (v2(0x21, 0x21, &addresses(&v6, 1)), of("[2001:db8::7]:1")),
        (v2(0x21, 0x00, b""), OWN),
        (v2(0x21, 0x31, &[b'/'; 216]), OWN),
        (v2(0x20, 0x11, &addresses(&[192, 0, 2, 7], 56_324)), OWN),
        (v2(0x20, 0x00, b""), OWN),
    ] {
        assert_eq!(parse(&bytes), Ok(expected), "{bytes:?}");
        let more = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&more), Ok(expected), "with what follows: {bytes:?}");
        for end in 0..bytes.len() {
            let asked = match parse(&bytes[..end]).unwrap() {
                Progress::AtLeast(asked) => asked,
                Progress::Line(_) => end + 1,
                whole @ Progress::Whole(_) => panic!("{whole:?} after {end} of {bytes:?}"),
            };
            assert!(asked > end && asked <= bytes.len(), "it asks for {asked} after {end} of {bytes:?}");
        }
    }
}

#[test]
fn refuses_everything_else() {
    let line = |rest: &str| format!("PROXY {rest}\r\n").into_bytes();
    for bytes in [
        b"GET / HTTP/1.1\r\n".to_vec(),
        b"\x16\x03\x01".to_vec(),
        b"\r\n\r\nGET /".to_vec(),
        b"PROXY TCP4 192.0.2.7 203.0.113.1 1 2\n".to_vec(),
        line("tcp4 192.0.2.7 203.0.113.1 1 2"),
        line("TCP4 192.0.2.7 203.0.113.1 1"),
        line("TCP4 192.0.2.7 203.0.113.1 1 2 3"),
        line("TCP4  192.0.2.7 203.0.113.1 1 2"),
        line("TCP4 192.0.2.7 203.0.113.1 +1 2"),
        line("TCP4 192.0.2.7 203.0.113.1 01 2"),
        line("TCP4 192.0.2.7 203.0.113.1 65536 2"),
        line("TCP4 192.0.2.7 203.0.113.1 1 x"),
        line("TCP4 192.0.2.256 203.0.113.1 1 2"),
        line("TCP4 ::1 ::1 1 2"),
        line("TCP6 192.0.2.7 203.0.113.1 1 2"),
        line("TCP4 192.0.2.7 \u{fffd} 1 2"),
        line(&format!("UNKNOWN {}", "x".repeat(LINE_BYTES_MAX))),
        v2(0x11, 0x11, &addresses(&[192, 0, 2, 7], 1)),
        v2(0x22, 0x11, &addresses(&[192, 0, 2, 7], 1)),
        v2(0x21, 0x12, &addresses(&[192, 0, 2, 7], 1)),
        v2(0x21, 0x41, &addresses(&[192, 0, 2, 7], 1)),
        v2(0x21, 0x11, &[1; 11]),
        v2(0x21, 0x21, &[1; 35]),
        v2(0x21, 0x00, &[0; HEADER_BYTES_MAX - FIXED_BYTES_V2 + 1]),
    ] {
        assert!(parse(&bytes).is_err(), "{:?}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(parse(&v2(0x21, 0x00, &[0; HEADER_BYTES_MAX - FIXED_BYTES_V2])), Ok(OWN), "as long as it may be");
}

proptest! {
    /// Whatever comes, it ends: with a verdict within the bound, or with a demand for more that stays within it.
    #[test]
    fn never_panics_and_never_wants_too_much(head in prop_oneof![Just(b"PROXY ".to_vec()), Just(SIGNATURE_V2.to_vec()), Just(vec![])],
                                             rest in proptest::collection::vec(any::<u8>(), 0..600)) {
        let bytes = [head, rest].concat();
        match parse(&bytes) {
            Ok(Progress::AtLeast(wanted) | Progress::Line(wanted)) => prop_assert!(wanted > bytes.len() && wanted <= HEADER_BYTES_MAX),
            Ok(Progress::Whole(_)) | Err(_) => {}
        }
    }

    /// However the bytes are cut on their way, the same is read, and what follows stays where it is.
    #[test]
    fn takes_the_header_and_not_a_byte_more(version in 0..4_usize, cuts in proptest::collection::vec(1..20_usize, 0..8)) {
        let header = [
            b"PROXY TCP4 192.0.2.7 203.0.113.1 56324 443\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            v2(0x21, 0x11, &addresses(&[192, 0, 2, 7], 56_324)),
            v2(0x20, 0x00, b""),
        ][version].clone();
        let expected = parse(&header);
        let bytes = [&header[..], b"rest"].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (taken, rest) = runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            client.set_nodelay(true).unwrap();
            let (mut stream, _) = listener.accept().await.unwrap();
            let send = async move {
                let mut bytes = &bytes[..];
                for cut in cuts {
                    let (piece, after) = bytes.split_at(cut.min(bytes.len()));
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                    bytes = after;
                }
                client.write_all(bytes).await.unwrap();
                client
            };
            let (taken, client) = tokio::join!(take(&mut stream), send);
            drop(client);
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (taken.unwrap(), rest)
        });
        prop_assert_eq!(Ok(Progress::Whole(taken)), expected);
        prop_assert_eq!(rest, b"rest");
    }
}

#[tokio::test]
async fn a_connection_that_ends_early_is_no_header() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for start in ["", "PROXY", "PROXY TCP4 192.0.2.7 203"] {
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        client.write_all(start.as_bytes()).await.unwrap();
        drop(client);
        assert!(matches!(take(&mut stream).await, Err(Error::Ended)), "{start:?}");
    }
}
