//! What must hold between the keys of one route, and between routes.

use plimsoll_gateway::route::{Match, conflicts};

use super::Rules;
use crate::config::draft::Entry;
use crate::config::mistake::Severity;
use crate::config::route::{Route, Wrong};

/// Keys that mean something only where an upstream serves the route.
const OF_UPSTREAMS: &[&str] = &[
    "upstream",
    "strip_prefix",
    "replace_prefix",
    "rewrite_path",
    "set_host",
    "mirror_upstream",
    "request_headers_remove",
    "request_headers_set",
    "request_headers_add",
    "priority",
    "deadline",
    "total_timeout",
    "first_byte_timeout",
    "admission",
    "hedge",
    "fallback_upstream",
    "fallback_body",
    "fallback_file",
    "fallback_status",
    "fallback_type",
];

/// Keys that mean nothing without another one.
const COMPANIONS: &[(&str, &[&str])] = &[
    ("redirect", &["redirect_status"]),
    ("respond", &["respond_body", "respond_file", "respond_type"]),
    ("files", &["files_fallback", "files_immutable"]),
    ("mirror_upstream", &["mirror_share", "mirror_in_flight_max", "mirror_body_bytes_max"]),
];

/// Keys of which a route has one at most.
const EXCLUSIVE: &[&[&str]] =
    &[&["redirect", "respond", "files"], &["strip_prefix", "replace_prefix", "rewrite_path"], &["respond_body", "respond_file"]];

impl Rules<'_> {
    /// What one route does.
    pub(super) fn action(&mut self, entry: &Entry<Route>) {
        for keys in EXCLUSIVE {
            let given: Vec<_> = keys.iter().copied().filter(|key| entry.field(key).is_some()).collect();
            if let [first, second, ..] = given[..] {
                let message = format!("a route cannot have both {first} and {second}");
                self.at(Severity::Error, entry.field(second).cloned(), message, "remove one of them");
                return;
            }
        }
        let instead = ["redirect", "respond", "files"].into_iter().find(|key| entry.field(key).is_some());
        if let Some(instead) = instead {
            for key in OF_UPSTREAMS.iter().filter(|key| entry.field(key).is_some()) {
                let message = format!("{key} has no effect: this route has `{instead}`, so no upstream gets its requests");
                self.at(Severity::Error, entry.field(key).cloned(), message, format!("remove {key} or {instead}"));
            }
        }
        for (key, companions) in COMPANIONS {
            let alone = companions.iter().filter(|companion| entry.field(key).is_none() && entry.field(companion).is_some());
            for companion in alone.filter(|_| !entry.faulty) {
                let message = format!("{companion} has no effect without {key}");
                self.at(Severity::Error, entry.field(companion).cloned(), message, format!("add {key}, or remove {companion}"));
            }
        }
        if entry.value.mirror_upstream.is_some() && entry.value.mirror_upstream == entry.value.upstream {
            let place = entry.field("mirror_upstream").cloned();
            self.at(Severity::Error, place, "a route cannot be mirrored to its own upstream", "name another upstream");
        }
        self.limits_of(entry);
        // Names are those of the path; what could not be read is left out.
        if entry.field("match").is_none() {
            return;
        }
        self.makes(entry, entry.value.rewrite());
        self.makes(entry, entry.value.redirects());
        self.makes(entry, entry.value.responds());
        self.makes(entry, entry.value.served());
        if entry.value.mirror_upstream.is_some() {
            self.makes(entry, entry.value.mirror(0));
        }
        self.makes(entry, entry.value.request_edits());
        self.makes(entry, entry.value.response_edits());
    }

    /// A route's own time limits, among those of the edge.
    fn limits_of(&mut self, entry: &Entry<Route>) {
        let edge = &self.draft.settings.gateway.timeouts;
        let (own_total, own_first_byte) = (entry.value.total_timeout, entry.value.first_byte_timeout);
        let (total, first_byte) = (own_total.unwrap_or(edge.total), own_first_byte.unwrap_or(edge.first_byte));
        let paths = ["gateway.timeouts.total", "gateway.timeouts.first_byte", "gateway.timeouts.connect"];
        let Some(key) = own_total.map(|_| "total_timeout").or(own_first_byte.map(|_| "first_byte_timeout")) else { return };
        if paths.iter().any(|path| self.draft.faulty.contains(path)) {
            return;
        }
        let place = entry.field(key).cloned();
        if total < edge.connect {
            let message = "total_timeout is shorter than gateway.timeouts.connect: requests would be given up before an attempt can fail";
            self.at(Severity::Error, place, message, "make it longer, or connect shorter");
        } else if total < first_byte {
            let message = "this route's total time is shorter than its time to the first byte, which can then never strike";
            self.at(Severity::Warning, place, message, "set both total_timeout and first_byte_timeout, the second to a third of the first");
        }
    }

    fn makes<T>(&mut self, entry: &Entry<Route>, made: Result<T, Wrong>) {
        let Err(wrong) = made else { return };
        let place = entry.field(wrong.key).unwrap_or(&entry.place).clone();
        self.at(Severity::Error, Some(place), wrong.message, wrong.hint);
    }

    /// Every two routes of which one gets no request.
    pub(super) fn ambiguities(&mut self) {
        let whole = self.draft.routes.iter().filter(|entry| !entry.faulty && entry.field("match").is_some());
        let (entries, matches): (Vec<_>, Vec<Match>) = whole.filter_map(|entry| Some((entry, entry.value.matches().ok()?))).unzip();
        for conflict in conflicts(&matches) {
            let (first, second) = (entries[conflict.first], entries[conflict.second]);
            let place = second.field("match").unwrap_or(&second.place).clone();
            let host = second.value.host.as_ref().map_or(String::new(), |host| format!(" on {host}"));
            let message = format!("a second route matches `{}`{host}: no request would ever reach it", second.value.pattern);
            let hint = format!(
                "the first is in line {}: remove one, give it a host or a condition, or put the narrower one first",
                first.place.line()
            );
            self.at(Severity::Error, Some(place), message, hint);
        }
    }
}
