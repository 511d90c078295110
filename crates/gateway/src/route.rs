//! What takes a request: its host, path, method, header fields and query choose a route. The most specific wins, wherever it was declared.
//!
//! In this order: a host by its name before `*.example.com` before any host; then segment by segment from the left, written out before
//! `{name}` before `/*`; then more conditions before fewer; then the one declared first. A route that another one would leave without any
//! request is a mistake. Paths are case-sensitive.
//!
//! Each host has a tree of path segments, so a look-up costs the path's own length, however many routes there are.
//!
//! The path is forwarded as the client wrote it, and matched as servers may read it: `route/reading.rs` says why and how.

mod conditions;
mod explain;
mod host;
mod pattern;
mod reading;
mod table;
mod tree;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::time::Duration;

use plimsoll_policy::hedge::{self, Hedge};
use plimsoll_policy::priority::Priority;
use plimsoll_policy::{Reason, Refusal};

pub(crate) use conditions::Asked;
pub use conditions::{Conditions, Requirement, Unmet};
pub use explain::{Explanation, Question};
pub use host::Host;
pub(crate) use host::without_port;
pub use pattern::Pattern;
pub(crate) use pattern::{Ambiguous, Named, Parts};
pub(crate) use reading::is_one_path;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use reading::normal;
pub use table::{Conflict, Routes, Verdict, Why, conflicts};

use crate::action::{Action, Edits, Forward};
use crate::caching::Caching;
use crate::config::Config;
use crate::fallback::Fallback;

/// Which requests a route takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    pub host: Host,
    pub path: Pattern,
    pub conditions: Conditions,
}

/// Which requests it takes, and what is done with them.
#[derive(Clone, Debug)]
pub struct Route {
    pub(crate) on: Match,
    pub(crate) action: Action,
    pub(crate) policies: Policies,
    /// What is known of its requests, where they are raced.
    pub(crate) hedge: Option<Arc<Hedge>>,
    /// The edge's own, where this route has limits of its own.
    pub(crate) config: Option<Arc<Config>>,
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
    /// Whether answers may be compressed on their way out.
    pub compresses: bool,
    /// What caches are told about answers of instances, in their place.
    pub caching: Caching,
    /// Limits in the place of the edge's own.
    pub limits: Limits,
    /// Changes to the header of requests on their way to an instance.
    pub request_headers: Option<Arc<Edits>>,
    /// Changes to the header of answers. Refusals are the edge's own words and stay as they are.
    pub response_headers: Option<Arc<Edits>>,
}

/// What a route may set differently from the rest of the edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// In the place of [`crate::config::Timeouts::total`].
    pub total: Option<Duration>,
    /// In the place of [`crate::config::Timeouts::first_byte`].
    pub first_byte: Option<Duration>,
    /// In the place of [`crate::config::Limits::body_bytes_max`].
    pub body_bytes_max: Option<u64>,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            priority: Priority::default(),
            deadline: None,
            needs_place: true,
            hedge: None,
            fallback: None,
            compresses: true,
            caching: Caching::default(),
            limits: Limits::default(),
            request_headers: None,
            response_headers: None,
        }
    }
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
    #[error("a name stands for a whole segment: write `/{{name}}/` instead of `{0}`")]
    Brace(String),
    #[error("`{0}` takes everything below, so nothing can follow it: write it last")]
    TailInside(String),
    #[error("`{{{0}}}` is no name: write letters, digits and `_`, not beginning with a digit, 64 at most")]
    Name(String),
    #[error("`{{{0}}}` has a meaning of its own in redirects: choose another name")]
    NameReserved(String),
    #[error("two parts of one path are called `{{{0}}}`: rename one")]
    NameTwice(String),
    #[error("`{0}` has more than 64 segments: end it in `/*`")]
    TooDeep(String),
    #[error("`{0}` is not the name of a host: write it without scheme, port or path, or `*.` and a name")]
    Host(String),
    #[error("two routes match `{0}`: remove one")]
    Duplicate(String),
}

impl Match {
    /// Every request for a host (`None`: any) and a path.
    pub fn new(host: Option<&str>, pattern: &str) -> Result<Self, Error> {
        Ok(Self { host: Host::parse(host)?, path: Pattern::parse(pattern)?, conditions: Conditions::default() })
    }

    #[must_use]
    pub fn on(self, conditions: Conditions) -> Self {
        Self { conditions, ..self }
    }
}

impl Route {
    /// Passes every request for a host and a path on to an upstream.
    pub fn new(host: Option<&str>, pattern: &str, upstream: usize) -> Result<Self, Error> {
        Ok(Self::of(Match::new(host, pattern)?, Action::Forward(Forward::to(upstream))))
    }

    pub fn of(on: Match, action: Action) -> Self {
        Self { on, action, policies: Policies::default(), hedge: None, config: None }
    }

    #[must_use]
    pub fn with(self, policies: Policies) -> Self {
        let hedge = policies.hedge.map(Hedge::new).map(Arc::new);
        Self { policies, hedge, ..self }
    }

    /// The pattern as the operator wrote it: the `http.route` of logs and metrics.
    pub(crate) fn pattern(&self) -> &Arc<str> {
        self.on.path.written()
    }

    /// Works out the limits that differ from the edge's own.
    pub(crate) fn settle(&mut self, edge: &Config) {
        let Limits { total, first_byte, body_bytes_max } = self.policies.limits;
        if self.policies.limits == Limits::default() {
            return;
        }
        let mut config = edge.clone();
        config.timeouts.total = total.unwrap_or(config.timeouts.total);
        config.timeouts.first_byte = first_byte.unwrap_or(config.timeouts.first_byte);
        config.limits.body_bytes_max = body_bytes_max.unwrap_or(config.limits.body_bytes_max);
        self.config = Some(Arc::new(config));
    }

    /// Names the route's own limit in a refusal that it has caused.
    pub(crate) fn attribute(&self, refusal: &mut Refusal) {
        let Limits { total, first_byte, body_bytes_max } = self.policies.limits;
        let own = match refusal.reason {
            Reason::TotalTimeout if total.is_some() => "route.total_timeout",
            Reason::FirstByteTimeout if first_byte.is_some() => "route.first_byte_timeout",
            Reason::BodyTooLarge if body_bytes_max.is_some() => "route.body_bytes_max",
            _ => return,
        };
        refusal.setting = Some(own);
    }

    fn name(&self) -> String {
        format!("{}{}", self.on.host, self.on.path)
    }
}

/// The segments of a path. `/` has one, which is empty; so has the end of every path with a final slash.
fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').skip(1)
}
