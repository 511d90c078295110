//! What must hold for connections that begin with a PROXY header.

use super::super::mistake::Severity;
use super::super::route::Switch;
use super::Rules;

impl Rules<'_> {
    pub(super) fn proxy_protocol(&mut self) {
        let gateway = &self.draft.settings.gateway;
        if gateway.proxy_protocol == Switch::On && gateway.trusted_proxies.is_empty() {
            let paths = ["gateway.proxy_protocol", "gateway.trusted_proxies"];
            let message = "gateway.proxy_protocol is on and nobody is trusted: every connection would be closed";
            self.blame(Severity::Error, &paths, message, "name the addresses of your load balancers in gateway.trusted_proxies");
        }
    }
}
