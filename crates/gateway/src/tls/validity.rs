//! From when until when a certificate holds: two dates out of its DER (RFC 5280, section 4.1.2.5).
//!
//! The verifier that comes with rustls knows them but does not tell, and two dates are no reason for a whole X.509 parser.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::der::{Reader, SEQUENCE};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Validity {
    /// What is left of it; `None` once it has ended.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        self.not_after.duration_since(now).ok().filter(|left| !left.is_zero())
    }

    /// The validity of a certificate in DER; `None` if it is none.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let mut signed = Reader::from_issuer(certificate)?;
        // Who signed.
        signed.expect(SEQUENCE)?;
        let mut validity = Reader(signed.expect(SEQUENCE)?);
        Some(Self { not_before: time(&mut validity)?, not_after: time(&mut validity)? })
    }
}

fn time(reader: &mut Reader<'_>) -> Option<SystemTime> {
    match reader.element()? {
        (UTC_TIME, text) => {
            let (year, rest) = digits(text, 2)?;
            moment(if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        (GENERALIZED_TIME, text) => {
            let (year, rest) = digits(text, 4)?;
            moment(year, rest)
        }
        _ => None,
    }
}

/// A number of so many digits, and what follows.
fn digits(text: &[u8], count: usize) -> Option<(u64, &[u8])> {
    let (number, rest) = text.split_at_checked(count)?;
    let valid = number.iter().all(u8::is_ascii_digit);
    valid.then(|| (number.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')), rest))
}

/// `MMDDHHMMSSZ` of a year. What lies before 1970 is the beginning of time.
fn moment(year: u64, rest: &[u8]) -> Option<SystemTime> {
    let mut rest = rest;
    let mut next = |from: u64, to: u64| {
        let (number, after) = digits(rest, 2)?;
        rest = after;
        (from..=to).contains(&number).then_some(number)
    };
    let (month, day, hour, minute, second) = (next(1, 12)?, next(1, 31)?, next(0, 23)?, next(0, 59)?, next(0, 59)?);
    if rest != b"Z" {
        return None;
    }
    let seconds = day_number(year, month, day).map_or(0, |days| ((days * 24 + hour) * 60 + minute) * 60 + second);
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Days since 1970 in the Gregorian calendar, counted in years that begin in March, so that the leap day is the last.
fn day_number(year: u64, month: u64, day: u64) -> Option<u64> {
    const FROM_YEAR_0_TO_1970: u64 = 719_468;
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (year * 365 + year / 4 - year / 100 + year / 400 + in_year).checked_sub(FROM_YEAR_0_TO_1970)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(from: (i32, u8, u8), to: (i32, u8, u8)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn both_forms_of_a_date_are_read() {
        let validity = Validity::of(&certificate((2024, 2, 29), (2049, 12, 31))).unwrap();
        assert_eq!((seconds(validity.not_before), seconds(validity.not_after)), (1_709_164_800, 2_524_521_600));
        // From 2050 on the year has four digits.
        let validity = Validity::of(&certificate((1999, 12, 31), (2100, 3, 1))).unwrap();
        assert_eq!((seconds(validity.not_before), seconds(validity.not_after)), (946_598_400, 4_107_542_400));
    }

    #[test]
    fn what_is_left_ends_at_the_end() {
        let validity = Validity { not_before: UNIX_EPOCH, not_after: UNIX_EPOCH + Duration::from_secs(10) };
        assert_eq!(validity.left(UNIX_EPOCH + Duration::from_secs(4)), Some(Duration::from_secs(6)));
        assert_eq!(validity.left(UNIX_EPOCH + Duration::from_secs(10)), None);
        assert_eq!(validity.left(UNIX_EPOCH + Duration::from_secs(11)), None);
    }

    #[test]
    fn a_date_that_is_none_is_refused() {
        for text in ["", "1301000000Z", "0100000000Z", "0101240000Z", "0101000060Z", "0101000000", "0101000000+", "01x1000000Z"] {
            assert_eq!(moment(2026, text.as_bytes()), None, "{text}");
        }
        assert_eq!(moment(1969, b"1231235959Z"), Some(UNIX_EPOCH));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Validity::of(&bytes);
        }

        #[test]
        fn a_damaged_certificate_neither(at in 0..200_usize, byte in any::<u8>(), cut in 0..400_usize) {
            let mut bytes = certificate((2024, 1, 1), (2025, 1, 1));
            bytes[at] = byte;
            bytes.truncate(cut);
            let _ = Validity::of(&bytes);
        }
    }
}
