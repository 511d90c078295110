//! One element of `Forwarded` (RFC 7239): what one proxy says about the hop before it.
//!
//! Elements are found from the end of the line. The end is what a trusted proxy wrote; the beginning may be anybody's, and a quote that was
//! left open there must not swallow what follows. Nothing is copied, and every byte is looked at a fixed number of times.

use std::iter;
use std::net::IpAddr;

use super::parse_hop;

/// The scheme by which the last hop was reached, as the nearest proxy says: `https`, if it says so.
///
/// Only for lines from a trusted peer. What is returned is a scheme's name and nothing else, so it may be written into another field.
pub fn proto_of_forwarded<'a>(lines: impl DoubleEndedIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let element = lines.rev().flat_map(from_last).next()?;
    let scheme = parameter(element, b"proto")?;
    let is_scheme =
        scheme.first()?.is_ascii_alphabetic() && scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte));
    is_scheme.then_some(scheme)
}

/// The elements of a line, the last one first. Empty ones count for nothing, as in every list field.
pub(super) fn from_last(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    let elements = iter::from_fn(move || {
        let line = rest?;
        let comma = last_unquoted(line, b',');
        rest = comma.map(|at| &line[..at]);
        Some(line[comma.map_or(0, |at| at + 1)..].trim_ascii())
    });
    elements.filter(|element| !element.is_empty())
}

/// The address in `for`.
pub(super) fn address(element: &[u8]) -> Option<IpAddr> {
    let node = parameter(element, b"for")?;
    // A port may be obfuscated as well; the address before it counts all the same.
    let port = node.windows(2).position(|pair| pair == b":_");
    parse_hop(&node[..port.unwrap_or(node.len())])
}

/// The value of a parameter that stands there once, without its quotes.
///
/// A value with a backslash is not worth decoding: no address and no scheme needs one.
fn parameter<'a>(mut element: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    loop {
        let semicolon = last_unquoted(element, b';');
        let pair = element[semicolon.map_or(0, |at| at + 1)..].trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        if pair[..equals].eq_ignore_ascii_case(name) && found.replace(pair.get(equals + 1..)?).is_some() {
            return None;
        }
        match semicolon {
            Some(at) => element = &element[..at],
            None => return unquoted(found?),
        }
    }
}

fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let inner = match value.strip_prefix(b"\"") {
        Some(rest) => rest.strip_suffix(b"\"")?,
        None => value,
    };
    (!inner.iter().any(|byte| matches!(byte, b'"' | b'\\'))).then_some(inner)
}

/// Where the separator stands last, outside of quoted strings.
fn last_unquoted(text: &[u8], separator: u8) -> Option<usize> {
    let mut quoted = false;
    text.iter().enumerate().rev().find_map(|(at, byte)| {
        if *byte == b'"' && !(quoted && is_escaped(text, at)) {
            quoted = !quoted;
        }
        (*byte == separator && !quoted).then_some(at)
    })
}

