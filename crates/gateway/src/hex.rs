//! Hexadecimal digits, and the percent-encoding that is made of them (RFC 3986, section 2.1).

pub(crate) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

/// The byte that a text begins with, if it begins with an encoded one.
pub(crate) fn percent_encoded(text: &[u8]) -> Option<u8> {
    match text {
        [b'%', high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}
