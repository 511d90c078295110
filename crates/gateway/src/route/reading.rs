//! How servers read a path, when they do not all read it alike.
//!
//! The gateway forwards the bytes that the client wrote, so the instance reads them by its own rules. If the gateway matched by other
//! rules, a client could write a path that takes one route here and means another there: `/x/../admin`, `//admin`, `/x%2F..%2Fadmin`,
//! `/admin;x/`. Therefore:
//!
//! - What means the same to everybody is brought to one form: `/%61dmin` is `/admin`, `%2f` is `%2F`, `é` is `%C3%A9` (RFC 3986, 6.2.2).
//! - What servers differ about is read in every way: encoded slashes and backslashes separate segments or do not, parameters after `;`
//!   are cut or not, empty segments are merged or not, dot segments are removed or not. All readings must find the same route; if they
//!   do not, the path has none. An honest client's path has one reading, or readings that agree.
//! - Dot segments together with another doubt have no route at all: then the order matters in which a server applies its rules.
//!
//! Nothing is allocated for a path of ordinary characters.

use std::borrow::Cow;

use super::segments;
use crate::hex;

/// A set of the liberties that a server may take with a path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Liberties(u8);

impl Liberties {
    const NONE: Self = Self(0);
    /// `%2F`, `%5C` and `\` are `/`.
    const SLASHES: Self = Self(1);
    /// `;` ends the segment's name.
    const PARAMETERS: Self = Self(2);
    /// `//` is `/`.
    const MERGE: Self = Self(4);
    /// `.` and `..` are steps.
    const DOTS: Self = Self(8);
    const ALL: Self = Self(15);

    fn has(self, liberty: Self) -> bool {
        self.0 & liberty.0 != 0
    }

    fn subsets(self) -> impl Iterator<Item = Self> {
        (0..=Self::ALL.0).filter(move |bits| bits & !self.0 == 0).map(Self)
    }
}

/// What `find` says of the path, if it says the same of every reading.
pub(super) fn agreed<T: PartialEq>(path: &[u8], find: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    if is_ordinary(path) {
        return find(path);
    }
    let canonical = canonical(path);
    let doubts = doubts(&canonical);
    if doubts.has(Liberties::DOTS) && doubts != Liberties::DOTS {
        return None;
    }
    let found = find(&canonical);
    let all_agree = doubts.subsets().all(|liberties| find(&read(&canonical, liberties)) == found);
    if all_agree { found } else { None }
}

/// The path in the one spelling, if nothing in it leads elsewhere: no step, no empty segment but the last, no backslash. Slashes that are
/// encoded may be left in a segment, and parameters at its end.
pub(super) fn without_steps(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    if is_ordinary(path) {
        return Some(Cow::Borrowed(path));
    }
    let canonical = canonical(path);
    let doubts = doubts(&canonical);
    let leads_elsewhere = doubts.has(Liberties::DOTS) || doubts.has(Liberties::MERGE) || canonical.contains(&b'\\');
    (!leads_elsewhere).then_some(Cow::Owned(canonical))
}

/// Whether nothing in a path from the root leads elsewhere.
pub(crate) fn is_one_path(path: &[u8]) -> bool {
    path.starts_with(b"/") && without_steps(path).is_some()
}

/// Whether some servers take this segment for several.
pub(super) fn holds_slash(segment: &[u8]) -> bool {
    segment.iter().any(|byte| matches!(byte, b'%' | b'\\')) && separate(segment) != segment
}

/// The path as the server that takes every liberty reads it: the one form in which a route can be written.
pub(crate) fn normal(path: &[u8]) -> Vec<u8> {
    read(&canonical(path), Liberties::ALL)
}

