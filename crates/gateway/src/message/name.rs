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
    /// Length and first letter decide almost always, so most names cost one comparison or none.
    pub(crate) fn of(name: &[u8]) -> Self {
        match (name.len(), name.first().map_or(0, u8::to_ascii_lowercase)) {
            (2, b't') if is(name, b"te") => Self::Te,
            (3, b'v') if is(name, b"via") => Self::Via,
            (4, b'h') if is(name, b"host") => Self::Host,
            (4, b'd') if is(name, b"date") => Self::Date,
            (6, b'c') if is(name, b"cookie") => Self::Cookie,
            (6, b'e') if is(name, b"expect") => Self::Expect,
            (7, b'u') if is(name, b"upgrade") => Self::Upgrade,
            (9, b'f') if is(name, b"forwarded") => Self::Forwarded,
            (9, b'x') if is(name, b"x-real-ip") => Self::XRealIp,
            (10, b'c') if is(name, b"connection") => Self::Connection,
            (10, b'k') if is(name, b"keep-alive") => Self::KeepAlive,
            (11, b'r') if is(name, b"retry-after") => Self::RetryAfter,
            (11, b'c') if is(name, b"client-cert") => Self::ClientCert,
            (12, b'x') if is(name, b"x-request-id") => Self::XRequestId,
            (12, b'c') if is(name, b"content-type") => Self::ContentType,
            (14, b'c') if is(name, b"content-length") => Self::ContentLength,
            (15, b'x') if is(name, b"x-forwarded-for") => Self::XForwardedFor,
            (15, b'a') if is(name, b"accept-encoding") => Self::AcceptEncoding,
            (16, b'x') if is(name, b"x-forwarded-host") => Self::XForwardedHost,
            (16, b'c') if is(name, b"content-encoding") => Self::ContentEncoding,
            (16, b'p') if is(name, b"proxy-connection") => Self::ProxyConnection,
            (18, b'x') if is(name, b"x-request-priority") => Self::XRequestPriority,
            (17, b'x') if is(name, b"x-forwarded-proto") => Self::XForwardedProto,
            (17, b'c') if is(name, b"client-cert-chain") => Self::ClientCert,
            (20, b'x') if is(name, b"x-request-timeout-ms") => Self::XRequestTimeoutMs,
            (17, b't') if is(name, b"transfer-encoding") => Self::TransferEncoding,
            (_, first) => Self::of_other(name, first),
        }
    }

    fn of_other(name: &[u8], first: u8) -> Self {
        if first == b'x' && name.first_chunk::<12>().is_some_and(|start| is(start, b"x-forwarded-")) {
            return Self::XForwardedOther;
        }
        if !name.contains(&b'_') {
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

/// Whether this is a known name in lower case. Without a branch for each byte, which at these lengths costs more than the bytes.
fn is<const LENGTH: usize>(name: &[u8], known: &[u8; LENGTH]) -> bool {
    let differences = |name: &[u8; LENGTH]| name.iter().zip(known).fold(0, |all, (byte, known)| all | (byte.to_ascii_lowercase() ^ known));
    name.try_into().is_ok_and(|name| differences(name) == 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NAMES: [(&str, Name); 26] = [
        ("accept-encoding", Name::AcceptEncoding),
        ("client-cert", Name::ClientCert),
        ("client-cert-chain", Name::ClientCert),
        ("connection", Name::Connection),
        ("content-encoding", Name::ContentEncoding),
        ("content-length", Name::ContentLength),
        ("content-type", Name::ContentType),
        ("cookie", Name::Cookie),
        ("date", Name::Date),
        ("expect", Name::Expect),
        ("forwarded", Name::Forwarded),
        ("host", Name::Host),
        ("keep-alive", Name::KeepAlive),
        ("proxy-connection", Name::ProxyConnection),
        ("retry-after", Name::RetryAfter),
        ("te", Name::Te),
        ("transfer-encoding", Name::TransferEncoding),
        ("upgrade", Name::Upgrade),
        ("via", Name::Via),
        ("x-forwarded-for", Name::XForwardedFor),
        ("x-forwarded-host", Name::XForwardedHost),
        ("x-forwarded-proto", Name::XForwardedProto),
        ("x-real-ip", Name::XRealIp),
        ("x-request-id", Name::XRequestId),
        ("x-request-priority", Name::XRequestPriority),
        ("x-request-timeout-ms", Name::XRequestTimeoutMs),
    ];

    /// As `X-Forwarded-For`, and the other way round: `x-fORWARDED-fOR`.
    fn mixed(name: &str, capital_first: bool) -> String {
        let mut is_first = true;
        let mut turn = |letter: char| {
            let is_capital = std::mem::replace(&mut is_first, letter == '-') == capital_first;
            if is_capital { letter.to_ascii_uppercase() } else { letter }
        };
        name.chars().map(&mut turn).collect()
    }

    #[test]
    fn every_name_is_known_in_every_case() {
        for (name, expected) in NAMES {
            for written in [name.to_owned(), name.to_ascii_uppercase(), mixed(name, true), mixed(name, false)] {
                assert_eq!(Name::of(written.as_bytes()), expected, "{written}");
            }
        }
        assert_eq!(Name::of(b"X-Forwarded-Prefix"), Name::XForwardedOther);
        let told: BTreeSet<u8> = NAMES.iter().map(|(_, name)| *name as u8).collect();
        let others = [Name::XForwardedOther, Name::Shadow, Name::Other].map(|name| name as u8);
        let all: BTreeSet<u8> = (0..=Name::Other as u8).filter(|name| !others.contains(name)).collect();
        assert_eq!(told, all, "each has been asked for");
    }

    #[test]
    fn a_name_with_a_byte_more_or_less_or_another_one_is_none_of_these() {
        for (name, expected) in NAMES {
            let length = name.len();
            for at in 0..length {
                let mut other = name.as_bytes().to_vec();
                other[at] = b'~';
                assert_ne!(Name::of(&other), expected, "{name} at {at}");
            }
            assert_ne!(Name::of(&name.as_bytes()[1..]), expected, "{name}");
            assert_ne!(Name::of(&name.as_bytes()[..length - 1]), expected, "{name}");
            assert_ne!(Name::of(format!("{name}s").as_bytes()), expected, "{name}");
        }
        assert_eq!(Name::of(b"X-Forwarded"), Name::Other);
        assert_eq!(Name::of(b"x_custom"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
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
