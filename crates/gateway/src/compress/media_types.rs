//! Which kinds of content get smaller. Pictures, films, fonts and archives are compressed already: more work makes them larger.

/// Patterns of media types.
#[derive(Clone, Debug, Default)]
pub struct MediaTypes(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// `image/svg+xml`
    Exact(Box<str>),
    /// `text/*`: up to and with the slash.
    Top(Box<str>),
    /// `*+json`: from the plus on.
    Suffix(Box<str>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no pattern of media types: write one such as \"text/*\", \"application/json\" or \"*+json\"")]
pub struct NotAMediaType(pub String);

impl MediaTypes {
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, NotAMediaType> {
        patterns.into_iter().map(Pattern::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the value of a `Content-Type` field is of one of these types, whatever its parameters.
    pub(crate) fn contain(&self, content_type: &[u8]) -> bool {
        let end = memchr::memchr(b';', content_type).unwrap_or(content_type.len());
        let essence = content_type[..end].trim_ascii();
        self.0.iter().any(|pattern| pattern.matches(essence))
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, NotAMediaType> {
        let is_token = |part: &str| !part.is_empty() && part.bytes().all(is_token_byte);
        let pattern = match text.split_once('/') {
            Some((top, "*")) if is_token(top) => Some(Self::Top(format!("{top}/").into())),
            Some((top, sub)) if is_token(top) && is_token(sub) => Some(Self::Exact(text.into())),
            None => text
                .strip_prefix('*')
                .filter(|suffix| suffix.strip_prefix('+').is_some_and(is_token))
                .map(|suffix| Self::Suffix(suffix.into())),
            _ => None,
        };
        pattern.ok_or_else(|| NotAMediaType(text.to_owned()))
    }

    fn matches(&self, essence: &[u8]) -> bool {
        match self {
            Self::Exact(whole) => essence.eq_ignore_ascii_case(whole.as_bytes()),
            Self::Top(start) => essence.get(..start.len()).is_some_and(|each| each.eq_ignore_ascii_case(start.as_bytes())),
            Self::Suffix(end) => {
                essence.len().checked_sub(end.len()).is_some_and(|from| essence[from..].eq_ignore_ascii_case(end.as_bytes()))
            }
        }
    }
}

/// RFC 6838, section 4.2, without the plus that begins a suffix: it may stand in a name as well.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_case_do_not_matter() {
        let types = MediaTypes::new(["text/*", "application/json", "*+json"]).unwrap();
        for kind in [
            "text/html",
            "text/html; charset=utf-8",
            "TEXT/Plain",
            "text/event-stream",
            "application/json",
            "application/json;charset=utf-8",
            "application/problem+json",
            "application/vnd.api+JSON ; x=y",
        ] {
            assert!(types.contain(kind.as_bytes()), "{kind}");
        }
        for kind in
            ["", "text", "application/jsonx", "application/json+x", "image/png", "application/octet-stream", "json", "+jso", "x/text/html"]
        {
            assert!(!types.contain(kind.as_bytes()), "{kind}");
        }
        assert!(!MediaTypes::default().contain(b"text/html"));
    }

    #[test]
    fn what_is_no_pattern_is_turned_down() {
        for text in ["", "*", "*/*", "*/json", "text", "text/", "/html", "text/html; charset=utf-8", "*json", "*+", "te xt/*", "text/*x"] {
            assert_eq!(MediaTypes::new([text]).unwrap_err(), NotAMediaType(text.to_owned()));
        }
    }
}
