//! Header fields that a route takes out, sets and adds.
//!
//! What belongs to a connection, says how long a message is, or tells who asked is the edge's own to write: a route that could change it
//! would let requests be smuggled or clients be forged. Such names are refused when the configuration is read.

use http::{HeaderName, HeaderValue};

use super::Error;
use crate::message::{Headers, Name};

/// Changes to the header fields of a message, made in this order.
#[derive(Clone, Debug, Default)]
pub struct Edits {
    remove: Box<[HeaderName]>,
    /// In the place of all fields of that name.
    set: Box<[(HeaderName, HeaderValue)]>,
    /// Beside the fields of that name.
    add: Box<[(HeaderName, HeaderValue)]>,
}

impl Edits {
    pub fn new(remove: Vec<HeaderName>, set: Vec<(HeaderName, HeaderValue)>, add: Vec<(HeaderName, HeaderValue)>) -> Result<Self, Error> {
        remove.iter().chain(set.iter().map(|(name, _)| name)).chain(add.iter().map(|(name, _)| name)).try_for_each(check)?;
        Ok(Self { remove: remove.into(), set: set.into(), add: add.into() })
    }

    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    pub(crate) fn apply(&self, headers: &mut Headers) {
        // Otherwise whoever sent the message could name our fields in `Connection`, and have them removed.
        headers.end_hop();
        let goes = |name: &[u8]| {
            self.remove.iter().chain(self.set.iter().map(|(name, _)| name)).any(|each| each.as_str().as_bytes().eq_ignore_ascii_case(name))
        };
        headers.retain(|_, name| !goes(name));
        for (name, value) in self.set.iter().chain(&self.add) {
            headers.push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
}

/// Whether a route may change fields of this name, in either direction.
pub fn check(name: &HeaderName) -> Result<(), Error> {
    let known = Name::of(name.as_str().as_bytes());
    match known {
        Name::ContentLength | Name::TransferEncoding => Err(Error::Framing(name.clone())),
        _ if name == "trailer" || known.is_hop_by_hop() => Err(Error::HopByHop(name.clone())),
        Name::XForwardedOther | Name::XRequestTimeoutMs => Err(Error::Identity(name.clone())),
        _ if known.is_rewritten() || name.as_str().starts_with("x-plimsoll-") => Err(Error::Identity(name.clone())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(list: &[(&str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn fields_are_removed_then_set_then_added() {
        let edits =
            Edits::new(vec![HeaderName::from_static("server")], fields(&[("x-env", "prod")]), fields(&[("vary", "origin")])).unwrap();
        let mut headers = Headers::default();
        for (name, value) in [("Server", "app"), ("X-ENV", "a"), ("Vary", "accept"), ("x-env", "b"), ("X-Kept", "1")] {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        edits.apply(&mut headers);
        let left: Vec<_> = headers.iter().map(|(_, name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii())).collect();
        assert_eq!(left, ["Vary: accept", "X-Kept: 1", "x-env: prod", "vary: origin"]);
    }

    #[test]
    fn a_sender_cannot_have_our_fields_removed() {
        let edits = Edits::new(Vec::new(), fields(&[("x-verified", "no")]), Vec::new()).unwrap();
        let mut headers = Headers::default();
        for (name, value) in [("Connection", "close, X-Verified, X-Own"), ("X-Own", "1"), ("X-Verified", "yes")] {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        edits.apply(&mut headers);
        let left: Vec<_> = headers.end_to_end().map(|(_, name, value)| (name, value)).collect();
        assert_eq!(left, [(&b"x-verified"[..], &b"no"[..])]);
    }

    #[test]
    fn what_the_edge_vouches_for_is_not_a_routes_to_change() {
        let checked = |name: &str| check(&name.parse().unwrap());
        for name in ["connection", "Keep-Alive", "te", "Trailer", "upgrade", "proxy-connection"] {
            assert!(matches!(checked(name), Err(Error::HopByHop(_))), "{name}");
        }
        for name in ["Content-Length", "transfer-encoding"] {
            assert!(matches!(checked(name), Err(Error::Framing(_))), "{name}");
        }
        let own = [
            "host",
            "via",
            "forwarded",
            "x-forwarded-for",
            "X-Forwarded-Proto",
            "x-forwarded-prefix",
            "x-real-ip",
            "x-request-id",
            "x-request-timeout-ms",
            "x_forwarded_for",
            "content_length",
            "x-plimsoll-fallback",
        ];
        for name in own {
            assert!(matches!(checked(name), Err(Error::Identity(_))), "{name}");
        }
        for name in ["cookie", "authorization", "x-env", "strict-transport-security", "cache-control", "retry-after"] {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
    }
}