/// An odd number of backslashes stands before it. Runs of them do not overlap, so all calls together read a line once.
fn is_escaped(text: &[u8], at: usize) -> bool {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::super::TrustedProxies;
    use super::*;

    fn client(lines: &[&str]) -> String {
        let trusted = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        trusted.client_from_forwarded("10.0.0.1".parse().unwrap(), lines.iter().map(|line| line.as_bytes())).to_string()
    }

    fn proto<'a>(lines: &[&'a str]) -> Option<&'a str> {
        proto_of_forwarded(lines.iter().map(|line| line.as_bytes())).map(|scheme| std::str::from_utf8(scheme).unwrap())
    }

    #[test]
    fn every_way_to_write_an_address_is_read() {
        for line in [
            "for=198.51.100.7",
            "For=\"198.51.100.7\"",
            "for=\"198.51.100.7:4711\"",
            "for=198.51.100.7:4711",
            "for=\"198.51.100.7:_port\"",
            " proto=https ; for=198.51.100.7 ; by=10.0.0.1 ,, ",
            "for=\"[::ffff:198.51.100.7]\"",
            "for=198.51.100.7;host=\"a,b;for=1.2.3.4\"",
            "for=198.51.100.7;host=\"\\\",for=1.2.3.4\"",
            "for=198.51.100.7;by=\"\\\\\"",
        ] {
            assert_eq!(client(&[line]), "198.51.100.7", "{line}");
        }
        for line in ["for=\"[2001:db8::1]\"", "for=\"[2001:db8::1]:443\"", "for=\"[2001:db8::1]:_p\"", "for=[2001:db8::1]"] {
            assert_eq!(client(&[line]), "2001:db8::1", "{line}");
        }
    }

    #[test]
    fn trusted_hops_are_walked_from_the_right() {
        assert_eq!(client(&["for=6.6.6.6, for=198.51.100.7", "for=\"[fd00::2]\", for=10.0.0.2"]), "198.51.100.7");
        assert_eq!(client(&["for=10.0.0.3,for=10.0.0.2"]), "10.0.0.3");
        assert_eq!(client(&[]), "10.0.0.1");
    }

    #[test]
    fn a_stranger_is_the_client_whatever_it_says() {
        let nobody = TrustedProxies::default();
        let told = [b"for=1.2.3.4".as_slice()];
        assert_eq!(nobody.client_from_forwarded("203.0.113.9".parse().unwrap(), told.into_iter()).to_string(), "203.0.113.9");
    }

    #[test]
    fn what_is_no_address_ends_the_walk() {
        for end in [
            "for=unknown",
            "for=_hidden",
            "for=\"_hidden:80\"",
            "by=10.0.0.1",
            "for",
            "for=",
            "for=\"",
            "for=\"1.2.3.4",
            "for=1.2.3.4\"",
            "for=1.2.3.4;for=5.6.7.8",
            "for=1.2.3.4;for",
            "for=\"1.2\\.3.4\"",
            "for = 1.2.3.4",
            "198.51.100.7",
        ] {
            assert_eq!(client(&[&format!("for=6.6.6.6, {end}")]), "10.0.0.1", "{end}");
        }
    }

    #[test]
    fn what_a_client_wrote_cannot_hide_what_a_proxy_added() {
        for claim in ["for=\"", "for=\"x\\", "\"", "for=1.2.3.4;host=\"a", ",\"\\\"", "\\", "for=\"1.2.3.4\\\""] {
            assert_eq!(client(&[&format!("{claim}, for=198.51.100.7;host=\"shop\"")]), "198.51.100.7", "{claim}");
        }
    }

    #[test]
    fn the_nearest_proxys_scheme_counts() {
        assert_eq!(proto(&["for=192.0.2.1;proto=http, for=192.0.2.2;Proto=\"https\""]), Some("https"));
        assert_eq!(proto(&["proto=https", "for=192.0.2.2;proto=http"]), Some("http"));
        assert_eq!(proto(&["proto=https, for=192.0.2.2"]), None);
        assert_eq!(proto(&[]), None);
    }

    #[test]
    fn a_scheme_that_could_break_a_field_is_none() {
        for line in ["proto=", "proto=\"https, http\"", "proto=\"h\\\"\"", "proto=https;proto=http", "proto=\"a b\"", "proto=1"] {
            assert_eq!(proto(&[line]), None, "{line}");
        }
    }

    #[test]
    fn any_claim_before_a_proxys_element_changes_nothing() {
        const ALPHABET: [char; 12] = ['"', '\\', ',', ';', '=', 'f', 'o', 'r', '1', '.', '_', ' '];
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let claim: String = (0..random.usize(..30)).map(|_| *random.choice(&ALPHABET).unwrap()).collect();
            let line = format!("{claim},for=198.51.100.7;host=\"a,b\";proto=https");
            assert_eq!(client(&[&line]), "198.51.100.7", "{line}");
            assert_eq!(proto(&[&line]), Some("https"), "{line}");
        }
    }
}
