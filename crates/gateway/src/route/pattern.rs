//! Which paths a route takes: `/health`, `/api/*`, `/users/{id}/orders`, `/files/{rest...}`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::{Error, reading, segments};

/// Deeper paths are matched by what they begin with.
const SEGMENTS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;

/// Names that stand for something else wherever a part of the path can be put in.
const RESERVED: [&str; 4] = ["host", "port", "path", "query"];

/// The pattern of a path: segments that are written out, segments with a name, and perhaps everything below.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As the operator wrote it: the `http.route` of logs and metrics.
    written: Arc<str>,
    segments: Box<[Segment]>,
    tail: Option<Tail>,
}

#[derive(Clone, Debug)]
pub(super) enum Segment {
    /// In the one spelling of [`reading::canonical`].
    Literal(Box<[u8]>),
    /// Any one segment that is not empty.
    Named(Box<str>),
}

/// Everything from here on, nothing included.
#[derive(Clone, Debug)]
pub(super) struct Tail {
    name: Option<Box<str>>,
}

/// A part of a path that a pattern gives a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Segment(usize),
    Tail,
}

impl Pattern {
    pub fn parse(written: &str) -> Result<Self, Error> {
        if !written.starts_with('/') {
            return Err(Error::Relative(written.to_owned()));
        }
        if let Some((before, _)) = written.split_once(['?', '#']) {
            return Err(Error::Query(before.to_owned()));
        }
        let (path, tail) = split_tail(written)?;
        if path.contains('*') {
            return Err(Error::Star(written.to_owned()));
        }
        check_normal(written, path, tail.is_some())?;
        let parts: Vec<_> = if tail.is_some() && path.is_empty() { Vec::new() } else { path.split('/').skip(1).collect() };
        if parts.len() > SEGMENTS_MAX {
            return Err(Error::TooDeep(written.to_owned()));
        }
        let segments = parts.into_iter().map(parse_segment).collect::<Result<Box<[_]>, _>>()?;
        let pattern = Self { written: written.into(), segments, tail };
        let mut names: Vec<_> = pattern.names().collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(twice) => Err(Error::NameTwice(twice[0].to_owned())),
            None => Ok(pattern),
        }
    }

    /// Whether it takes every path.
    pub fn is_everything(&self) -> bool {
        self.segments.is_empty() && self.tail.is_some()
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    pub(crate) fn written(&self) -> &Arc<str> {
        &self.written
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// The names that it gives, from left to right.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let tail = self.tail.as_ref().and_then(|tail| tail.name.as_deref());
        self.segments.iter().filter_map(Segment::name).chain(tail)
    }

    /// What a name stands for.
    pub(crate) fn named(&self, name: &str) -> Option<Named> {
        if self.tail.as_ref().is_some_and(|tail| tail.name.as_deref() == Some(name)) {
            return Some(Named::Tail);
        }
        self.segments.iter().position(|segment| segment.name() == Some(name)).map(Named::Segment)
    }

    /// Whether it takes the same paths, whatever names it gives to their parts.
    pub(super) fn takes_the_same(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Segment, &Segment)| match (one, other) {
            (Segment::Literal(one), Segment::Literal(other)) => one == other,
            (one, other) => one.name().is_some() == other.name().is_some(),
        };
        self.segments.len() == other.segments.len()
            && self.tail.is_some() == other.tail.is_some()
            && self.segments.iter().zip(&other.segments).all(is_same)
    }

    /// How many segments stand before everything else; `None` for a pattern that has an end.
    pub(crate) fn tail_begins(&self) -> Option<usize> {
        self.tail.is_some().then_some(self.segments.len())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.written == other.written
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.written)
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Named(name) => Some(name),
        }
    }
}

