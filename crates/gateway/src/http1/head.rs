//! A block of bytes becomes a request or an answer, or is refused. Pure.
//!
//! Strict where two readers could disagree about what a message is (RFC 9112): then nothing is forwarded.

use std::mem::MaybeUninit;
use std::sync::LazyLock;

use bytes::Bytes;
use http::{Method, StatusCode};
use memchr::memmem::Finder;
use plimsoll_policy::{Reason, Refusal};

use super::authority::is_authority;
use crate::config::Limits;
use crate::message::{Framing, Headers, Name, ResponseHead, Version, tokens};

const RESPONSE_FIELDS_MAX: usize = 256;
/// The most fields that `gateway.limits.headers_max` can allow.
const REQUEST_FIELDS_MAX: usize = 512;

pub(crate) const BARE_NEWLINE: &str = "a line does not end with CR LF";

pub(crate) enum End {
    /// The head is this many bytes long, its empty line included.
    At(usize),
    /// Not there yet; the next look may begin at `scanned`.
    Missing {
        scanned: usize,
    },
    BareNewline,
}

/// Looks for the empty line. Each byte is looked at once however small the pieces arrive in. Lines of a whole head that end without CR are
/// found when it is parsed; a head that may never become whole is looked through at once.
pub(crate) fn find_end(buffer: &[u8], scanned: usize) -> End {
    // Without the first CR, which would make every line a candidate.
    static EMPTY_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\n\r\n"));
    // What is looked for may have begun before.
    let from = scanned.saturating_sub(2);
    if let Some(offset) = EMPTY_LINE.find(&buffer[from..]) {
        return End::At(from + offset + 3);
    }
    if has_bare_newline(buffer, scanned) { End::BareNewline } else { End::Missing { scanned: buffer.len() } }
}

/// Whether any line that ends behind `from` ends without CR: some readers take that for a line end, some do not.
pub(crate) fn has_bare_newline(block: &[u8], from: usize) -> bool {
    memchr::memchr_iter(b'\n', &block[from..]).any(|offset| !block[..from + offset].ends_with(b"\r"))
}

/// The same of a head that was parsed, for less: a field begins right behind the line before it. httparse takes a bare LF, and passes over
/// empty lines before the first one.
fn lines_end_with_crlf(block: &[u8], fields: &[httparse::Header<'_>]) -> bool {
    let follows_crlf = |name: &str| {
        let begins = name.as_ptr() as usize - block.as_ptr() as usize;
        block[..begins].ends_with(b"\r\n")
    };
    let has_first_line = !block.starts_with(b"\r") && !block.starts_with(b"\n");
    has_first_line && fields.iter().all(|field| follows_crlf(field.name)) && block.ends_with(b"\r\n\r\n")
}

/// A request's head, before its body is attached.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) method: Method,
    pub(crate) target: Bytes,
    pub(crate) host: Bytes,
    pub(crate) headers: Headers,
    pub(crate) framing: Framing,
    /// HTTP/1.0 knows neither chunks nor 1xx answers, and closes unless asked not to.
    pub(crate) is_http10: bool,
    pub(crate) keep_alive: bool,
    pub(crate) upgrade: Option<Bytes>,
}

fn malformed(detail: &'static str) -> Refusal {
    Refusal::new(Reason::MalformedRequest, detail)
}

pub(crate) fn parse_request(block: &Bytes, limits: &Limits) -> Result<RequestHead, Refusal> {
    let mut fields = [const { MaybeUninit::uninit() }; REQUEST_FIELDS_MAX];
    let fields = &mut fields[..limits.headers_max.min(REQUEST_FIELDS_MAX)];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(block, fields) {
        Ok(httparse::Status::Complete(length)) if length == block.len() => {}
        Ok(_) => return Err(malformed("the head ends before its empty line")),
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("a request may have {} header fields", limits.headers_max);
            return Err(Refusal::new(Reason::TooManyHeaders, detail));
        }
        Err(httparse::Error::Version) => return Err(other_version(block)),
        Err(error) => return Err(malformed(name_fault(error))),
    }
    if !lines_end_with_crlf(block, request.headers) {
        return Err(malformed(BARE_NEWLINE));
    }
    let is_http10 = request.version == Some(0);
    let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes()).map_err(|_| malformed("the method is not a token"))?;
    let target = block.slice_ref(request.path.unwrap_or_default().as_bytes());
    if target.len() > limits.target_bytes_max {
        let detail = format!("a request target may have {} bytes", limits.target_bytes_max);
        return Err(Refusal::new(Reason::TargetTooLong, detail));
    }
    let headers = Headers::parsed(block.clone(), request.headers);
    let framing = request_framing(&headers, is_http10)?;
    expectation(&headers)?;
    if method == Method::CONNECT {
        let declined = Refusal::new(Reason::NotImplemented, "CONNECT is not served here");
        return Err(if is_authority(&target) { declined } else { malformed("the target of CONNECT is a host and a port") });
    }
    let (target, host) = origin_form(block, target, &headers, is_http10)?;
    if !is_origin_form(&method, &target) {
        return Err(malformed("the request target must be a path from the root, without a fragment"));
    }
    let upgrade = upgrade(&headers, is_http10).map(|protocols| block.slice_ref(protocols));
    let keep_alive =
        if is_http10 { headers.has_token(Name::Connection, "keep-alive") } else { !headers.has_token(Name::Connection, "close") };
    Ok(RequestHead { method, target, host, headers, framing, is_http10, keep_alive, upgrade })
}

