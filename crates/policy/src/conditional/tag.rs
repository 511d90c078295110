//! Entity tags (RFC 9110, section 8.8.3). What stands between the quotes may hold commas, so lists of them are not simply split.

/// What two tags must have in common (section 8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// The same bytes, for certain.
    Strong,
    /// As good as the same.
    Weak,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag<'a> {
    pub(super) is_weak: bool,
    /// Between the quotes.
    opaque: &'a [u8],
}

impl<'a> Tag<'a> {
    /// The tag that a field consists of.
    pub(super) fn whole(value: &'a [u8]) -> Option<Self> {
        let (tag, rest) = Self::first(value.trim_ascii())?;
        rest.is_empty().then_some(tag)
    }

    /// The tag at the beginning, and what follows it.
    fn first(value: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (is_weak, quoted) = match value {
            [b'W', b'/', quoted @ ..] => (true, quoted),
            quoted => (false, quoted),
        };
        let [b'"', inner @ ..] = quoted else { return None };
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let opaque = &inner[..end];
        opaque.iter().all(|byte| is_opaque(*byte)).then_some((Self { is_weak, opaque }, &inner[end + 1..]))
    }

    pub(super) fn equals(&self, other: &Tag<'_>, how: Comparison) -> bool {
        let may_equal = how == Comparison::Weak || !(self.is_weak || other.is_weak);
        may_equal && self.opaque == other.opaque
    }
}

/// The tags of a list, up to the first thing that is none.
pub(super) fn tags(list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', after @ ..] = rest {
            rest = after;
        }
        let (tag, after) = Tag::first(rest)?;
        rest = after;
        Some(tag)
    })
}

fn is_opaque(byte: u8) -> bool {
    byte == b'!' || (b'#'..=b'~').contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(list: &str) -> Vec<(bool, String)> {
        tags(list.as_bytes()).map(|tag| (tag.is_weak, String::from_utf8_lossy(tag.opaque).into_owned())).collect()
    }

    #[test]
    fn lists_are_read_up_to_what_is_no_tag() {
        let tag = |is_weak, text: &str| (is_weak, text.to_owned());
        assert_eq!(listed("\"a\""), [tag(false, "a")]);
        assert_eq!(listed("\"a\",W/\"b\" , \"\""), [tag(false, "a"), tag(true, "b"), tag(false, "")]);
        assert_eq!(listed(",, \"a,b\",,\"c\""), [tag(false, "a,b"), tag(false, "c")]);
        assert_eq!(listed("\"a\", b, \"c\""), [tag(false, "a")]);
        assert_eq!(listed("w/\"a\""), []);
        assert_eq!(listed("\"a"), []);
        assert_eq!(listed("\"a b\""), []);
        assert_eq!(listed(""), []);
    }

    #[test]
    fn a_field_of_one_tag_holds_nothing_else() {
        assert!(Tag::whole(b" \"a\" ").is_some());
        assert!(Tag::whole(b"\"a\", \"b\"").is_none());
        assert!(Tag::whole(b"a").is_none());
    }
}
