//! A connection that one request has to itself: HTTP/1.1.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::RESPONSE_HEAD_BYTES_MAX;
use crate::failure::Failure;
use crate::http1::head::parse_response;
use crate::http1::{HeadError, encode};
use crate::message::{Framing, ResponseHead};
use crate::pool::Connection;

impl Connection {
    pub(super) fn put_data(&mut self, data: Bytes, framing: Framing) {
        encode::data(&mut self.wire.out, data, framing);
    }

    pub(super) fn put_end(&mut self, trailers: Option<&HeaderMap>, framing: Framing) {
        encode::end(&mut self.wire.out, trailers, framing);
    }

    /// The next head; `true` if the connection stays usable after its message.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, method: &Method) -> Poll<Result<(ResponseHead, bool), Failure>> {
        let block = ready!(self.wire.poll_head(cx, RESPONSE_HEAD_BYTES_MAX)).map_err(|error| match error {
            HeadError::Closed => Failure::Closed,
            HeadError::NotAccepted(error) => Failure::Handshake(error),
            HeadError::TooLarge(_) => Failure::Malformed("a head of more than 256 KiB"),
            HeadError::BareNewline => Failure::Malformed("a line that ends without CR"),
        })?;
        Poll::Ready(parse_response(&block, method).map_err(Failure::Malformed))
    }
}
