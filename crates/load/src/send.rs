//! One request on one connection: HTTP/1.1 by hand, HTTP/2 by the `h2` crate.
//!
//! A general client would do more for each request than the request costs: this one renders bytes, writes them, and looks only at what tells
//! where the answer ends.

pub(crate) mod answer;
mod chunked;
pub(crate) mod connect;
pub(crate) mod http1;
pub(crate) mod http2;
pub(crate) mod recognise;
pub(crate) mod sample;
mod stream;
pub(crate) mod tls;

use std::fmt;
use std::io;

use tokio_rustls::rustls::Error as TlsError;

use crate::record::ErrorKind;

/// A whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body_bytes: u64,
    /// Somebody gave it in the server's place.
    pub(crate) is_fallback: bool,
}

/// Why there is none. Put into words only when somebody reads them: an overloaded server fails thousands of requests per second.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    cause: Cause,
    /// Nothing of an answer had come: a kept-alive connection may have been closed before the request reached the server.
    pub(crate) before_answer: bool,
}

#[derive(Debug)]
enum Cause {
    Text(&'static str),
    Io(io::Error),
    Http2(h2::Error),
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, text: &'static str) -> Self {
        Self { kind, cause: Cause::Text(text), before_answer: false }
    }

    /// A connection that worked until now.
    pub(crate) fn broken(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        let kind = match error.kind() {
            ConnectionReset | ConnectionAborted | BrokenPipe => ErrorKind::Reset,
            UnexpectedEof => ErrorKind::Closed,
            _ if tls_error(&error).is_some() => ErrorKind::Tls,
            _ => ErrorKind::Closed,
        };
        Self { kind, cause: Cause::Io(error), before_answer: false }
    }

    /// A connection that did not come about.
    pub(crate) fn connecting(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => ErrorKind::Refused,
            io::ErrorKind::ConnectionReset => ErrorKind::Reset,
            io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ if tls_error(&error).is_some() => ErrorKind::Tls,
            _ => ErrorKind::Connect,
        };
        Self { kind, cause: Cause::Io(error), before_answer: true }
    }

    pub(crate) fn http2(error: h2::Error) -> Self {
        if error.is_io() {
            let before_answer = true;
            return Self { before_answer, ..Self::broken(error.into_io().expect("it was just found to hold one")) };
        }
        let is_refused_stream = error.reason() == Some(h2::Reason::REFUSED_STREAM);
        let kind = match (error.is_go_away(), error.is_reset()) {
            (true, _) => ErrorKind::Closed,
            (_, true) => ErrorKind::Reset,
            _ => ErrorKind::Protocol,
        };
        // A server that goes away without a fault says so before it would touch a new stream, and so does one that refuses a stream.
        let goes_in_peace = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        Self { kind, cause: Cause::Http2(error), before_answer: is_refused_stream || goes_in_peace }
    }

    /// What the other side of a handshake did instead of taking part, if it did.
    pub(crate) fn not_tls(&self) -> Option<&'static str> {
        let Cause::Io(error) = &self.cause else { return None };
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Some("the server closed the connection"),
            io::ErrorKind::ConnectionReset => Some("the server reset the connection"),
            _ => matches!(tls_error(error)?, TlsError::InvalidMessage(_)).then_some("what came back is not TLS"),
        }
    }

    #[must_use]
    pub(crate) fn before_answer(self) -> Self {
        Self { before_answer: true, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Text(text) => formatter.write_str(text),
            Cause::Io(error) => error.fmt(formatter),
            Cause::Http2(error) => error.fmt(formatter),
        }
    }
}

/// tokio-rustls hands its errors on inside those of input and output.
fn tls_error(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}
