//! A host and perhaps a port, as `Host`, `:authority` and absolute targets name them (RFC 3986, section 3.2). Pure.
//!
//! Stricter than a look at single bytes: `a:80:90`, `[::1` or `a%zz` are read differently by those who look for the first colon, the last
//! one, or a bracket.

use std::net::Ipv6Addr;

/// Without user information, which has no place in HTTP (RFC 9110, section 4.2.4).
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = match text {
        [b'[', rest @ ..] => {
            let Some(end) = memchr::memchr(b']', rest) else { return false };
            if !is_ipv6(&rest[..end]) {
                return false;
            }
            (&rest[..end], &rest[end + 1..])
        }
        _ => text.split_at(memchr::memchr(b':', text).unwrap_or(text.len())),
    };
    let is_name = text.starts_with(b"[") || host.iter().all(|byte| is_name_byte(*byte));
    !host.is_empty() && is_name && is_port(port)
}

/// With its colon. An empty one is the default port, as none is.
fn is_port(port: &[u8]) -> bool {
    let [b':', digits @ ..] = port else { return port.is_empty() };
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0, |port, digit| port * 10 + u32::from(digit - b'0')) <= 65_535
}

/// Zones are for one machine only (RFC 6874), and other versions of IP do not exist.
fn is_ipv6(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// What a registered name is made of. Nothing is encoded in a name that DNS knows.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_and_a_port_have_one_reading() {
        for right in
            ["a", "shop.example", "a:80", "a:", "a:0", "a:65535", "192.0.2.1:80", "[::1]", "[::1]:8080", "[::ffff:192.0.2.1]", "a_b", "*"]
        {
            assert!(is_authority(right.as_bytes()), "{right}");
        }
        for wrong in [
            "",
            ":80",
            "a:b",
            "a:65536",
            "a:000080",
            "a:+1",
            "a:80:80",
            "::1",
            "[::1",
            "::1]",
            "[]",
            "[a]",
            "[::1]a",
            "[fe80::1%25eth0]",
            "u@a",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a,b",
            "a b",
            "a%41",
            "\u{e9}",
            "[v1.a]",
        ] {
            assert!(!is_authority(wrong.as_bytes()), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_passes_is_an_authority_for_others_too(text in "[a:0-9\\[\\].@%]{0,12}") {
            if is_authority(text.as_bytes()) {
                let authority: http::uri::Authority = text.parse().unwrap();
                prop_assert_eq!(authority.as_str(), text);
            }
        }
    }
}
