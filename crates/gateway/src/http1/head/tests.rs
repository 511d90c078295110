use super::*;
use proptest::prelude::*;

const LIMITS: Limits = Limits {
    connections_max: 1,
    connections_per_client_max: 1,
    head_bytes_max: 32 * 1024,
    headers_max: 10,
    target_bytes_max: 100,
    body_bytes_max: 1,
    body_bytes_per_second_min: 0,
    answer_bytes_per_second_min: 0,
    upstream_idle_per_instance_max: 1,
};

fn request(head: &str) -> Result<RequestHead, Refusal> {
    parse_request(&Bytes::copy_from_slice(head.as_bytes()), &LIMITS)
}

fn response(head: &str, method: &Method) -> Result<(ResponseHead, bool), &'static str> {
    parse_response(&Bytes::copy_from_slice(head.as_bytes()), method)
}

#[test]
fn reads_an_ordinary_request() {
    let head = request("POST /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\nContent-Length: 12\r\n\r\n").unwrap();
    assert_eq!((&head.target[..], &head.host[..]), (&b"/a?b=c"[..], &b"shop.example:8080"[..]));
    assert_eq!(head.framing, Framing::Length(12));
    assert!(head.keep_alive && !head.is_http10 && head.upgrade.is_none());
}

#[test]
fn refuses_what_two_readers_could_read_differently() {
    for fields in [
        "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a\r\nContent-Length: 1, 1\r\n",
        "Host: a\r\nContent-Length: +1\r\n",
        "Host: a\r\nContent-Length: 1 1\r\n",
        "Host: a\r\nContent-Length: 0x1\r\n",
        "Host: a\r\nContent-Length:\r\n",
        "Host: a\r\nContent-Length: 9999999999999999999\r\n",
        "Host: a\r\nTransfer-Encoding: chunked, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Host: a\r\nTransfer-Encoding : chunked\r\n",
        "Host: a\r\n Transfer-Encoding: chunked\r\n",
        "Host: a\r\nX: a\r\n folded\r\n",
        "Host: a\r\nX: a\rb\r\n",
        "Host: a\r\nX: a\0b\r\n",
        "Host: a\r\nX y: b\r\n",
        "Host: a\r\n: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a, b\r\n",
        "Host: user@a\r\n",
        "Host: a/b\r\n",
        "",
    ] {
        let refusal = request(&format!("GET / HTTP/1.1\r\n{fields}\r\n")).unwrap_err();
        assert_eq!(refusal.status(), 400, "{fields:?}: {}", refusal.detail);
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET /a b HTTP/1.1",
        "GET HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET a HTTP/1.1",
        "GET http://b/ HTTP/1.1",
        "GET http:///x HTTP/1.1",
    ] {
        assert_eq!(request(&format!("{line}\r\nHost: a\r\n\r\n")).unwrap_err().status(), 400, "{line}");
    }
}

#[test]
fn each_limit_has_its_own_status() {
    let status = |head: &str| request(head).unwrap_err().status().as_u16();
    assert_eq!(status(&format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(100))), 414);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10))), 431);
    assert_eq!(status("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), 505);
    assert_eq!(status("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n"), 501);
}

#[test]
fn absolute_form_must_agree_with_host() {
    let head = request("GET http://A/x?y HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!((&head.target[..], &head.host[..]), (&b"/x?y"[..], &b"A"[..]));
    assert_eq!(&request("GET http://a?y HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().target[..], b"/?y");
    assert_eq!(&request("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n").unwrap().target[..], b"/");
}

#[test]
fn an_old_client_closes_unless_it_asks() {
    assert!(!request("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
    assert!(request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap().keep_alive);
    assert!(request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
}

#[test]
fn an_answer_ends_where_rfc_9112_says() {
    let framing = |head: &str, method: Method| response(head, &method).map(|(head, reusable)| (head.framing, reusable));
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(framing(length, Method::GET), Ok((Framing::Length(5), true)));
    assert_eq!(framing(length, Method::HEAD), Ok((Framing::None, true)));
    assert_eq!(framing("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n", Method::GET), Ok((Framing::None, true)));
    assert_eq!(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Method::GET), Ok((Framing::Chunked, true)));
    assert_eq!(framing("HTTP/1.1 200 OK\r\n\r\n", Method::GET), Ok((Framing::UntilClose, false)));
    assert_eq!(framing("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Method::GET), Ok((Framing::Length(5), false)));
    assert!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", Method::GET).is_err());
    assert!(framing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", Method::GET).is_err());
}

#[test]
fn the_end_of_a_head_is_found_in_any_pieces() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut scanned = 0;
    for length in 0..head.len() {
        match find_end(&head[..length], scanned) {
            End::Missing { scanned: next } => scanned = next,
            _ => panic!("{length}"),
        }
    }
    assert!(matches!(find_end(head, scanned), End::At(length) if length == head.len()));
    assert!(matches!(find_end(b"GET / HTTP/1.1\nHost: a\n\n", 0), End::BareNewline));
}

proptest! {
    #[test]
    fn never_panics_on_noise(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_request(&noise.clone().into(), &LIMITS);
        let _ = parse_response(&noise.into(), &Method::GET);
    }

    #[test]
    fn whatever_is_accepted_has_one_host_and_one_length(fields in prop::collection::vec("(Host|Content-Length|Transfer-Encoding|X): ?(a|1|12|chunked|)", 0..5)) {
        let head = format!("GET / HTTP/1.1\r\n{}\r\n\r\n", fields.join("\r\n"));
        if let Ok(head) = request(&head) {
            prop_assert_eq!(head.headers.all(Name::Host).count(), 1);
            prop_assert!(head.headers.all(Name::ContentLength).count() + head.headers.all(Name::TransferEncoding).count() <= 1);
        }
    }
}