/// What the client wants to be promised (RFC 9110, section 10.1.1). Only to be told to go on can be.
pub(crate) fn expectation(headers: &Headers) -> Result<(), Refusal> {
    if headers.all(Name::Expect).all(|value| value.eq_ignore_ascii_case(b"100-continue")) {
        return Ok(());
    }
    Err(Refusal::new(Reason::ExpectationFailed, "the only expectation that can be met is 100-continue"))
}

/// The protocols that the client would rather speak. Another version of HTTP is none of them: what is asked inside such a tunnel would
/// pass by the routes and limits of this gateway. Ignoring the wish is always allowed (RFC 9110, section 7.8).
fn upgrade(headers: &Headers, is_http10: bool) -> Option<&[u8]> {
    let is_http = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        [&b"h2c"[..], b"h2", b"h3", b"http"].iter().any(|each| name.eq_ignore_ascii_case(each))
    };
    let protocols = headers.first(Name::Upgrade).filter(|_| !is_http10 && headers.has_token(Name::Connection, "upgrade"))?;
    let is_wanted = !protocols.is_empty() && !headers.all(Name::Upgrade).flat_map(tokens).any(is_http);
    is_wanted.then_some(protocols)
}

/// Another version of HTTP, or a request line with a space too many.
fn other_version(block: &[u8]) -> Refusal {
    let line = block.split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.split(|byte| *byte == b' ').collect::<Vec<_>>().as_slice() {
        [_, _, version] if version.starts_with(b"HTTP/") => {
            Refusal::new(Reason::VersionNotSupported, "HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here")
        }
        _ => malformed("the request line is not a method, a target and a version"),
    }
}

fn name_fault(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a header name holds an invalid character",
        httparse::Error::HeaderValue => "a header value holds an invalid character",
        httparse::Error::NewLine => BARE_NEWLINE,
        httparse::Error::Token => "the request line holds an invalid character",
        _ => "the request line or a header field is malformed",
    }
}

/// RFC 9112, section 6.3, without any of its leniencies.
fn request_framing(headers: &Headers, is_http10: bool) -> Result<Framing, Refusal> {
    let codings: Vec<_> = headers.all(Name::TransferEncoding).collect();
    let length = content_length(headers).map_err(malformed)?;
    match (codings.as_slice(), length) {
        ([], None) => Ok(Framing::None),
        ([], Some(length)) => Ok(Framing::Length(length)),
        (_, Some(_)) => Err(malformed("Content-Length and Transfer-Encoding contradict each other")),
        (_, None) if is_http10 => Err(malformed("HTTP/1.0 has no Transfer-Encoding")),
        ([coding], None) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([coding], None) if !tokens(coding).any(|each| each.eq_ignore_ascii_case(b"chunked")) => {
            Err(Refusal::new(Reason::NotImplemented, "the only transfer coding known here is chunked"))
        }
        _ => Err(malformed("Transfer-Encoding must be chunked, once")),
    }
}

fn content_length(headers: &Headers) -> Result<Option<u64>, &'static str> {
    let mut values = headers.all(Name::ContentLength);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("Content-Length appears more than once");
    }
    parse_digits(value).map(Some).ok_or("Content-Length is not a number of bytes")
}

