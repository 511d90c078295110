//! An answer that was written before the request came.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};

/// A prepared answer is a page or a small document, not a download.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A whole answer: status, type and body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    status: StatusCode,
    content_type: HeaderValue,
    body: Bytes,
}

/// Why something cannot be a prepared answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    TooLarge {
        length: usize,
    },
    /// Statuses that have no body, or that need headers of their own.
    Status(StatusCode),
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge { length } => {
                write!(formatter, "a fallback's body may have {BODY_BYTES_MAX} bytes, this one has {length}: make it smaller")
            }
            Self::Status(status) => write!(formatter, "{status} cannot be a fallback's status: use 200, or one from 400 to 599"),
        }
    }
}

impl std::error::Error for Error {}

impl Prepared {
    pub fn new(status: StatusCode, content_type: HeaderValue, body: Bytes) -> Result<Self, Error> {
        let is_whole = status == StatusCode::OK || status.is_client_error() || status.is_server_error();
        match body.len() {
            _ if !is_whole => Err(Error::Status(status)),
            length if length > BODY_BYTES_MAX => Err(Error::TooLarge { length }),
            _ => Ok(Self { status, content_type, body }),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }

    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Which requests it may answer.
    pub fn kind(&self) -> super::Kind {
        if self.status.is_success() { super::Kind::PreparedSuccess } else { super::Kind::PreparedError }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_whole_answer_or_no_small_one_is_turned_down() {
        let prepared = |status: u16, length| {
            Prepared::new(StatusCode::from_u16(status).unwrap(), HeaderValue::from_static("text/plain"), Bytes::from(vec![b'x'; length]))
        };
        assert!(prepared(200, BODY_BYTES_MAX).is_ok() && prepared(503, 0).is_ok());
        assert_eq!(prepared(200, BODY_BYTES_MAX + 1), Err(Error::TooLarge { length: BODY_BYTES_MAX + 1 }));
        for status in [101, 204, 206, 302, 304] {
            assert_eq!(prepared(status, 1), Err(Error::Status(StatusCode::from_u16(status).unwrap())));
        }
    }
}
