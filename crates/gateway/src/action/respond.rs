//! An answer that was written before the request came: `robots.txt`, a page that says sorry, a switched-off endpoint.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

use super::Error;
use crate::message::{Framing, Headers, Response, ResponseBody, ResponseHead};

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Respond {
    status: StatusCode,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

impl Respond {
    /// A prepared answer is a page or a small document, not a download.
    pub const BODY_BYTES_MAX: usize = 64 * 1024;

    /// The content type is of use only where there is a body.
    pub fn new(status: u16, content_type: HeaderValue, body: Bytes) -> Result<Self, Error> {
        let status = StatusCode::from_u16(status).ok().filter(|code| (200..=599).contains(&code.as_u16())).ok_or(Error::Status(status))?;
        if !body.is_empty() && (is_bodiless(status) || status == StatusCode::RESET_CONTENT) {
            return Err(Error::BodyForbidden(status.as_u16()));
        }
        if body.len() > Self::BODY_BYTES_MAX {
            return Err(Error::BodyTooLarge { length: body.len(), max: Self::BODY_BYTES_MAX });
        }
        Ok(Self { status, content_type: (!body.is_empty()).then_some(content_type), body })
    }

    pub(crate) fn answer(&self) -> Response {
        let mut headers = Headers::default();
        if let Some(content_type) = &self.content_type {
            headers.push(b"content-type", content_type.as_bytes());
        }
        let framing = if is_bodiless(self.status) { Framing::None } else { Framing::Length(self.body.len() as u64) };
        let body = if self.body.is_empty() { ResponseBody::Empty } else { ResponseBody::Full(self.body.clone()) };
        Response { head: ResponseHead::of_the_edge(self.status, headers, framing), body }
    }
}

/// Statuses whose answers end with their head, and announce no length (RFC 9110, sections 8.6, 15.3.5 and 15.4.5).
fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_answer_is_refused_at_once() {
        let of =
            |status, body: &'static str| Respond::new(status, HeaderValue::from_static("text/plain"), Bytes::from_static(body.as_bytes()));
        assert!(of(200, "x").is_ok() && of(204, "").is_ok() && of(418, "").is_ok());
        for status in [204, 205, 304] {
            assert_eq!(of(status, "x").unwrap_err(), Error::BodyForbidden(status));
        }
        assert_eq!(of(101, "").unwrap_err(), Error::Status(101));
        assert_eq!(of(600, "").unwrap_err(), Error::Status(600));
        let long = Bytes::from(vec![b'x'; Respond::BODY_BYTES_MAX + 1]);
        assert!(matches!(Respond::new(200, HeaderValue::from_static("text/plain"), long), Err(Error::BodyTooLarge { .. })));
    }

    #[test]
    fn only_an_answer_that_may_have_a_body_announces_a_length() {
        let framing = |status| Respond::new(status, HeaderValue::from_static("text/plain"), Bytes::new()).unwrap().answer().head.framing;
        assert_eq!(framing(404), Framing::Length(0));
        assert_eq!(framing(205), Framing::Length(0));
        assert_eq!(framing(204), Framing::None);
    }
}
