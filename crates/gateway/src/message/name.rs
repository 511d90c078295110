//! The header names that the edge itself reads or writes, told apart once, when a head is parsed.

/// `Other` is everything that only passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Name {
    /// `Client-Cert` and `Client-Cert-Chain`: who the client has shown itself to be, which only the edge may say (RFC 9440).
    ClientCert,
    AcceptEncoding,
    Connection,
    ContentEncoding,
    ContentLength,
    ContentType,
    Cookie,
    Date,
    Expect,
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
    /// What else begins with `X-Forwarded-`.
    XForwardedOther,
    XForwardedProto,
    XRealIp,
    XRequestId,
    XRequestPriority,
    XRequestTimeoutMs,
    /// A name of the edge's own with `_` for `-`: CGI and WSGI cannot tell the two apart.
    Shadow,
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
            4 if is("date") => Self::Date,
            6 if is("cookie") => Self::Cookie,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            9 if is("forwarded") => Self::Forwarded,
            9 if is("x-real-ip") => Self::XRealIp,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            11 if is("retry-after") => Self::RetryAfter,
            11 | 17 if is("client-cert") || is("client-cert-chain") => Self::ClientCert,
            12 if is("x-request-id") => Self::XRequestId,
            12 if is("content-type") => Self::ContentType,
            14 if is("content-length") => Self::ContentLength,
            15 if is("x-forwarded-for") => Self::XForwardedFor,
            15 if is("accept-encoding") => Self::AcceptEncoding,
            16 if is("x-forwarded-host") => Self::XForwardedHost,
            16 if is("content-encoding") => Self::ContentEncoding,
            16 if is("proxy-connection") => Self::ProxyConnection,
            18 if is("x-request-priority") => Self::XRequestPriority,
            17 if is("x-forwarded-proto") => Self::XForwardedProto,
            20 if is("x-request-timeout-ms") => Self::XRequestTimeoutMs,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            _ => Self::of_other(name),
        }
    }

    fn of_other(name: &[u8]) -> Self {
        const PREFIX: &[u8] = b"x-forwarded-";
        if name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX)) {
            return Self::XForwardedOther;
        }
        if memchr::memchr(b'_', name).is_none() {
            return Self::Other;
        }
        let mut folded = [0; 20];
        let length = name.len().min(folded.len());
        for (to, from) in folded.iter_mut().zip(name) {
            *to = if *from == b'_' { b'-' } else { *from };
        }
        if Self::of(&folded[..length]) == Self::Other { Self::Other } else { Self::Shadow }
    }

    /// Whether the field ends at this hop, whoever sent it (RFC 9110, section 7.6.1).
    pub(crate) const fn is_hop_by_hop(self) -> bool {
        matches!(self, Self::Connection | Self::KeepAlive | Self::ProxyConnection | Self::Te | Self::TransferEncoding | Self::Upgrade)
    }

    /// Whether this hop writes the field of a request anew, or drops it.
    pub(crate) const fn is_rewritten(self) -> bool {
        matches!(
            self,
            Self::ClientCert
                | Self::ContentLength
                | Self::Forwarded
                | Self::Host
                | Self::Shadow
                | Self::Via
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedProto
                | Self::XRealIp
                | Self::XRequestId
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_names_apart_whatever_their_case() {
        assert_eq!(Name::of(b"Transfer-ENCODING"), Name::TransferEncoding);
        assert_eq!(Name::of(b"X-Forwarded-Prefix"), Name::XForwardedOther);
        assert_eq!(Name::of(b"X-Forwarded"), Name::Other);
        assert_eq!(Name::of(b"x_custom"), Name::Other);
    }

    #[test]
    fn an_underscore_does_not_smuggle_a_name_past() {
        for name in [
            "X_Forwarded_For",
            "x-forwarded_for",
            "Transfer_Encoding",
            "content_length",
            "x_forwarded_prefix_of_some_length",
            "HOST_",
            "x_real_ip",
            "Client_Cert",
            "client-cert_chain",
        ] {
            let expected = if name == "HOST_" { Name::Other } else { Name::Shadow };
            assert_eq!(Name::of(name.as_bytes()), expected, "{name}");
        }
    }
}
