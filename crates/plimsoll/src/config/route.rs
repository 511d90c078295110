//! `[[route]]`: which upstream serves which requests.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use plimsoll_policy::fallback::BODY_BYTES_MAX;
use plimsoll_policy::priority::Priority;

use super::raw::{Raw, Read};
use super::shape::{Choice, File, HOUR, HostName, MS, Maybe, Name, Named, Shape, Text, Time, UrlPath, Whole, choice};
use super::table::table;

table! {
    /// Sends requests to an upstream. Of all routes that match, the most specific wins, wherever it stands: one with a host before one without, an
    /// exact path before a prefix, a longer prefix before a shorter one.
    struct Route at [Route as "route"] {
        /// Path it matches: exactly, or with everything below it when it ends in `/*`.
        pattern as "match": Pattern = Pattern::Prefix("/".to_owned()), PathPattern;
        /// Host it matches. Left out, it matches every host.
        host: Option<String> = None, Maybe(HostName);
        /// Name of the upstream that serves it. Left out, it is the fleet that `plimsoll run` started, or the only upstream there is.
        upstream: Option<String> = None, Maybe(Name);
        /// How much its requests matter when not all can be served: `critical` goes first, `sheddable` is given up first. Left out, it is
        /// `normal`. A trusted proxy may say otherwise for one request in `X-Request-Priority`; anybody else may only ask for less.
        priority: Option<Priority> = None, Maybe(Choice::<Priority>::new());
        /// Time for the whole request, the answer's body included. A caller may ask for less in `X-Request-Timeout-Ms`.
        deadline: Option<Duration> = None, Maybe(Time(MS..=HOUR));
        /// Whether its requests need a place below the load line. `off` is for requests that do no work while they are open, such as long polls.
        admission: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// Whether a second instance may be asked while the first one is slow to answer. Only for requests that may be made twice.
        hedge: Option<Switch> = None, Maybe(Choice::<Switch>::new());
        /// Upstream that is asked, once, when no real answer can be had from the first.
        fallback_upstream: Option<String> = None, Maybe(Name);
        /// What is answered when no real answer can be had. With a status of 200 it stands in for data, so only GET and HEAD get it.
        fallback_body: Option<String> = None, Maybe(Text { length_max: BODY_BYTES_MAX });
        /// The same from a file, which is read at the start.
        fallback_file: Option<PathBuf> = None, Maybe(File);
        /// Status of that answer: 200, or 400 to 599. Left out, it is 503.
        fallback_status: Option<u16> = None, Maybe(Whole(200..=599));
        /// Content type of that answer. Left out, it is told from the file's name, or `text/plain`.
        fallback_type: Option<String> = None, Maybe(Text { length_max: 256 });
    }
}

choice! {
    /// Whether a policy applies.
    Switch { On = "on", Off = "off", }
}

impl Named for Priority {
    const ALL: &'static [(&'static str, Self)] = &[("critical", Self::Critical), ("normal", Self::Normal), ("sheddable", Self::Sheddable)];
}

/// Which paths a route matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    Exact(String),
    /// Everything that begins so. Ends in a slash; `/api/` matches `/api/x` and also `/api`.
    Prefix(String),
}

impl Pattern {
    pub fn is_everything(&self) -> bool {
        *self == Self::Prefix("/".to_owned())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => formatter.write_str(path),
            Self::Prefix(path) => write!(formatter, "{path}*"),
        }
    }
}

struct PathPattern;

impl Shape for PathPattern {
    type Value = Pattern;

    fn read(&self, raw: &Raw<'_>) -> Read<Pattern> {
        if raw.as_str() == Some("*") {
            return Err(raw.fault("a path begins with a slash", "write \"/*\" for every path"));
        }
        let text = UrlPath { may_be_empty: false }.read(raw)?;
        if text.contains('?') {
            return Err(raw.fault("routes do not look at the query", "leave out the `?` and what follows"));
        }
        let (path, pattern) = match text.strip_suffix('*') {
            Some(path) if path.ends_with('/') => (path, Pattern::Prefix(path.to_owned())),
            Some(path) => return Err(raw.fault("a `*` stands for whole segments", format!("write \"{path}/*\""))),
            None => (text.as_str(), Pattern::Exact(text.clone())),
        };
        if path.contains('*') {
            return Err(raw.fault("a `*` can only stand at the end", "write one route for each prefix"));
        }
        Ok(pattern)
    }

    fn print(&self, value: &Pattern) -> String {
        toml::Value::from(value.to_string()).to_string()
    }

    fn accepts(&self) -> String {
        "a path such as \"/health\" or \"/api/*\"".to_owned()
    }
}
