//! Which hosts a route takes: one by its name, everything below a name, or all.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;

use super::Error;
use super::tree::Tree;

/// Longer names do not exist (RFC 1035).
const HOST_BYTES_MAX: usize = 255;

/// The hosts of a route. Names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Host {
    #[default]
    Any,
    Name(Box<str>),
    /// Everything below this name, at any depth: `*.example.com`.
    Below(Box<str>),
}

impl Host {
    /// A name, `*.` and a name, or nothing for any host.
    pub fn parse(written: Option<&str>) -> Result<Self, Error> {
        let Some(written) = written else { return Ok(Self::Any) };
        let invalid = || Error::Host(written.to_owned());
        match written.strip_prefix("*.") {
            Some(name) => parse_name(name).filter(|name| !name.starts_with('[')).map(Self::Below),
            None => parse_name(written).map(Self::Name),
        }
        .ok_or_else(invalid)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Name(name) => formatter.write_str(name),
            Self::Below(name) => write!(formatter, "*.{name}"),
        }
    }
}

fn parse_name(written: &str) -> Option<Box<str>> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let bytes = written.as_bytes();
    let valid = match bytes {
        [b'[', address @ .., b']'] => address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)),
        _ => bytes.iter().all(is_name),
    };
    let name = without_port(bytes);
    let fits = valid && !name.is_empty() && name.len() <= HOST_BYTES_MAX && !name.starts_with(b".");
    fits.then(|| String::from_utf8_lossy(name).to_ascii_lowercase().into())
}

/// The name in a `Host` header: without the port and without the final dot of an absolute name.
pub(crate) fn without_port(host: &[u8]) -> &[u8] {
    let end = match host {
        [b'[', ..] => host.iter().position(|byte| *byte == b']').map(|bracket| bracket + 1),
        _ => host.iter().position(|byte| *byte == b':'),
    };
    let name = &host[..end.unwrap_or(host.len())];
    name.strip_suffix(b".").unwrap_or(name)
}

/// The trees of all hosts, each with the one that is asked next.
#[derive(Debug)]
pub(super) struct Hosts {
    /// The first is any host's.
    entries: Vec<Entry>,
    names: HashMap<Box<[u8]>, usize, RandomState>,
    below: HashMap<Box<[u8]>, usize, RandomState>,
    /// Labels of the longest name in `below`: longer ends of a host need not be looked up.
    labels_max: usize,
}

#[derive(Debug, Default)]
struct Entry {
    tree: Tree,
    /// Less specific hosts that take the same requests; any host's has none.
    next: Option<usize>,
    /// Every path leads to the same candidates, so that reading it is wasted time.
    is_one_for_all: bool,
}

/// The trees that a request's host leads to, the most specific first.
#[derive(Clone, Copy)]
pub(super) struct Chain<'a> {
    hosts: &'a Hosts,
    first: usize,
}

impl Default for Hosts {
    fn default() -> Self {
        let any = Entry { is_one_for_all: true, ..Entry::default() };
        Self { entries: vec![any], names: HashMap::default(), below: HashMap::default(), labels_max: 0 }
    }
}

impl Hosts {
    /// The tree of these hosts, which may be new.
    pub(super) fn tree(&mut self, host: &Host) -> &mut Tree {
        let (map, name) = match host {
            Host::Any => return &mut self.entries[0].tree,
            Host::Name(name) => (&mut self.names, name),
            Host::Below(name) => (&mut self.below, name),
        };
        let entries = &mut self.entries;
        let position = *map.entry(name.as_bytes().into()).or_insert_with(|| {
            entries.push(Entry::default());
            entries.len() - 1
        });
        &mut self.entries[position].tree
    }

    /// Puts those who share host and path in order, and joins the trees, once all routes are in.
    pub(super) fn seal(&mut self, mut put_in_order: impl FnMut(&mut Vec<usize>)) {
        self.entries.iter_mut().for_each(|entry| entry.tree.lists(&mut put_in_order));
        self.labels_max = self.below.keys().map(|name| labels(name)).max().unwrap_or(0);
        let nexts: Vec<_> = self.names.iter().chain(&self.below).map(|(name, position)| (*position, self.longest_below(name))).collect();
        for (position, next) in nexts {
            self.entries[position].next = Some(next.unwrap_or(0));
        }
        // From the end of each chain to its beginning; a chain is as long as a name has labels at most.
        for position in 0..self.entries.len() {
            let chain = Chain { hosts: self, first: position };
            let is_one_for_all = chain.trees().all(Tree::is_one_for_all);
            self.entries[position].is_one_for_all = is_one_for_all;
        }
    }

    /// Where a request for this host begins to look. As the client sent it: in any case, with or without port.
    pub(super) fn chain(&self, host: Option<&[u8]>) -> Chain<'_> {
        Chain { hosts: self, first: host.and_then(|host| self.find(host)).unwrap_or(0) }
    }

    fn find(&self, host: &[u8]) -> Option<usize> {
        if self.entries.len() == 1 {
            return None;
        }
        let name = without_port(host);
        let mut lower = [0; HOST_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.names.get(&*lower).copied().or_else(|| self.longest_below(lower))
    }

    /// The longest name that this one is below.
    fn longest_below(&self, name: &[u8]) -> Option<usize> {
        if self.below.is_empty() {
            return None;
        }
        let mut rest = name;
        let mut left = labels(name);
        while let Some(dot) = memchr::memchr(b'.', rest) {
            rest = &rest[dot + 1..];
            left -= 1;
            // An empty label is none: `.example.com` is below nothing.
            if dot > 0
                && left <= self.labels_max
                && let Some(position) = self.below.get(rest)
            {
                return Some(*position);
            }
        }
        None
    }
}

impl<'a> Chain<'a> {
    pub(super) fn trees(self) -> impl Iterator<Item = &'a Tree> {
        let entries = &self.hosts.entries;
        std::iter::successors(Some(self.first), |position| entries[*position].next).map(|position| &entries[position].tree)
    }

    pub(super) fn is_one_for_all(self) -> bool {
        self.hosts.entries[self.first].is_one_for_all
    }
}

fn labels(name: &[u8]) -> usize {
    memchr::memchr_iter(b'.', name).count() + 1
}
