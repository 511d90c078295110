//! The limit of open files: every connection is one at the edge and one at the instance, and the usual soft limit is 1024.
//!
//! That limit is low for programs that use `select`, and raising it is expected of those that do not. Ours is raised as far as the system
//! lets us; instances start with what it was.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Listeners, probes, pipes of instances, the state: everything that is not a client's connection.
const OTHERS: u64 = 100;

/// Raises the soft limit to the hard one. Returns what it was, if it was changed.
pub fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // No limit at all is `None` in both.
    if limit.current == limit.maximum {
        return None;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => limit.current,
        Err(error) => {
            tracing::warn!(%error, limit = limit.current, "could not raise the limit of open files");
            None
        }
    }
}

/// Says so if clients may come in greater numbers than there can be open files.
pub fn warn_if_too_few(settings: &Settings) {
    let connections_max = settings.gateway.limits.connections_max;
    let needed = needed(connections_max);
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        tracing::warn!(
            limit,
            needed,
            connections_max,
            "too few files may be open for gateway.limits.connections_max: raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or lower it"
        );
    }
}

fn needed(connections_max: usize) -> u64 {
    2 * connections_max as u64 + OTHERS
}
