//! Host and path choose the upstream. The most specific route wins, wherever it was declared.
//!
//! A route names a host (or none: any host) and a path: exact (`/health`), or a prefix at a segment boundary (`/api/*` is `/api` and
//! everything below it, not `/apix`). Host before no host, exact before prefix, longer prefix before shorter. Paths are case-sensitive.
//!
//! Each host has a tree of path segments, so a look-up costs the path's own length, however many routes there are.
//!
//! The path is forwarded as the client wrote it, and matched as servers may read it: `route/reading.rs` says why and how.

mod reading;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_policy::hedge::{self, Hedge};
use plimsoll_policy::priority::Priority;

use crate::fallback::Fallback;

/// Longer names do not exist (RFC 1035).
const HOST_BYTES_MAX: usize = 255;

/// A rule that sends requests to an upstream.
#[derive(Clone, Debug)]
pub struct Route {
    /// In lower case; `None` is any host.
    pub(crate) host: Option<Arc<str>>,
    /// As the operator wrote it: the `http.route` of logs and metrics.
    pub(crate) pattern: Arc<str>,
    /// Its position in the list of upstreams.
    pub(crate) upstream: usize,
    pub(crate) policies: Policies,
    /// What is known of its requests, where they are raced.
    pub(crate) hedge: Option<Arc<Hedge>>,
    path: Path,
}

/// What differs from route to route.
#[derive(Clone, Debug)]
pub struct Policies {
    /// How much its requests matter when not all can be served.
    pub priority: Priority,
    /// The longest that any request may take, its answer's body included.
    pub deadline: Option<Duration>,
    /// Whether its requests need a place below the load line.
    pub needs_place: bool,
    /// Slow attempts are raced by a second one; `None`: nobody has said that a request may be made twice.
    pub hedge: Option<hedge::Config>,
    /// What is answered when no real answer can be had.
    pub fallback: Option<Fallback>,
}

impl Default for Policies {
    fn default() -> Self {
        Self { priority: Priority::default(), deadline: None, needs_place: true, hedge: None, fallback: None }
    }
}

#[derive(Clone, Debug)]
enum Path {
    Exact(Vec<u8>),
    /// Without the `/*`.
    Prefix(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a route's path begins with `/`: write `/{0}`")]
    Relative(String),
    #[error("`*` stands only at the end, after a `/`: `{0}` has it elsewhere")]
    Star(String),
    #[error("a route's path has no query or fragment: remove what follows `{0}`")]
    Query(String),
    #[error("`{written}` would never match: write `{normal}`")]
    NotNormal { written: String, normal: String },
    #[error("`{0}` is not the name of a host: write it without scheme, port, path or `*`")]
    Host(String),
    #[error("two routes match `{0}`: remove one")]
    Duplicate(String),
}

impl Route {
    pub fn new(host: Option<&str>, pattern: &str, upstream: usize) -> Result<Self, Error> {
        let host = host.map(parse_host).transpose()?;
        Ok(Self { host, path: parse_pattern(pattern)?, pattern: pattern.into(), upstream, policies: Policies::default(), hedge: None })
    }

    #[must_use]
    pub fn with(self, policies: Policies) -> Self {
        let hedge = policies.hedge.map(Hedge::new).map(Arc::new);
        Self { policies, hedge, ..self }
    }

    fn name(&self) -> String {
        format!("{}{}", self.host.as_deref().unwrap_or_default(), self.pattern)
    }
}

fn parse_host(host: &str) -> Result<Arc<str>, Error> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let bytes = host.as_bytes();
    let valid = match bytes {
        [b'[', address @ .., b']'] => address.iter().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(byte)),
        _ => bytes.iter().all(is_name),
    };
    let name = host_name(bytes);
    if !valid || name.is_empty() || name.len() > HOST_BYTES_MAX {
        return Err(Error::Host(host.to_owned()));
    }
    Ok(String::from_utf8_lossy(name).to_ascii_lowercase().into())
}