/// 1 to 18 digits and nothing else: a sign, a space or a comma has been read differently by different servers.
fn parse_digits(value: &[u8]) -> Option<u64> {
    let valid = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    valid.then(|| value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// The target in origin form, and the host, which must be said once and the same everywhere.
fn origin_form(block: &Bytes, target: Bytes, headers: &Headers, is_http10: bool) -> Result<(Bytes, Bytes), Refusal> {
    let mut hosts = headers.all(Name::Host);
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(malformed("Host appears more than once")),
        (None, None) if !is_http10 => return Err(malformed("Host is missing")),
        (host, None) => host.map(|host| block.slice_ref(host)).unwrap_or_default(),
    };
    if !is_http10 && host.is_empty() {
        return Err(malformed("Host is empty"));
    }
    if !host.is_empty() && !is_authority(&host) {
        return Err(malformed("Host is no host with an optional port"));
    }
    if target.starts_with(b"/") || &target[..] == b"*" {
        return Ok((target, host));
    }
    let Some(rest) = strip_scheme(&target) else { return Err(malformed("the request target must begin with a slash")) };
    let end = memchr::memchr2(b'/', b'?', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority(authority) {
        return Err(malformed("the request target names no valid host"));
    }
    if !(authority.eq_ignore_ascii_case(&host) || is_http10 && host.is_empty()) {
        return Err(malformed("the request target and Host name different hosts"));
    }
    let path = match path.first() {
        Some(b'/') => block.slice_ref(path),
        Some(_) => [b"/", path].concat().into(),
        None => Bytes::from_static(b"/"),
    };
    Ok((path, block.slice_ref(authority)))
}

fn strip_scheme(target: &[u8]) -> Option<&[u8]> {
    ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    })
}

/// Whether every instance reads this target alike: a path from the root, or the asterisk of `OPTIONS`. Some cut off a fragment, others
/// do not, and some end a path at an encoded NUL.
pub(crate) fn is_origin_form(method: &Method, target: &[u8]) -> bool {
    let is_asterisk = target == b"*" && *method == Method::OPTIONS;
    is_asterisk || target.starts_with(b"/") && memchr::memchr(b'#', target).is_none() && !has_encoded_nul(target)
}

fn has_encoded_nul(target: &[u8]) -> bool {
    let Some(first) = memchr::memchr2(b'%', b'?', target) else { return false };
    let path = target[first..].split(|byte| *byte == b'?').next().unwrap_or_default();
    memchr::memmem::find(path, b"%00").is_some()
}

/// An instance's answer; `true` if the connection stays usable after it.
pub(crate) fn parse_response(block: &Bytes, method: &Method) -> Result<(ResponseHead, bool), &'static str> {
    let mut fields = [const { MaybeUninit::uninit() }; RESPONSE_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, block, &mut fields) {
        Ok(httparse::Status::Complete(length)) if length == block.len() => {}
        Err(httparse::Error::TooManyHeaders) => return Err("more than 256 header fields"),
        _ => return Err("not a valid HTTP/1.1 answer"),
    }
    if !lines_end_with_crlf(block, response.headers) {
        return Err(BARE_NEWLINE);
    }
    let is_http10 = response.version == Some(0);
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("not a valid status")?;
    let headers = Headers::parsed(block.clone(), response.headers);
    let framing = response_framing(&headers, status, method, is_http10)?;
    let asked_to_close =
        if is_http10 { !headers.has_token(Name::Connection, "keep-alive") } else { headers.has_token(Name::Connection, "close") };
    Ok((
        ResponseHead { version: Some(Version::http1(is_http10)), status, headers, framing },
        !asked_to_close && framing != Framing::UntilClose,
    ))
}

fn response_framing(headers: &Headers, status: StatusCode, method: &Method, is_http10: bool) -> Result<Framing, &'static str> {
    let length = content_length(headers)?;
    let mut codings = headers.all(Name::TransferEncoding);
    let coding = codings.next();
    if length.is_some() && coding.is_some() || codings.next().is_some() {
        return Err("Content-Length and Transfer-Encoding contradict each other");
    }
    if *method == Method::HEAD || status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Ok(Framing::None);
    }
    match (coding, length) {
        (Some(coding), _) if coding.eq_ignore_ascii_case(b"chunked") && !is_http10 => Ok(Framing::Chunked),
        (Some(_), _) => Err("a transfer coding other than chunked"),
        (None, Some(length)) => Ok(Framing::Length(length)),
        (None, None) => Ok(Framing::UntilClose),
    }
}

#[cfg(test)]
mod tests;
