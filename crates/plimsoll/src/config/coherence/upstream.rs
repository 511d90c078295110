//! What must hold within an upstream: that it has servers, and that what is set for TLS can be used, and is.

use plimsoll_gateway::secure;

use super::Rules;
use crate::config::draft::Entry;
use crate::config::mistake::Severity;
use crate::config::route::Switch;
use crate::config::settings::Protocol;
use crate::config::upstream::{Server, Upstream};
use crate::discovery::file;
use crate::edge;

/// The keys that mean something only where TLS is spoken.
const TLS_KEYS: [&str; 5] = ["server_name", "ca", "client_certificate", "client_key", "tls_verify"];

impl Rules<'_> {
    pub(super) fn upstream(&mut self, entry: &Entry<Upstream>) {
        let upstream = &entry.value;
        if entry.faulty {
            return;
        }
        if entry.field("servers").is_none() && upstream.servers_file.is_none() {
            let hint = format!("add `servers = …`: {}; or `servers_file`", Server::accepts());
            self.at(Severity::Error, Some(entry.place.clone()), "[[upstream]] has no `servers`", hint);
        }
        if let Some(path) = &upstream.servers_file
            && let Err(fault) = file::load(path)
        {
            let message = format!("{}: {fault}", path.display());
            let hint = "a path that does not begin with a slash counts from the directory in which plimsoll is started";
            self.at(Severity::Error, entry.field("servers_file").cloned(), message, hint);
        }
        self.tls(entry);
    }

    fn tls(&mut self, entry: &Entry<Upstream>) {
        let upstream = &entry.value;
        if !upstream.may_speak_tls() {
            if let Some(key) = TLS_KEYS.iter().find(|key| entry.field(key).is_some()) {
                let message = format!("{key} has no effect: no server of this upstream speaks TLS");
                self.at(Severity::Warning, entry.field(key).cloned(), message, "write https:// before the host, or leave it out");
            }
            if upstream.protocol == Some(Protocol::Auto) {
                let message = "without TLS there is nothing to agree by: `auto` is `http1` here";
                let hint = "write \"http2\" if the servers speak it without TLS, or https:// before the host";
                self.at(Severity::Warning, entry.field("protocol").cloned(), message, hint);
            }
            return;
        }
        for (one, other) in [("client_certificate", "client_key"), ("client_key", "client_certificate")] {
            if entry.field(one).is_some() && entry.field(other).is_none() {
                let message = format!("{one} needs {other}: a certificate is of no use without its key");
                self.at(Severity::Error, entry.field(one).cloned(), message, format!("add `{other} = …`"));
                return;
            }
        }
        if upstream.tls_verify == Some(Switch::Off) {
            let message = "tls_verify is off: anybody who can come between this gateway and its servers can read and change everything";
            let hint = "leave it out, and name the authority of your servers with `ca`";
            self.at(Severity::Warning, entry.field("tls_verify").cloned(), message, hint);
        }
        let Some(spec) = edge::secure::spec(upstream) else { return };
        let of_identity = spec.identity.is_some();
        if let Err(error) = secure::Client::new(spec) {
            let key = if entry.field("ca").is_some() && !of_identity { "ca" } else { "client_certificate" };
            let place = entry.field(key).unwrap_or(&entry.place).clone();
            let hint = "name PEM files: certificates begin with BEGIN CERTIFICATE, keys with BEGIN PRIVATE KEY";
            self.at(Severity::Error, Some(place), error.to_string(), hint);
        }
    }
}
