//! `[gateway.compression]`: what is compressed on its way out, and in what.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]

use plimsoll_gateway::compress::MediaTypes;
use plimsoll_policy::content_coding::Coding;

use super::raw::{Raw, Read};
use super::route::Switch;
use super::settings::Settings;
use super::shape::{Choice, KIB, List, MIB, Named, Shape, Size, Whole, halves};
use super::table::table;

table! {
    /// Compression of answers on their way out, in what the client takes. What is compressed already, in parts, or must not be transformed is
    /// left alone. See docs/compression.md.
    struct Compression at [Settings.gateway.compression] {
        /// Whether answers are compressed. A route may say `compress = "off"` for itself.
        mode: Switch = Switch::On, Choice::<Switch>::new();
        /// Codings that are offered. A client that likes several equally gets the first of them.
        codings: Vec<Coding> = Coding::ALL.to_vec(), List(Choice::<Coding>::new());
        /// Media types that get smaller: `text/*` is everything that begins so, `*+json` everything that ends so.
        types: Vec<String> = types(), List(MediaType);
        /// Answers that announce less are sent as they are. Those that announce nothing are compressed.
        length_min: u64 = KIB, Size(1..=MIB);
        /// How hard zstd tries. Every step up is slower.
        zstd_level: u32 = 3, Whole(1..=9);
        /// How hard brotli tries.
        br_level: u32 = 4, Whole(1..=9);
        /// How hard gzip tries.
        gzip_level: u32 = 5, Whole(1..=9);
        /// Long answers that are compressed at a time, each of which takes about a megabyte; further ones are sent as they are. Event streams
        /// take half of these places at most.
        streams_max: usize = 256, Whole(0..=65_536);
    }
}

/// What the web is written in. Pictures, films, archives and most fonts are compressed already.
fn types() -> Vec<String> {
    [
        "text/*",
        "*+json",
        "*+xml",
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/javascript",
        "application/x-javascript",
        "application/wasm",
        "application/yaml",
        "application/toml",
        "font/ttf",
        "font/otf",
        "image/bmp",
        "image/vnd.microsoft.icon",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl Named for Coding {
    const ALL: &'static [(&'static str, Self)] =
        &[(Self::Zstd.token(), Self::Zstd), (Self::Brotli.token(), Self::Brotli), (Self::Gzip.token(), Self::Gzip)];
}

/// A pattern of media types.
struct MediaType;

impl Shape for MediaType {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a media type")?;
        match MediaTypes::new([text]) {
            Ok(_) => Ok(text.to_owned()),
            Err(error) => {
                let (problem, hint) = halves(&error);
                Err(raw.fault(problem, hint))
            }
        }
    }

    fn print(&self, value: &String) -> String {
        toml::Value::from(value.as_str()).to_string()
    }

    fn accepts(&self) -> String {
        "a media type such as \"application/json\", \"text/*\" or \"*+json\"".to_owned()
    }
}
