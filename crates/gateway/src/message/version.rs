//! Versions of HTTP, as they came in.

/// Which HTTP a message was received in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
    Http2,
}

impl Version {
    /// Of HTTP/1, by its minor version.
    pub(crate) const fn http1(is_http10: bool) -> Self {
        if is_http10 { Self::Http10 } else { Self::Http11 }
    }

    /// As it stands in `Via`: the name is left out where it is HTTP, a missing minor version is 0 (RFC 9110, sections 2.5 and 7.6.3).
    pub(crate) const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2.0",
        }
    }
}