fn parse_pattern(pattern: &str) -> Result<Path, Error> {
    if !pattern.starts_with('/') {
        return Err(Error::Relative(pattern.to_owned()));
    }
    let (path, is_prefix) = pattern.strip_suffix("/*").map_or((pattern, false), |prefix| (prefix, true));
    if path.contains('*') {
        return Err(Error::Star(pattern.to_owned()));
    }
    if let Some((before, _)) = path.split_once(['?', '#']) {
        return Err(Error::Query(before.to_owned()));
    }
    let canonical = reading::canonical(path.as_bytes());
    // The prefix `/*` leaves nothing of itself.
    if !(is_prefix && path.is_empty()) {
        let normal = reading::normal(path.as_bytes());
        if normal != canonical || (is_prefix && path.ends_with('/')) {
            let normal = String::from_utf8_lossy(&normal);
            let normal = if is_prefix { format!("{}/*", normal.trim_end_matches('/')) } else { normal.into_owned() };
            return Err(Error::NotNormal { written: pattern.to_owned(), normal });
        }
    }
    Ok(if is_prefix { Path::Prefix(canonical) } else { Path::Exact(canonical) })
}

/// The routes of a gateway, ready to be searched.
#[derive(Debug, Default)]
pub struct Routes {
    list: Vec<Route>,
    by_host: BTreeMap<Box<[u8]>, Tree>,
    any_host: Tree,
}

/// The routes below one point of the path, as positions in the list.
#[derive(Debug, Default)]
struct Tree {
    children: BTreeMap<Box<[u8]>, Tree>,
    exact: Option<usize>,
    prefix: Option<usize>,
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Result<Self, Error> {
        let mut this = Self::default();
        for (position, route) in routes.iter().enumerate() {
            let tree = match &route.host {
                Some(host) => this.by_host.entry(host.as_bytes().into()).or_default(),
                None => &mut this.any_host,
            };
            if tree.place(&route.path).replace(position).is_some() {
                return Err(Error::Duplicate(route.name()));
            }
        }
        Ok(Self { list: routes, ..this })
    }

    /// The route of a request: its host as the client sent it (any case, with or without port), its path without the query.
    ///
    /// `None` also when servers may read the path in ways that belong to different routes.
    pub fn find(&self, host: Option<&[u8]>, path: &[u8]) -> Option<&Route> {
        let own = host.and_then(|host| self.tree_of(host));
        let find = |path: &[u8]| own.and_then(|tree| tree.find(path)).or_else(|| self.any_host.find(path));
        let path = if path.is_empty() { b"/" } else { path };
        let position = match path[0] {
            b'/' if self.any_host.is_one_for_all() && own.is_none_or(Tree::is_one_for_all) => find(path),
            b'/' => reading::agreed(path, find),
            // `OPTIONS *` is about no path.
            _ => None,
        };
        position.map(|position| &self.list[position])
    }

    fn tree_of(&self, host: &[u8]) -> Option<&Tree> {
        if self.by_host.is_empty() {
            return None;
        }
        let name = host_name(host);
        let mut lower = [0; HOST_BYTES_MAX];
        let lower = lower.get_mut(..name.len())?;
        lower.copy_from_slice(name);
        lower.make_ascii_lowercase();
        self.by_host.get(&*lower)
    }
}

/// The name in a `Host` header: without the port and without the final dot of an absolute name.
fn host_name(host: &[u8]) -> &[u8] {
    let end = match host {
        [b'[', ..] => host.iter().position(|byte| *byte == b']').map(|bracket| bracket + 1),
        _ => host.iter().position(|byte| *byte == b':'),
    };
    let name = &host[..end.unwrap_or(host.len())];
    name.strip_suffix(b".").unwrap_or(name)
}

/// The segments of a path. `/` has one, which is empty; so has the end of every path with a final slash.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').skip(1)
}

impl Tree {
    /// Where a route for this path belongs.
    fn place(&mut self, path: &Path) -> &mut Option<usize> {
        let (Path::Exact(bytes) | Path::Prefix(bytes)) = path;
        let tree = segments(bytes).fold(self, |tree, segment| tree.children.entry(segment.into()).or_default());
        match path {
            Path::Exact(_) => &mut tree.exact,
            Path::Prefix(_) => &mut tree.prefix,
        }
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        let mut tree = self;
        let mut longest = self.prefix;
        for segment in segments(path) {
            let Some(child) = tree.children.get(segment) else { return longest };
            tree = child;
            longest = tree.prefix.or(longest);
        }
        tree.exact.or(longest)
    }

    /// Whether every path leads to the same answer, so that reading it is wasted time.
    fn is_one_for_all(&self) -> bool {
        self.children.is_empty()
    }
}
