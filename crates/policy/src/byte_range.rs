//! Which part of a representation a `Range` field asks for (RFC 9110, section 14).
//!
//! One range is granted. Several at once are answered with the whole: that is always allowed (section 14.2), hardly any client asks for
//! them, and a list of overlapping ranges is an old way to make a server send more than it has. Pure, and free of allocation.
//!
//! ```
//! use plimsoll_policy::byte_range::{Requested, requested};
//!
//! assert_eq!(requested(b"bytes=500-999", 10_000), Requested::Part { first: 500, last: 999 });
//! assert_eq!(requested(b"bytes=-100", 10_000), Requested::Part { first: 9_900, last: 9_999 });
//! assert_eq!(requested(b"bytes=10000-", 10_000), Requested::Unsatisfiable);
//! assert_eq!(requested(b"bytes=0-9,20-29", 10_000), Requested::Whole);
//! ```

/// What of a representation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// All of it: the field asks for what is not granted, or says nothing that could be understood.
    Whole,
    /// From the first to the last byte named, both included: 206.
    Part { first: u64, last: u64 },
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// Reads the value of a `Range` field for a representation of `length` bytes.
pub fn requested(value: &[u8], length: u64) -> Requested {
    let Some((unit, range)) = split_at(value, b'=') else { return Requested::Whole };
    if !unit.trim_ascii().eq_ignore_ascii_case(b"bytes") {
        return Requested::Whole;
    }
    let Some((first, last)) = split_at(range.trim_ascii(), b'-') else { return Requested::Whole };
    match (first, last) {
        (b"", suffix) => match number(suffix) {
            Some(0) => Requested::Unsatisfiable,
            // A part of nothing cannot be written down (`Content-Range` has no form for it).
            Some(_) if length == 0 => Requested::Whole,
            Some(count) => Requested::Part { first: length.saturating_sub(count), last: length - 1 },
            None => Requested::Whole,
        },
        (first, last) => {
            let last = if last.is_empty() { Some(u64::MAX) } else { number(last) };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => Requested::Whole,
                (Some(first), Some(_)) if first >= length => Requested::Unsatisfiable,
                (Some(first), Some(last)) => Requested::Part { first, last: last.min(length - 1) },
                _ => Requested::Whole,
            }
        }
    }
}

fn split_at(value: &[u8], mark: u8) -> Option<(&[u8], &[u8])> {
    let position = value.iter().position(|byte| *byte == mark)?;
    Some((&value[..position], &value[position + 1..]))
}

/// Digits and nothing else; more than fit are as many as fit.
fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Requested::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn one_range_is_granted_and_whatever_else_is_the_whole() {
        let cases = [
            ("bytes=0-0", Part { first: 0, last: 0 }),
            ("bytes=0-499", Part { first: 0, last: 499 }),
            ("bytes=500-", Part { first: 500, last: 999 }),
            ("bytes=0-", Part { first: 0, last: 999 }),
            ("bytes=999-999", Part { first: 999, last: 999 }),
            ("bytes=900-5000", Part { first: 900, last: 999 }),
            ("bytes=900-99999999999999999999999", Part { first: 900, last: 999 }),
            ("bytes=-1", Part { first: 999, last: 999 }),
            ("bytes=-1000", Part { first: 0, last: 999 }),
            ("bytes=-5000", Part { first: 0, last: 999 }),
            ("Bytes=1-2", Part { first: 1, last: 2 }),
            ("bytes= 1-2 ", Part { first: 1, last: 2 }),
            ("bytes=1000-", Unsatisfiable),
            ("bytes=1000-1001", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=0-1,5-6", Whole),
            ("bytes=0-0,-1", Whole),
            ("bytes=0-,0-,0-", Whole),
            ("bytes=2-1", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=a-b", Whole),
            ("bytes=1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-+2", Whole),
            ("bytes=--1", Whole),
            ("bytes 0-1", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ];
        for (value, expected) in cases {
            assert_eq!(requested(value.as_bytes(), 1_000), expected, "Range: {value}");
        }
    }

    #[test]
    fn nothing_has_no_parts() {
        assert_eq!(requested(b"bytes=0-", 0), Unsatisfiable);
        assert_eq!(requested(b"bytes=0-0", 0), Unsatisfiable);
        assert_eq!(requested(b"bytes=-5", 0), Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_whole(value in "(bytes=)?[0-9,-]{0,12}", length in 0_u64..2_000) {
            if let Part { first, last } = requested(value.as_bytes(), length) {
                prop_assert!(first <= last && last < length);
            }
        }
    }
}
