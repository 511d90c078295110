//! One id per request: made at the outermost trusted hop, carried inward in `X-Request-Id`, printed everywhere.
//!
//! 26 characters of Crockford base32: 48 bits of milliseconds, then 80 random bits (the ULID layout), so ids sort by time.

pub mod layer;

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The header that carries the id, in lower case.
pub const HEADER: &str = "x-request-id";
/// Longer ids from outside are replaced, so that a log line stays bounded.
pub const LENGTH_MAX: usize = 64;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 26;

/// The name of one request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    bytes: [u8; LENGTH_MAX],
    length: u8,
}

impl RequestId {
    /// A new id. Costs one clock read and two draws of a thread-local generator.
    pub fn generate() -> Self {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
        Self::from_parts(millis, fastrand::u128(..))
    }

    /// Accepts an id that came from a trusted hop: 1 to 64 letters, digits, `-`, `_`, `.`, `:`.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
        if value.is_empty() || value.len() > LENGTH_MAX || !value.iter().all(valid) {
            return None;
        }
        let mut bytes = [0; LENGTH_MAX];
        bytes[..value.len()].copy_from_slice(value);
        Some(Self { bytes, length: value.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("ids are ASCII")
    }

    /// The same without looking at them once more.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    fn from_parts(millis: u64, random: u128) -> Self {
        let mut rest = (u128::from(millis) << 80) | (random >> 48);
        let mut bytes = [0; LENGTH_MAX];
        for byte in bytes[..LENGTH].iter_mut().rev() {
            *byte = ALPHABET[(rest & 31) as usize];
            rest >>= 5;
        }
        Self { bytes, length: LENGTH as u8 }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_are_accepted_and_sort_by_time() {
        let early = RequestId::from_parts(1, u128::MAX);
        let late = RequestId::from_parts(2, 0);
        assert!(early.as_str() < late.as_str());
        assert_eq!(RequestId::parse(early.as_str().as_bytes()), Some(early));
        assert_ne!(RequestId::generate(), RequestId::generate());
    }

    #[test]
    fn refuses_what_would_break_a_log_line() {
        for bad in [&b""[..], b"a b", b"a\nb", "é".as_bytes(), &[b'a'; 65]] {
            assert_eq!(RequestId::parse(bad), None);
        }
    }
}