/// One spelling for all that mean the same to everybody. A `%` that encodes nothing is a character like any other.
pub(super) fn canonical(path: &[u8]) -> Vec<u8> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut canonical = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, after @ ..] = rest {
        let (byte, encoded) = hex::percent_encoded(rest).map_or((*first, false), |byte| (byte, true));
        rest = if encoded { &rest[3..] } else { after };
        if is_plain(byte) || (!encoded && matches!(byte, b'/' | b'\\' | b';')) {
            canonical.push(byte);
        } else {
            canonical.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    canonical
}

/// What a segment may hold as itself (RFC 3986), apart from `;`, which some servers give a meaning.
const PLAIN: [bool; 256] = {
    let marks = b"-._~!$&'()*+,=:@";
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < marks.len() {
        plain[marks[index] as usize] = true;
        index += 1;
    }
    plain
};

fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Whether the path is in the one form already and everybody reads it alike.
fn is_ordinary(path: &[u8]) -> bool {
    path.iter().all(|byte| *byte == b'/' || is_plain(*byte)) && has_one_reading(path)
}

/// Whether nothing in the path could be in doubt. A segment that begins with a dot could be, until it is looked at closely.
fn has_one_reading(canonical: &[u8]) -> bool {
    let mut last = 0;
    canonical.iter().enumerate().all(|(index, byte)| {
        let is_odd = match byte {
            b'/' | b'.' => last == b'/',
            b';' | b'\\' => true,
            b'%' => matches!(canonical[index..], [_, b'2', b'F', ..] | [_, b'5', b'C', ..]),
            _ => false,
        };
        last = *byte;
        !is_odd
    })
}

/// The liberties that would make a difference to this path.
fn doubts(canonical: &[u8]) -> Liberties {
    let mut doubts = Liberties::NONE;
    if has_one_reading(canonical) {
        return doubts;
    }
    let separated = read(canonical, Liberties::SLASHES);
    if separated != canonical {
        doubts.0 |= Liberties::SLASHES.0;
    }
    let named = read(&separated, Liberties::PARAMETERS);
    if named != separated {
        doubts.0 |= Liberties::PARAMETERS.0;
    }
    if read(&named, Liberties::MERGE) != named {
        doubts.0 |= Liberties::MERGE.0;
    }
    if segments(&named).any(is_dots) {
        doubts.0 |= Liberties::DOTS.0;
    }
    doubts
}

fn is_dots(segment: &[u8]) -> bool {
    matches!(segment, b"." | b"..")
}

/// The path as a server with these liberties reads it.
fn read(canonical: &[u8], liberties: Liberties) -> Vec<u8> {
    let separated = if liberties.has(Liberties::SLASHES) { separate(canonical) } else { canonical.to_vec() };
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut names = segments(&separated).peekable();
    while let Some(segment) = names.next() {
        let is_last = names.peek().is_none();
        let name = match segment.iter().position(|byte| *byte == b';') {
            Some(end) if liberties.has(Liberties::PARAMETERS) => &segment[..end],
            _ => segment,
        };
        if liberties.has(Liberties::DOTS) && is_dots(name) {
            if name == b".." {
                kept.pop();
            }
            // A step leads into a directory: `/a/b/..` is `/a/`.
            if is_last {
                kept.push(b"");
            }
        } else if is_last || !name.is_empty() || !liberties.has(Liberties::MERGE) {
            kept.push(name);
        }
    }
    kept.iter().flat_map(|name| std::iter::once(b'/').chain(name.iter().copied())).collect()
}

fn separate(canonical: &[u8]) -> Vec<u8> {
    let mut separated = Vec::with_capacity(canonical.len());
    let mut rest = canonical;
    while let [first, after @ ..] = rest {
        let (byte, after) = match rest {
            [b'%', b'2', b'F', after @ ..] | [b'%', b'5', b'C', after @ ..] | [b'\\', after @ ..] => (b'/', after),
            _ => (*first, after),
        };
        separated.push(byte);
        rest = after;
    }
    separated
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn one_spelling_for_what_means_the_same() {
        let cases = [
            ("/admin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/caf\u{e9}", "/caf%C3%A9"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a%2fb%5cc", "/a%2Fb%5Cc"),
            ("/%40me", "/@me"),
            ("/a%3Bb", "/a%3Bb"),
            ("/100%", "/100%25"),
            ("/%%361", "/%2561"),
            ("/%2561", "/%2561"),
            ("/a b", "/a%20b"),
        ];
        for (written, expected) in cases {
            assert_eq!(text(&canonical(written.as_bytes())), expected, "{written}");
        }
    }

    #[test]
    fn the_normal_form_is_what_the_most_liberal_server_reads() {
        let cases = [
            ("/", "/"),
            ("/x/../admin/", "/admin/"),
            ("/a/./b", "/a/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/../..", "/"),
            ("//admin", "/admin"),
            ("/a///b//", "/a/b/"),
            ("/x%2f..%2Fadmin", "/admin"),
            ("/x\\..\\admin", "/admin"),
            ("/%2e%2E/admin", "/admin"),
            ("/admin;v=1/x;y", "/admin/x"),
            ("/x/..;a/admin", "/admin"),
            ("/.well-known/x", "/.well-known/x"),
            ("/a/...", "/a/..."),
            ("/x%252F", "/x%252F"),
        ];
        for (written, expected) in cases {
            assert_eq!(text(&normal(written.as_bytes())), expected, "{written}");
        }
    }

    #[test]
    fn ordinary_paths_are_not_copied() {
        for path in ["/", "/api/users/42", "/a.b/c..d", "/@me/~x/$y,z=1:2"] {
            assert!(is_ordinary(path.as_bytes()), "{path}");
            assert_eq!(text(&normal(path.as_bytes())), path);
        }
        for path in ["//", "/.", "/a/../b", "/%61", "/a;b", "/a\\b", "/\u{e9}"] {
            assert!(!is_ordinary(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #[test]
        fn both_forms_are_their_own(path in prop::collection::vec(prop::sample::select(b"/.%;\\2fFeE5cC61aA \xc3".to_vec()), 0..40)) {
            let path = [b"/", &*path].concat();
            let canonical = canonical(&path);
            prop_assert_eq!(super::canonical(&canonical), canonical);
            let normal = normal(&path);
            prop_assert_eq!(super::normal(&normal), normal);
        }

        #[test]
        fn a_path_called_ordinary_is_read_alike_by_all(path in "(/[ab.%;\\\\]{0,3}){1,5}") {
            let canonical = canonical(path.as_bytes());
            if is_ordinary(path.as_bytes()) {
                prop_assert_eq!(&canonical, path.as_bytes());
            }
            if has_one_reading(&canonical) {
                prop_assert_eq!(normal(path.as_bytes()), canonical);
            }
        }
    }
}
