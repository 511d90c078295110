//! Answers before the answer (RFC 9110, section 15.2): 100, 102, 103 pass through as they come.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;

use crate::http1::{Wire, encode};
use crate::message::ResponseHead;

/// Where interim answers go.
pub(crate) enum Interim {
    Http1(Rc<RefCell<Wire>>),
    Http2(RefCell<h2::server::SendResponse<bytes::Bytes>>),
    /// HTTP/1.0 clients do not know them.
    Nowhere,
}

impl Interim {
    /// Best effort: a client that cannot take it will not take the answer either, and that is noticed then.
    pub(crate) async fn send(&self, head: &ResponseHead) {
        match self {
            Self::Http1(wire) => {
                encode::interim_head(&mut wire.borrow_mut().out.front, head);
                let _ = poll_fn(|cx| wire.borrow_mut().poll_flush(cx)).await;
            }
            Self::Http2(stream) => {
                let mut response = http::Response::new(());
                *response.status_mut() = head.status;
                for (_, name, value) in head.headers.end_to_end() {
                    if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name), http::HeaderValue::from_bytes(value)) {
                        response.headers_mut().append(name, value);
                    }
                }
                let _ = stream.borrow_mut().send_informational(response);
            }
            Self::Nowhere => {}
        }
    }
}
