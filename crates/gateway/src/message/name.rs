//! The header names that the edge itself reads or writes, told apart once, when a head is parsed.

/// `Other` is everything that only passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Name {
    Connection,
    ContentLength,
    Cookie,
    Forwarded,
    Host,
    KeepAlive,
    ProxyConnection,
    RetryAfter,
    Te,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRealIp,
    XRequestId,
    Other,
}

impl Name {
    /// The length decides almost always, so most names cost one comparison or none.
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match name.len() {
            2 if is("te") => Self::Te,
            3 if is("via") => Self::Via,
            4 if is("host") => Self::Host,
            6 if is("cookie") => Self::Cookie,
            7 if is("upgrade") => Self::Upgrade,
            9 if is("forwarded") => Self::Forwarded,
            9 if is("x-real-ip") => Self::XRealIp,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            11 if is("retry-after") => Self::RetryAfter,
            12 if is("x-request-id") => Self::XRequestId,
            14 if is("content-length") => Self::ContentLength,
            15 if is("x-forwarded-for") => Self::XForwardedFor,
            16 if is("x-forwarded-host") => Self::XForwardedHost,
            16 if is("x-forwarded-port") => Self::XForwardedPort,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("x-forwarded-proto") => Self::XForwardedProto,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            _ => Self::Other,
        }
    }

    /// Whether the field ends at this hop, whoever sent it (RFC 9110, section 7.6.1).
    pub(crate) const fn is_hop_by_hop(self) -> bool {
        matches!(self, Self::Connection | Self::KeepAlive | Self::ProxyConnection | Self::Te | Self::TransferEncoding | Self::Upgrade)
    }

    /// Whether this hop writes the field of a request anew.
    pub(crate) const fn is_rewritten(self) -> bool {
        matches!(
            self,
            Self::ContentLength
                | Self::Forwarded
                | Self::Host
                | Self::Via
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedPort
                | Self::XForwardedProto
                | Self::XRealIp
                | Self::XRequestId
        )
    }
}
