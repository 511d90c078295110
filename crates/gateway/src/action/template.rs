//! Text with places in it that a request fills: `/v2/{id}`, `https://{host}{path}?{query}`.
//!
//! What a request puts in is in one spelling (`route/reading.rs`), so it holds no space, control character, quote or bare slash; a path
//! that could lead elsewhere has no parts at all. What is put together is looked at once more as a whole.

use bytes::Bytes;

use super::Error;
use crate::route::{Ambiguous, Named, Parts, Pattern, is_one_path, without_port};

/// Longer ones are a mistake.
const BYTES_MAX: usize = 2048;

/// What a location may name besides the parts of the path.
const PLACES: [&str; 4] = ["host", "port", "path", "query"];

#[derive(Clone, Debug)]
pub(super) struct Template(Box<[Piece]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<[u8]>),
    /// A named part of the path.
    Named(Named),
    /// The same after a `?`.
    NamedInQuery(Named),
    /// The host without its port.
    Host,
    /// The port that the client has named. Where it has named none, the colon before it is left out, too.
    Port,
    Path,
    PathInQuery,
    Query,
}

/// What a request puts in.
pub(super) struct Filling<'a> {
    pub(super) host: &'a [u8],
    pub(super) path: &'a [u8],
    pub(super) query: &'a [u8],
    pub(super) tail_begins: usize,
}

/// A piece as it is written.
enum Written<'a> {
    Literal(&'a str),
    Place(&'a str),
}

impl Template {
    /// A path that is sent to an upstream: segments and named parts of `pattern`.
    pub(super) fn path(written: &str, pattern: &Pattern) -> Result<Self, Error> {
        if !written.starts_with('/') {
            return Err(Error::Relative(written.to_owned()));
        }
        let pieces = pieces(written)?;
        let made = pieces.iter().map(|piece| match piece {
            Written::Literal(text) => literal_of_path(text),
            Written::Place(name) => named(name, pattern, &[]).map(Piece::Named),
        });
        let template = Self(made.collect::<Result<_, _>>()?);
        if is_one_path(&template.with_sample()) { Ok(template) } else { Err(Error::Path(written.to_owned())) }
    }

    /// The path that ordinary parts make.
    fn with_sample(&self) -> Vec<u8> {
        let mut sample = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => join(&mut sample, text),
                _ => sample.push(b'x'),
            }
        }
        sample
    }

    /// Where a redirect leads: an absolute URL, or a path on the same host.
    pub(super) fn location(written: &str, pattern: &Pattern) -> Result<Self, Error> {
        let absolute = ["http://", "https://"].iter().find_map(|scheme| Some((*scheme, written.strip_prefix(scheme)?)));
        let mut made = Vec::new();
        let rest = match absolute {
            Some((scheme, rest)) => {
                let end = rest.find(['/', '?', '#']).into_iter().chain(rest.find("{path}")).min().unwrap_or(rest.len());
                made.push(Piece::Literal(scheme.as_bytes().into()));
                made.extend(authority(&rest[..end], written)?);
                &rest[end..]
            }
            // `//host` and `/\host` lead to another host, too.
            None if written.starts_with("{path}") || (written.starts_with('/') && !written.starts_with("//")) => written,
            None => return Err(Error::Location(written.to_owned())),
        };
        let mut in_query = false;
        for piece in pieces(rest)? {
            made.push(match piece {
                Written::Literal(text) => {
                    let piece = literal(text)?;
                    in_query |= text.contains(['?', '#']);
                    piece
                }
                Written::Place("host") => Piece::Host,
                Written::Place("path") if in_query => Piece::PathInQuery,
                Written::Place("path") => Piece::Path,
                Written::Place("query") if in_query => Piece::Query,
                Written::Place("query") => return Err(Error::QueryPlace(written.to_owned())),
                Written::Place("port") => return Err(Error::PortPlace(written.to_owned())),
                Written::Place(name) if in_query => Piece::NamedInQuery(named(name, pattern, &PLACES)?),
                Written::Place(name) => Piece::Named(named(name, pattern, &PLACES)?),
            });
        }
        Ok(Self(made.into()))
    }

    /// A path for an upstream, which every server reads alike as far as the parts allow.
    pub(super) fn fill_path(&self, filling: &Filling<'_>) -> Result<Vec<u8>, Ambiguous> {
        let path = self.fill(filling)?;
        if is_one_path(&path) { Ok(path) } else { Err(Ambiguous) }
    }

    pub(super) fn fill_location(&self, filling: &Filling<'_>) -> Result<Bytes, Ambiguous> {
        let location = self.fill(filling)?;
        let leads_elsewhere = matches!(location[..], [b'/', b'/' | b'\\', ..]);
        if leads_elsewhere { Err(Ambiguous) } else { Ok(location.into()) }
    }

    fn fill(&self, filling: &Filling<'_>) -> Result<Vec<u8>, Ambiguous> {
        let mut out = Vec::with_capacity(64 + filling.path.len() + filling.query.len());
        let parts = if self.needs_path() { Some(Parts::of(filling.path)?) } else { None };
        let part = |named: Named| {
            let parts = parts.as_ref().ok_or(Ambiguous)?;
            match named {
                Named::Segment(index) => parts.segment(index),
                Named::Tail => parts.tail(filling.tail_begins),
            }
        };
        let path = || parts.as_ref().map(Parts::path).ok_or(Ambiguous);
        for (index, piece) in self.0.iter().enumerate() {
            match piece {
                Piece::Literal(text) => join(&mut out, text),
                Piece::Named(named) => join(&mut out, part(*named)?),
                Piece::NamedInQuery(named) => push_in_query(&mut out, part(*named)?),
                Piece::Host => out.extend_from_slice(Some(without_port(filling.host)).filter(|host| !host.is_empty()).ok_or(Ambiguous)?),
                Piece::Port => push_port(&mut out, filling.host),
                Piece::Path => join(&mut out, path()?),
                Piece::PathInQuery => push_in_query(&mut out, path()?),
                Piece::Query => push_query(&mut out, filling.query, self.query_ends_at(index)),
            }
        }
        Ok(out)
    }

    /// Whether nothing of the query follows this piece.
    fn query_ends_at(&self, index: usize) -> bool {
        match self.0.get(index + 1) {
            None => true,
            Some(next) => matches!(next, Piece::Literal(text) if text.starts_with(b"#")),
        }
    }

    fn needs_path(&self) -> bool {
        !self.0.iter().all(|piece| matches!(piece, Piece::Literal(_) | Piece::Host | Piece::Port | Piece::Query))
    }
}