/// What stands before `/*` or `/{name...}`, and that.
fn split_tail(written: &str) -> Result<(&str, Option<Tail>), Error> {
    let (before, last) = written.rsplit_once('/').expect("it begins with a slash");
    if last == "*" {
        return Ok((before, Some(Tail { name: None })));
    }
    match last.strip_prefix('{').and_then(|rest| rest.strip_suffix("...}")) {
        Some(name) => Ok((before, Some(Tail { name: Some(parse_name(name)?) }))),
        None => Ok((written, None)),
    }
}

/// A route that no path could ever reach, because the paths that mean it are all read as another, is a mistake.
fn check_normal(written: &str, path: &str, has_tail: bool) -> Result<(), Error> {
    if has_tail && path.is_empty() {
        return Ok(());
    }
    let normal = reading::normal(path.as_bytes());
    if normal == reading::canonical(path.as_bytes()) && !(has_tail && path.ends_with('/')) {
        return Ok(());
    }
    let normal = String::from_utf8_lossy(&normal).replace("%7B", "{").replace("%7D", "}");
    let tail = &written[path.len()..];
    let normal = if has_tail { format!("{}{tail}", normal.trim_end_matches('/')) } else { normal };
    Err(Error::NotNormal { written: written.to_owned(), normal })
}

fn parse_segment(written: &str) -> Result<Segment, Error> {
    match written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(name) if name.ends_with("...") => Err(Error::TailInside(written.to_owned())),
        Some(name) => parse_name(name).map(Segment::Named),
        None if written.contains(['{', '}']) => Err(Error::Brace(written.to_owned())),
        None => Ok(Segment::Literal(reading::canonical(written.as_bytes()).into())),
    }
}

fn parse_name(name: &str) -> Result<Box<str>, Error> {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let begins_well = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
    match name {
        _ if RESERVED.contains(&name) => Err(Error::NameReserved(name.to_owned())),
        _ if is_word && begins_well && name.len() <= NAME_BYTES_MAX => Ok(name.into()),
        _ => Err(Error::Name(name.to_owned())),
    }
}

/// What the names of a pattern stand for in one path.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    path: Cow<'a, [u8]>,
}

/// Servers read the path in ways that would put different things in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

impl<'a> Parts<'a> {
    /// The parts of a path whose route is already found. What is taken out of a path and put elsewhere must mean the same to everybody.
    pub(crate) fn of(path: &'a [u8]) -> Result<Self, Ambiguous> {
        let path = if path.is_empty() { b"/" } else { path };
        reading::without_steps(path).map(|path| Self { path }).ok_or(Ambiguous)
    }

    pub(crate) fn path(&self) -> &[u8] {
        &self.path
    }

    /// What a name of the pattern stands for.
    pub(crate) fn named(&self, pattern: &Pattern, name: &str) -> Result<&[u8], Ambiguous> {
        match pattern.named(name) {
            Some(Named::Segment(index)) => self.segment(index),
            Some(Named::Tail) => self.tail(pattern.segments.len()),
            None => Err(Ambiguous),
        }
    }

    /// What comes after so many segments, without its slash.
    pub(crate) fn tail(&self, count: usize) -> Result<&[u8], Ambiguous> {
        self.from(count).map(|rest| rest.get(1..).unwrap_or_default())
    }

    /// One segment, which is one to everybody.
    pub(crate) fn segment(&self, index: usize) -> Result<&[u8], Ambiguous> {
        let segment = segments(&self.path).nth(index).unwrap_or_default();
        if segment.is_empty() || reading::holds_slash(segment) { Err(Ambiguous) } else { Ok(segment) }
    }

    /// What comes after so many segments, from its slash on. Those that are left behind must be segments to everybody, too.
    pub(crate) fn from(&self, count: usize) -> Result<&[u8], Ambiguous> {
        let mut rest: &[u8] = &self.path;
        for _ in 0..count {
            let segment = rest.get(1..).unwrap_or_default();
            let (segment, after) = segment.split_at(memchr::memchr(b'/', segment).unwrap_or(segment.len()));
            if reading::holds_slash(segment) {
                return Err(Ambiguous);
            }
            rest = after;
        }
        Ok(rest)
    }
}
