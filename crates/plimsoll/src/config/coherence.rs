//! What must hold between settings that are each fine alone.

mod acme;
mod itself;
mod proxy_protocol;
mod routing;
mod tls;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use http::HeaderValue;
use plimsoll_policy::fallback::BODY_BYTES_MAX;

use super::draft::{Draft, Entry};
use super::mistake::{Mistake, Severity};
use super::route::Route;
use super::settings::Balance;
use super::shape::HashOn;
use super::source::Place;
use super::suggest;
use super::upstream::{ServerAddress, Upstream};
pub use itself::Listener;

/// Adds a mistake for each thing that does not fit together.
pub fn check(draft: &mut Draft) {
    let mut found = Vec::new();
    let mut rules = Rules { draft, found: &mut found };
    rules.listeners();
    rules.client_tls();
    rules.timeouts();
    rules.limits();
    rules.proxy_protocol();
    rules.balance();
    rules.fleet();
    rules.state();
    rules.upstreams();
    rules.routes();
    draft.mistakes.append(&mut found);
}

struct Rules<'a> {
    draft: &'a Draft,
    found: &'a mut Vec<Mistake>,
}

impl Rules<'_> {
    /// Blames the first of these settings that somebody wrote. Silent if one of them could not be read.
    fn blame(&mut self, severity: Severity, paths: &[&str], message: &str, hint: &str) {
        if paths.iter().any(|path| self.draft.faulty.contains(path)) {
            return;
        }
        let place = paths.iter().find_map(|path| self.draft.origins.get(path)).cloned();
        self.at(severity, place, message, hint);
    }

    fn at(&mut self, severity: Severity, place: Option<Place>, message: impl Into<String>, hint: impl Into<String>) {
        self.found.push(Mistake { severity, message: message.into(), place, hint: Some(hint.into()) });
    }

    fn listeners(&mut self) {
        let (gateway, admin) = (&self.draft.settings.gateway, &self.draft.settings.admin);
        if gateway.port == admin.port && gateway.port != 0 && overlap(gateway.bind, admin.bind) {
            let paths = ["admin.port", "gateway.port", "admin.bind", "gateway.bind"];
            self.blame(
                Severity::Error,
                &paths,
                "the gateway and the operator's listener cannot share a port",
                "give one of them another port, or 0 for any free one",
            );
        }
        if !admin.bind.to_canonical().is_loopback() && admin.token.is_empty() {
            let message = "the operator's listener would be open to everybody who can reach this address";
            self.blame(Severity::Error, &["admin.bind", "admin.token"], message, "set admin.token, or bind it to 127.0.0.1");
        }
    }

    fn timeouts(&mut self) {
        let timeouts = &self.draft.settings.gateway.timeouts;
        let path = |name| format!("gateway.timeouts.{name}");
        let (total, connect, first_byte) = (path("total"), path("connect"), path("first_byte"));
        if timeouts.total < timeouts.connect {
            let message = "gateway.timeouts.total is shorter than connect: requests would be given up before an attempt can fail";
            self.blame(Severity::Error, &[&total, &connect], message, "total covers all attempts: make it longer, or connect shorter");
        }
        if timeouts.total < timeouts.first_byte {
            let message =
                "gateway.timeouts.total is shorter than first_byte, which can then never strike: a slow instance is not tried elsewhere";
            self.blame(
                Severity::Warning,
                &[&total, &first_byte],
                message,
                "make first_byte a third of total to leave room for other attempts",
            );
        }
        if timeouts.write_idle > timeouts.stream_idle {
            let message = "gateway.timeouts.write_idle is longer than stream_idle, which strikes first";
            self.blame(Severity::Warning, &[&path("write_idle"), &path("stream_idle")], message, "make write_idle the shorter one");
        }
        let health = &self.draft.settings.gateway.health;
        if health.timeout > health.interval {
            let message = "gateway.health.timeout is longer than interval: a probe that hangs delays the next ones";
            self.blame(
                Severity::Warning,
                &["gateway.health.timeout", "gateway.health.interval"],
                message,
                "make timeout at most as long as interval",
            );
        }
        let admission = &self.draft.settings.gateway.admission;
        let (wait, overloaded) = ("gateway.admission.queue_wait_max", "gateway.admission.queue_wait_overloaded");
        if admission.queue_wait_overloaded > admission.queue_wait_max {
            let message =
                "gateway.admission.queue_wait_overloaded is longer than queue_wait_max: requests would wait longer under overload";
            self.blame(
                Severity::Error,
                &[overloaded, wait],
                message,
                "make queue_wait_overloaded the shorter one: a tenth is a good start",
            );
        }
        if admission.queue_wait_max >= timeouts.total {
            let message = "gateway.admission.queue_wait_max is not shorter than timeouts.total: a request could spend all of its time waiting for its turn";
            self.blame(Severity::Error, &[wait, &total], message, "make queue_wait_max a small part of total");
        }
        let ejection = &self.draft.settings.gateway.ejection;
        let (retry, breaker) = (&self.draft.settings.gateway.retry, &self.draft.settings.gateway.breaker);
        if retry.backoff_base > retry.backoff_max {
            let paths = ["gateway.retry.backoff_base", "gateway.retry.backoff_max"];
            self.blame(Severity::Error, &paths, "gateway.retry.backoff_base is longer than backoff_max", "make base the shorter one");
        }
        if breaker.open_base > breaker.open_max {
            let paths = ["gateway.breaker.open_base", "gateway.breaker.open_max"];
            self.blame(Severity::Error, &paths, "gateway.breaker.open_base is longer than open_max", "make base the shorter one");
        }
        if ejection.base > ejection.max {
            let message = "gateway.ejection.base is longer than max: the first ejection would outlast the longest";
            self.blame(Severity::Error, &["gateway.ejection.base", "gateway.ejection.max"], message, "make base the shorter one");
        }
    }

    fn limits(&mut self) {
        let (limits, retry) = (&self.draft.settings.gateway.limits, &self.draft.settings.gateway.retry);
        if limits.target_bytes_max > limits.head_bytes_max {
            let message = "gateway.limits.target_bytes_max is larger than head_bytes_max: the target is part of the head, so long ones are answered 431, not 414";
            let paths = ["gateway.limits.target_bytes_max", "gateway.limits.head_bytes_max"];
            self.blame(Severity::Warning, &paths, message, "make the head the larger one");
        }
        if retry.attempts_max == 1 && self.draft.origins.contains_key("gateway.retry.replay_bytes_max") {
            let message = "gateway.retry.replay_bytes_max has no effect while attempts_max is 1";
            self.blame(
                Severity::Warning,
                &["gateway.retry.replay_bytes_max", "gateway.retry.attempts_max"],
                message,
                "leave it out, or allow a second attempt",
            );
        }
    }

    fn balance(&mut self) {
        let gateway = &self.draft.settings.gateway;
        let own = self.draft.upstreams.iter().find(|entry| entry.value.balance == Some(Balance::ConsistentHash));
        let hashes = gateway.balance == Balance::ConsistentHash || own.is_some();
        if hashes && gateway.hash_on == HashOn::ClientIp {
            let place = own.and_then(|entry| entry.field("balance")).or_else(|| self.draft.origins.get("gateway.balance")).cloned();
            let message = "consistent_hash on client_ip sends everybody behind one NAT to one instance, and state kept there is lost when that instance dies";
            self.at(
                Severity::Warning,
                place,
                message,
                "hash on a header or a cookie: hash_on = \"cookie:NAME\"; or keep state where all instances see it and use p2c_ewma",
            );
        }
        if !hashes && gateway.hash_on != HashOn::ClientIp {
            let message = "gateway.hash_on has no effect: nothing balances by consistent_hash";
            self.blame(
                Severity::Warning,
                &["gateway.hash_on", "gateway.balance"],
                message,
                "set balance = \"consistent_hash\", or leave hash_on out",
            );
        }
    }

    fn fleet(&mut self) {
        let fleet = &self.draft.settings.fleet;
        if fleet.backoff_initial > fleet.backoff_max {
            let message = "fleet.backoff_initial is longer than backoff_max: the first wait would outlast the longest";
            self.blame(Severity::Error, &["fleet.backoff_initial", "fleet.backoff_max"], message, "make backoff_initial the shorter one");
        }
    }

    fn state(&mut self) {
        if self.draft.settings.state.url.starts_with("memory:") {
            let message = "memory is not shared between processes: every instance would have its own sessions";
            self.blame(Severity::Warning, &["state.url"], message, "leave state.url empty for SQLite, or use redis:// for several hosts");
        }
        let keys = &self.draft.settings.service.session_keys;
        if keys.iter().enumerate().any(|(index, key)| keys[..index].contains(key)) {
            self.blame(Severity::Warning, &["service.session_keys"], "a key stands twice in service.session_keys", "remove the second one");
        }
    }

    fn upstreams(&mut self) {
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &self.draft.upstreams {
            let upstream = &entry.value;
            if let Some(place) = entry.field("name") {
                if let Some(line) = lines.get(upstream.name.as_str()) {
                    let message = format!("a second upstream is called `{}`", upstream.name);
                    self.at(
                        Severity::Error,
                        Some(place.clone()),
                        message,
                        format!("the first is in line {line}: rename one, or merge their servers"),
                    );
                } else {
                    lines.insert(&upstream.name, entry.place.line());
                }
            }
            self.upstream(entry);
            let Some(place) = entry.field("servers") else { continue };
            if upstream.servers.is_empty() {
                self.at(
                    Severity::Error,
                    Some(place.clone()),
                    "an upstream needs at least one server",
                    "write servers = [\"http://127.0.0.1:9000\"]",
                );
            }
            let mut addresses = BTreeSet::new();
            for server in upstream.servers.iter().filter(|server| !addresses.insert(server.address.to_string())) {
                let message = format!("{} stands twice in this upstream", server.address);
                self.at(Severity::Error, Some(place.clone()), message, "remove it, or give it a weight: { url = \"…\", weight = 2 }");
            }
            self.itself(upstream, place);
        }
    }

    /// Names are asked about only when the gateway runs.
    fn itself(&mut self, upstream: &Upstream, place: &Place) {
        for listener in Listener::all(&self.draft.settings) {
            if listener.paths.iter().any(|path| self.draft.faulty.contains(path)) {
                continue;
            }
            for server in &upstream.servers {
                let ServerAddress::Tcp { host, port, .. } = &server.address else { continue };
                if itself::known_addresses(host).into_iter().any(|ip| listener.is_reached_at(SocketAddr::new(ip, *port))) {
                    let (message, hint) = listener.refusal(&server.address.to_string());
                    self.at(Severity::Error, Some(place.clone()), message, hint);
                }
            }
        }
    }

    fn routes(&mut self) {
        let names: Vec<_> =
            self.draft.upstreams.iter().filter(|entry| entry.field("name").is_some()).map(|entry| entry.value.name.as_str()).collect();
        // An upstream whose name could not be read may be the one that is meant.
        let all_named = names.len() == self.draft.upstreams.len();
        for entry in &self.draft.routes {
            match &entry.value.upstream {
                Some(name) => self.target(entry.field("upstream"), name, &names, all_named),
                None if self.draft.upstreams.len() > 1 && !entry.faulty && entry.value.forwards() => {
                    let hint = format!("add upstream = \"NAME\"; there are: {}", names.join(", "));
                    self.at(Severity::Error, Some(entry.place.clone()), "this route does not say which upstream serves it", hint);
                }
                None => {}
            }
            if let Some(name) = &entry.value.mirror_upstream {
                self.target(entry.field("mirror_upstream"), name, &names, all_named);
            }
            self.fallback(entry, &names, all_named);
            self.action(entry);
        }
        self.ambiguities();
        let unused = |entry: &&Entry<_>| {
            let upstream: &Upstream = &entry.value;
            let leads_here = |route: &Entry<Route>| {
                let Route { upstream: first, fallback_upstream: second, mirror_upstream: third, .. } = &route.value;
                let is_meant = first.as_ref().map_or(route.value.forwards(), |name| *name == upstream.name);
                is_meant || [second, third].into_iter().flatten().any(|name| *name == upstream.name)
            };
            entry.field("name").is_some() && !self.draft.routes.iter().any(leads_here)
        };
        for entry in self.draft.upstreams.iter().filter(unused).collect::<Vec<_>>() {
            let message = format!("no route leads to upstream `{}`", entry.value.name);
            let hint = format!("add [[route]] with match = \"/*\" and upstream = \"{}\"", entry.value.name);
            self.at(Severity::Warning, entry.field("name").cloned(), message, hint);
        }
    }

    fn fallback(&mut self, entry: &Entry<Route>, names: &[&str], all_named: bool) {
        let route = &entry.value;
        if let Some(name) = &route.fallback_upstream {
            let place = entry.field("fallback_upstream");
            if route.upstream.as_ref() == Some(name) {
                let hint = "name another upstream, or leave it out: instances of the same one are tried anyway";
                self.at(Severity::Error, place.cloned(), "a route cannot fall back to its own upstream", hint);
            }
            self.target(place, name, names, all_named);
        }
        let one_of = ["fallback_upstream", "fallback_file", "fallback_body"];
        let given: Vec<_> = one_of.into_iter().filter(|field| entry.field(field).is_some()).collect();
        if let [first, second, ..] = given[..] {
            let message = format!("a route has one fallback: {first} and {second} exclude each other");
            self.at(Severity::Error, entry.field(second).cloned(), message, "remove one of them");
        }
        if let Some(file) = &route.fallback_file
            && let Err(error) = look_at(file)
        {
            let message = format!("cannot read the fallback {}: {error}", file.display());
            let hint = "a path that does not begin with a slash counts from the directory in which plimsoll is started";
            self.at(Severity::Error, entry.field("fallback_file").cloned(), message, hint);
        }
        if route.fallback_type.as_ref().is_some_and(|text| HeaderValue::from_str(text).is_err()) {
            let message = "a content type is one line without control characters";
            self.at(Severity::Error, entry.field("fallback_type").cloned(), message, "write one such as \"application/json\"");
        }
        if route.fallback_status.is_some_and(|status| (201..400).contains(&status)) {
            let place = entry.field("fallback_status").cloned();
            self.at(Severity::Error, place, "a fallback is a whole answer: this status is not", "write 200, or one from 400 to 599");
        }
    }

    fn target(&mut self, place: Option<&Place>, name: &str, names: &[&str], all_named: bool) {
        let Some(place) = place.filter(|_| all_named && !names.contains(&name)) else { return };
        let hint = match suggest::closest(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => format!("add [[upstream]] with name = \"{name}\""),
            None => format!("there are: {}", names.join(", ")),
        };
        self.at(Severity::Error, Some(place.clone()), format!("no upstream is called `{name}`"), hint);
    }
}

/// Whether a fallback can be read from this file. It is looked at before it is opened: opening a pipe would wait for somebody to write.
fn look_at(file: &Path) -> io::Result<()> {
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    if about.len() > BODY_BYTES_MAX as u64 {
        return Err(io::Error::other(format!("it has {} bytes, a fallback at most {BODY_BYTES_MAX}", about.len())));
    }
    std::fs::File::open(file).map(drop)
}

/// Whether two listeners on one port would be in each other's way.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}
