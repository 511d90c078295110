//! Text with places that are filled in anew for each request, taken apart once so that filling in is only copying.

use std::time::SystemTime;

/// Names of the places, as in `{{uuid}}`.
pub const PLACEHOLDERS: [&str; 4] = ["uuid", "n", "user", "now_ms"];

/// What is filled in. One set serves a whole request: two `{{uuid}}` in it are the same.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Values {
    pub(crate) uuid: u128,
    /// The request's number in the run, from 0.
    pub(crate) n: u64,
    /// The virtual user's number, from 0.
    pub(crate) user: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    Uuid,
    Number,
    User,
    NowMs,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Template(Vec<Piece>);

impl Template {
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(open) = memchr::memmem::find(rest, b"{{") {
            let (before, place) = (&rest[..open], &rest[open + 2..]);
            let close = memchr::memmem::find(place, b"}}").ok_or("a `{{` is not closed by `}}`")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_vec()));
            }
            pieces.push(Piece::named(&place[..close])?);
            rest = &place[close + 2..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_vec()));
        }
        Ok(Self(pieces))
    }

    /// The text, when there is nothing to fill in.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match self.0.as_slice() {
            [] => Some(b""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn render(&self, values: &Values, out: &mut Vec<u8>) {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Uuid => write_uuid(values.uuid, out),
                Piece::Number => write_number(values.n, out),
                Piece::User => write_number(values.user, out),
                Piece::NowMs => write_number(now_ms(), out),
            }
        }
    }
}

impl Piece {
    fn named(name: &[u8]) -> Result<Self, String> {
        Ok(match name.trim_ascii() {
            b"uuid" => Self::Uuid,
            b"n" => Self::Number,
            b"user" => Self::User,
            b"now_ms" => Self::NowMs,
            other => {
                let known = PLACEHOLDERS.map(|name| format!("{{{{{name}}}}}")).join(", ");
                return Err(format!("there is no placeholder `{{{{{}}}}}`; there are {known}", String::from_utf8_lossy(other)));
            }
        })
    }
}

pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Version 4: random but for six bits.
fn write_uuid(random: u128, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = (random & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    for (index, byte) in bits.to_be_bytes().into_iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            out.push(b'-');
        }
        out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str, values: &Values) -> String {
        let mut out = Vec::new();
        Template::parse(text.as_bytes()).unwrap().render(values, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn places_are_filled_in_and_the_rest_is_kept() {
        let values = Values { uuid: u128::MAX, n: 41, user: 7 };
        assert_eq!(rendered("/a/{{n}}?u={{ user }}", &values), "/a/41?u=7");
        assert_eq!(rendered("{{uuid}}", &values), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(rendered(r#"{"a":{"b":1}}"#, &values), r#"{"a":{"b":1}}"#);
        assert!(rendered("{{now_ms}}", &values).parse::<u64>().unwrap() > 1_700_000_000_000);
    }

    #[test]
    fn text_without_places_is_known_to_be_fixed() {
        assert_eq!(Template::parse(b"plain").unwrap().fixed(), Some(&b"plain"[..]));
        assert_eq!(Template::parse(b"").unwrap().fixed(), Some(&b""[..]));
        assert_eq!(Template::parse(b"a{{n}}").unwrap().fixed(), None);
    }

    #[test]
    fn an_unknown_place_names_those_there_are() {
        let error = Template::parse(b"{{guid}}").unwrap_err();
        assert!(error.contains("`{{guid}}`") && error.contains("{{uuid}}"), "{error}");
        Template::parse(b"{{n").unwrap_err();
    }
}
