//! What the name of a file says of its content. Pure.
//!
//! A short table of what the web is made of: what is missing is downloaded, which is safe, and nothing here depends on a machine's own lists.

use std::path::Path;

/// What browsers offer to save.
const UNKNOWN: &str = "application/octet-stream";

pub(super) fn of(path: &Path) -> &'static str {
    let Some(ending) = path.extension().and_then(|ending| ending.to_str()) else { return UNKNOWN };
    match ending.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" | "cjs" => "text/javascript; charset=utf-8",
        "txt" | "log" => "text/plain; charset=utf-8",
        "md" => "text/markdown; charset=utf-8",
        "csv" => "text/csv; charset=utf-8",
        "ics" => "text/calendar; charset=utf-8",
        "vtt" => "text/vtt; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "ndjson" => "application/x-ndjson",
        "xml" => "application/xml",
        "xhtml" => "application/xhtml+xml",
        "rss" => "application/rss+xml",
        "atom" => "application/atom+xml",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "wasm" => "application/wasm",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" | "tgz" => "application/gzip",
        "zst" => "application/zstd",
        "tar" => "application/x-tar",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "ico" => "image/vnd.microsoft.icon",
        "bmp" => "image/bmp",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "otf" => "font/otf",
        "mp3" => "audio/mpeg",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "m4a" => "audio/mp4",
        "mp4" | "m4v" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "m3u8" => "application/vnd.apple.mpegurl",
        "ts" => "video/mp2t",
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ending_counts_whatever_its_case() {
        assert_eq!(of(Path::new("a/INDEX.HTML")), "text/html; charset=utf-8");
        assert_eq!(of(Path::new("app.3f2a9c1b.js")), "text/javascript; charset=utf-8");
        assert_eq!(of(Path::new("app.js.map")), "application/json");
        for name in ["README", "a.js/b", ".html", "x.exe", ""] {
            assert_eq!(of(Path::new(name)), UNKNOWN, "{name}");
        }
    }
}