/// A part may be empty: the slashes around it become one.
fn join(out: &mut Vec<u8>, text: &[u8]) {
    let is_double = out.ends_with(b"/") && !out.ends_with(b"//") && text.starts_with(b"/");
    out.extend_from_slice(if is_double { &text[1..] } else { text });
}

/// What would end a parameter, or begin another, is encoded.
fn push_in_query(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'&' | b'=' | b'+' | b';' => out.extend(format!("%{byte:02X}").into_bytes()),
            _ => out.push(*byte),
        }
    }
}

fn push_port(out: &mut Vec<u8>, host: &[u8]) {
    let named = host.iter().rposition(|byte| *byte == b':').map(|colon| &host[colon + 1..]);
    match named.filter(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit)) {
        Some(port) => out.extend_from_slice(port),
        None if out.ends_with(b":") => drop(out.pop()),
        None => {}
    }
}

/// The request's own query. Where it has none, what leads to it is left out, unless more follows, which would become a part of what stands before.
fn push_query(out: &mut Vec<u8>, query: &[u8], is_end: bool) {
    if query.is_empty() && is_end && matches!(out.last(), Some(b'?' | b'&')) {
        out.pop();
    }
    for byte in query {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
}

fn pieces(written: &str) -> Result<Vec<Written<'_>>, Error> {
    if written.len() > BYTES_MAX {
        return Err(Error::TooLong(written.len()));
    }
    let mut pieces = Vec::new();
    let mut rest = written;
    while !rest.is_empty() {
        let (before, after) = rest.split_at(rest.find('{').unwrap_or(rest.len()));
        if before.contains('}') {
            return Err(Error::Brace(written.to_owned()));
        }
        if !before.is_empty() {
            pieces.push(Written::Literal(before));
        }
        rest = match after.strip_prefix('{').map(|inside| inside.split_once('}')) {
            None => after,
            Some(Some((name, after))) => {
                // As the pattern writes it, or by the name alone.
                pieces.push(Written::Place(name.strip_suffix("...").unwrap_or(name)));
                after
            }
            Some(None) => return Err(Error::Brace(written.to_owned())),
        };
    }
    Ok(pieces)
}

fn literal_of_path(text: &str) -> Result<Piece, Error> {
    if text.contains(['?', '#']) {
        return Err(Error::Query(text.to_owned()));
    }
    literal(text)
}

/// Visible ASCII, and nothing that a server or a browser would read as something else.
fn literal(text: &str) -> Result<Piece, Error> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if text.bytes().all(is_plain) { Ok(Piece::Literal(text.as_bytes().into())) } else { Err(Error::Characters(text.to_owned())) }
}

/// Host and port of an absolute URL: written out, or the host that was asked for. Parts of a path could name any host.
fn authority(text: &str, written: &str) -> Result<Vec<Piece>, Error> {
    let pieces = pieces(text)?;
    let made = pieces.iter().enumerate().map(|(index, piece)| match piece {
        Written::Literal(text) if text.contains('@') => Err(Error::Location(written.to_owned())),
        Written::Literal(text) => literal(text),
        Written::Place("host") => Ok(Piece::Host),
        Written::Place("port") if index + 1 == pieces.len() && follows_host(&pieces[..index]) => Ok(Piece::Port),
        Written::Place("port") => Err(Error::PortPlace(written.to_owned())),
        Written::Place(name) => Err(Error::PartInHost((*name).to_owned())),
    });
    let made: Vec<_> = made.collect::<Result<_, _>>()?;
    if made.is_empty() { Err(Error::Location(written.to_owned())) } else { Ok(made) }
}

/// Whether what comes next is a port, and the colon before it may be left out.
fn follows_host(pieces: &[Written<'_>]) -> bool {
    let Some((Written::Literal(last), before)) = pieces.split_last() else { return false };
    let is_host = |host: &str| !(host.is_empty() && before.is_empty()) && (!host.contains(':') || host.ends_with(']'));
    last.strip_suffix(':').is_some_and(is_host)
}

fn named(name: &str, pattern: &Pattern, others: &[&str]) -> Result<Named, Error> {
    pattern.named(name).ok_or_else(|| {
        let known: Vec<_> = pattern.names().chain(others.iter().copied()).map(|name| format!("{{{name}}}")).collect();
        Error::Unknown { name: name.to_owned(), known: if known.is_empty() { "none".to_owned() } else { known.join(", ") } }
    })
}
