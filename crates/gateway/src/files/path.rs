//! From the path of a request to that of a file. Pure.
//!
//! Only what can be read in one way is read at all: no empty segments, no steps, no encoded separators. Names that begin with a dot are nobody's
//! business (`.git`, `.env`), but for `.well-known`, which is everybody's (RFC 8615).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::hex;

/// What stands for a directory.
const INDEX: &str = "index.html";

/// What a request asks for, relative to the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Empty for the directory itself.
    pub(super) path: PathBuf,
    /// The path ends in a slash.
    pub(super) is_directory: bool,
}

impl Wanted {
    /// The file that is meant.
    pub(crate) fn file(&self) -> PathBuf {
        if self.is_directory { self.index() } else { self.path.clone() }
    }

    pub(super) fn index(&self) -> PathBuf {
        self.path.join(INDEX)
    }
}

/// What a path means below its first `depth` segments; `None`: nothing that could be there.
pub(crate) fn below(path: &[u8], depth: usize) -> Option<Wanted> {
    let mut segments = path.strip_prefix(b"/")?.split(|byte| *byte == b'/').skip(depth).peekable();
    let mut wanted = Wanted { path: PathBuf::new(), is_directory: false };
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_none() {
            wanted.is_directory = true;
            break;
        }
        wanted.path.push(OsString::from_vec(name(segment)?));
    }
    Some(wanted)
}

/// A segment as the name of a file.
fn name(segment: &[u8]) -> Option<Vec<u8>> {
    let name = decode(segment)?;
    let is_hidden = name.first() == Some(&b'.') && name != b".well-known";
    let is_plain = !name.is_empty() && !name.iter().any(|byte| matches!(byte, b'/' | b'\\' | b'\0'));
    (is_plain && !is_hidden).then_some(name)
}

/// Undoes percent-encoding, once.
fn decode(segment: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment;
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            decoded.push(hex::percent_encoded(rest)?);
            rest = &rest[3..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(path: &str, depth: usize) -> Option<String> {
        below(path.as_bytes(), depth).map(|wanted| wanted.file().to_str().unwrap().to_owned())
    }

    #[test]
    fn a_path_is_read_below_the_route() {
        let cases = [
            ("/", 0, "index.html"),
            ("/app.js", 0, "app.js"),
            ("/assets/app.js", 1, "app.js"),
            ("/assets/a/b/", 1, "a/b/index.html"),
            ("/assets/", 1, "index.html"),
            ("/assets", 1, ""),
            ("/a%20b/%c3%A9.txt", 0, "a b/é.txt"),
            ("/a;b=c/d", 0, "a;b=c/d"),
            ("/..a/...", 5, ""),
            ("/.well-known/security.txt", 0, ".well-known/security.txt"),
            ("/%2561", 0, "%61"),
            ("/a..b/c.", 0, "a..b/c."),
        ];
        for (path, depth, expected) in cases {
            assert_eq!(file(path, depth).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_could_lead_elsewhere_leads_nowhere() {
        for path in [
            "/..",
            "/../x",
            "/a/../b",
            "/a/..",
            "/.",
            "/a/./b",
            "//",
            "//a",
            "/a//b",
            "/a//",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2fb",
            "/a%2F..%2Fb",
            "/a\\b",
            "/a%5Cb",
            "/..%5c",
            "/a%00",
            "/%",
            "/%2",
            "/%zz",
            "/%+1",
            "/.git/config",
            "/.env",
            "/a/.htpasswd",
            "/%2egit/x",
            "/.well-known/.git",
            "*",
            "",
        ] {
            assert_eq!(file(path, 0), None, "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_file_lies_below(path in "/[a%2eEfF5cC./\\\\]{0,30}", depth in 0_usize..3) {
            if let Some(wanted) = below(path.as_bytes(), depth) {
                let parts: Vec<_> = wanted.file().components().map(|part| matches!(part, std::path::Component::Normal(_))).collect();
                prop_assert!(parts.iter().all(|is_normal| *is_normal), "{path}");
            }
        }
    }
}
