//! Which names hold a hash of the content, as build tools write them: `app.3f2a9c1b.js`, `index-BXk3f2aQ.js`, `main-4RQPH6JX.css`. Pure.
//!
//! Who takes a plain name for a hashed one sends a year of stale pages, who does the opposite a question per visit. So only what tools write is
//! looked at, and a word with a number after it, such as `Version2`, is none.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What build tools put hashes on. Pages and documents are linked to by people, under names that stay.
const ENDINGS: [&str; 26] = [
    "js", "mjs", "cjs", "css", "map", "wasm", "json", "svg", "png", "jpg", "jpeg", "gif", "webp", "avif", "ico", "bmp", "woff", "woff2",
    "ttf", "otf", "eot", "mp4", "webm", "ogg", "mp3", "wav",
];

/// Vite, Rollup, esbuild and Angular cut their hashes to this.
const SHORT: usize = 8;
/// Hexadecimal hashes have this many digits or more: Parcel and webpack 8 and more, Next.js 16, Rails 64.
const HEX_MIN: usize = 8;

pub(super) fn is_hashed(path: &Path) -> bool {
    let (Some(stem), Some(ending)) = (path.file_stem(), path.extension().and_then(|ending| ending.to_str())) else { return false };
    let stem = without_second_ending(stem.as_bytes());
    ENDINGS.iter().any(|each| ending.eq_ignore_ascii_case(each)) && (ends_in_hex(stem) || ends_in_short_hash(stem))
}

/// `app.3f2a9c1b.js.map` is hashed as `app.3f2a9c1b.js` is.
fn without_second_ending(stem: &[u8]) -> &[u8] {
    [&b".js"[..], b".mjs", b".css", b".min"].iter().find_map(|ending| stem.strip_suffix(*ending)).unwrap_or(stem)
}

/// After a separator, hexadecimal digits to the end, of one case, letters and digits both: `20241231` is a date.
fn ends_in_hex(stem: &[u8]) -> bool {
    let start = stem.iter().rposition(|byte| matches!(byte, b'.' | b'-' | b'_')).map_or(0, |separator| separator + 1);
    let last = &stem[start..];
    let is_lower = last.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    let is_upper = last.iter().all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte));
    last.len() >= HEX_MIN && (is_lower || is_upper) && is_mixed(last)
}

/// After a separator, eight characters of base 64 or 32 that make no word with a number after it.
fn ends_in_short_hash(stem: &[u8]) -> bool {
    let Some((rest, last)) = stem.len().checked_sub(SHORT).map(|start| stem.split_at(start)) else { return false };
    let follows_separator = matches!(rest.last(), Some(b'.' | b'-'));
    let is_base32 = last.iter().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(byte));
    let is_base64 = last.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let has_both_cases = last.iter().any(u8::is_ascii_lowercase) && last.iter().any(u8::is_ascii_uppercase);
    let has_inner_digit = last.windows(2).any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic());
    follows_separator && has_inner_digit && is_mixed(last) && (is_base32 || (is_base64 && has_both_cases))
}

fn is_mixed(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_digit) && text.iter().any(u8::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_tools_write_them() {
        for name in [
            "app.3f2a9c1b.js",
            "main.55e7cbb9ba48.css",
            "index-BXk3f2aQ.js",
            "index-D_k-3fAz.css",
            "main-4RQPH6JX.js",
            "static/media/logo.6ce24c58023cc2f8fd88fe9d219db6c6.svg",
            "application-8de5cd3bf0fbf5d1c8c0b5b0c9d5d8e0f1a2b3c4.js",
            "app.3f2a9c1b.js.map",
            "chunk.3F2A9C1B.MJS",
            "3f2a9c1b.woff2",
            "vendor_3f2a9c1b.js",
        ] {
            assert!(is_hashed(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn names_as_people_write_them() {
        for name in [
            "index.html",
            "app.js",
            "jquery-3.7.1.min.js",
            "photo-20241231.png",
            "report-Version2.js",
            "page-onMyPage.js",
            "logo-MyPage12.svg",
            "favicon.ico",
            "IMG-12345678.jpg",
            "a-deadbeef.js",
            "style.facade.css",
            "index-BXk3f2aQ.html",
            "3f2a9c1b.pdf",
            "3f2a9c1b",
            "app.3f2a9c1.js",
            "apple-touch-icon-152x152.png",
            "lib-BXk3f2aQ1.js",
            "BXk3f2aQ.js",
            ".js",
            "",
        ] {
            assert!(!is_hashed(Path::new(name)), "{name}");
        }
    }
}
