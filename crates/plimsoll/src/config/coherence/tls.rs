//! What must hold between the settings of TLS.

use std::collections::BTreeSet;

use super::super::mistake::Severity;
use super::super::tls::{ClientAuth, TlsRedirect};
use super::{Rules, overlap};

impl Rules<'_> {
    pub(super) fn client_tls(&mut self) {
        self.acme();
        let tls = &self.draft.settings.gateway.tls;
        if tls.is_on() {
            self.tls_port();
            self.tls_files();
        } else {
            self.tls_without_certificate();
        }
        if tls.client_ca.is_none() && self.draft.origins.contains_key("gateway.tls.client_auth") {
            let message = "gateway.tls.client_auth has no effect: clients are not asked for certificates";
            let paths = ["gateway.tls.client_auth", "gateway.tls.client_ca"];
            self.blame(Severity::Warning, &paths, message, "name the authorities of their certificates in client_ca");
        }
        if tls.is_on() && tls.client_ca.is_some() && tls.client_auth == ClientAuth::Required && tls.redirect == TlsRedirect::Off {
            let message = "gateway.tls.client_auth is `required`, but gateway.tls.redirect is `off`: the plain port would serve everybody";
            let paths = ["gateway.tls.redirect", "gateway.tls.client_auth", "gateway.tls.client_ca"];
            self.blame(Severity::Error, &paths, message, "leave redirect on, or say client_auth = \"optional\" and let the app decide");
        }
        if tls.hsts.is_some() && !tls.development.is_empty() {
            let message =
                "gateway.tls.hsts with a development certificate: browsers would refuse plain http to that host for all that time";
            let paths = ["gateway.tls.hsts", "gateway.tls.development"];
            self.blame(Severity::Warning, &paths, message, "leave hsts off until there is a certificate that everybody believes");
        }
    }

    fn tls_port(&mut self) {
        let (gateway, admin) = (&self.draft.settings.gateway, &self.draft.settings.admin);
        let port = gateway.tls.port;
        if port != 0 && port == gateway.port {
            let message = "the gateway cannot speak TLS and plain HTTP on one port";
            self.blame(
                Severity::Error,
                &["gateway.tls.port", "gateway.port"],
                message,
                "give one of them another port, or 0 for any free one",
            );
        }
        if port != 0 && port == admin.port && overlap(gateway.bind, admin.bind) {
            let paths = ["gateway.tls.port", "admin.port", "admin.bind", "gateway.bind"];
            let message = "the gateway's TLS port and the operator's listener cannot be the same";
            self.blame(Severity::Error, &paths, message, "give one of them another port, or 0 for any free one");
        }
    }

    fn tls_files(&mut self) {
        let mut chains = BTreeSet::new();
        let again = self.draft.settings.gateway.tls.certificates.iter().find(|files| !chains.insert(&files.chain));
        if let Some(files) = again {
            let message = format!("{} stands twice in gateway.tls.certificates", files.chain.display());
            let place = self.draft.origins.get("gateway.tls.certificates").cloned();
            self.at(Severity::Error, place, message, "name each certificate once");
        }
    }

    /// Whoever writes one of these believes that TLS is on.
    fn tls_without_certificate(&mut self) {
        for path in ["gateway.tls.port", "gateway.tls.redirect", "gateway.tls.hsts", "gateway.tls.client_ca", "gateway.tls.version_min"] {
            if self.draft.origins.contains_key(path) {
                let message = format!("{path} has no effect: there is no certificate, so TLS is not spoken");
                let paths = [path, "gateway.tls.certificates", "gateway.tls.development"];
                let hint = "name a certificate in gateway.tls.certificates, an authority in gateway.tls.acme, or names for a development one with --tls localhost";
                self.blame(Severity::Warning, &paths, &message, hint);
            }
        }
    }
}
