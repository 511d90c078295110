use std::io::BufRead as _;
use std::io::BufReader;
use std::thread;

use super::super::proxy::websocket;
use super::super::server::free_port;
use super::*;

/// Both servers, on threads that end with the test's process.
fn start() -> (u16, u16) {
    let (origin, relay) = (free_port().unwrap(), free_port().unwrap());
    thread::spawn(move || serve_origin(&[origin]));
    thread::spawn(move || serve_relay(relay, origin));
    let started = Instant::now();
    for port in [origin, relay] {
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "nobody listens on {port}");
            thread::yield_now();
        }
    }
    (origin, relay)
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

#[test]
fn a_torn_head_is_one_request_and_two_in_one_are_two() {
    let (origin, _) = start();
    let torn = ["GET / HTTP/1.1\r\nHost: a\r", "\n\r", "\nPOST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nb", "dy"];
    for pieces in [torn.to_vec(), vec![&*torn.concat()]] {
        let mut stream = connect(origin);
        for piece in &pieces {
            stream.write_all(piece.as_bytes()).unwrap();
            thread::yield_now();
        }
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "in {} pieces", pieces.len());
    }
}

#[test]
fn more_than_the_sockets_on_the_way_can_hold_comes_whole_through_the_relay() {
    const ANSWERS: usize = 32;
    let (_, relay) = start();
    let mut stream = connect(relay);
    for _ in 0..ANSWERS {
        write!(stream, "GET {LARGE_PATH} HTTP/1.1\r\n\r\n").unwrap();
    }
    let mut reader = BufReader::new(stream);
    for _ in 0..ANSWERS {
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        let mut body = vec![0; LARGE_BYTES];
        reader.read_exact(&mut body).unwrap();
        assert!(body.starts_with(b"{\"text\":\"x") && body.ends_with(b"x\"}"));
    }
}

#[test]
fn frames_come_back_through_the_relay() {
    let (_, relay) = start();
    assert!(echo(relay, 3, Duration::from_millis(100)).unwrap() > 3);
    assert!(websocket::exactly(relay, 150).is_ok());
}
