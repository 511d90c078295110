//! What must hold between the settings of certificates that are ordered.

use std::collections::BTreeSet;

use super::super::acme::AcmeChallenge;
use super::super::mistake::Severity;
use super::super::route::Switch;
use super::super::tls::ClientAuth;
use super::Rules;

/// As many as are ordered within an hour. Who has more of them is better served by a program for that, and its files.
const NAMES_MAX: usize = 100;

const DIRECTORY: &str = "gateway.tls.acme.directory";
const NAMES: &str = "gateway.tls.acme.names";
const TERMS: &str = "gateway.tls.acme.agree_to_terms";
const ACCOUNT: &str = "gateway.tls.acme.external_account";
const ACCOUNT_KEY: &str = "gateway.tls.acme.external_account_key";

impl Rules<'_> {
    pub(super) fn acme(&mut self) {
        let acme = &self.draft.settings.gateway.tls.acme;
        if !acme.is_on() {
            if !acme.names.is_empty() {
                let message = "gateway.tls.acme.names has no effect: no authority is named";
                self.blame(
                    Severity::Warning,
                    &[NAMES, DIRECTORY],
                    message,
                    "write the URL of your authority's directory into gateway.tls.acme.directory",
                );
            }
            return;
        }
        if acme.agree_to_terms == Switch::Off {
            let message = "no authority issues certificates to those who do not agree to its terms";
            let hint = "read them, they are linked in its directory, and write agree_to_terms = \"on\"";
            self.blame(Severity::Error, &[TERMS, DIRECTORY], message, hint);
        }
        self.acme_names();
        self.acme_account();
        self.acme_challenge();
    }

    fn acme_names(&mut self) {
        let names = &self.draft.settings.gateway.tls.acme.names;
        if names.is_empty() {
            let message = "an authority is named, but no name to get a certificate for";
            self.blame(Severity::Error, &[DIRECTORY, NAMES], message, "write them into gateway.tls.acme.names");
            return;
        }
        if names.len() > NAMES_MAX {
            let message = format!("{} names are too many to get certificates for: at most {NAMES_MAX}", names.len());
            self.blame(
                Severity::Error,
                &[NAMES],
                &message,
                "let another program order them, and name its files in gateway.tls.certificates",
            );
            return;
        }
        let mut seen = BTreeSet::new();
        if let Some(again) = names.iter().find(|name| !seen.insert(*name)) {
            let message = format!("{again} stands twice in gateway.tls.acme.names");
            self.blame(Severity::Error, &[NAMES], &message, "name each host once");
        }
    }

    fn acme_account(&mut self) {
        let acme = &self.draft.settings.gateway.tls.acme;
        if acme.external_account.is_empty() == acme.external_account_key.is_empty() {
            if !acme.external_account.is_empty() && acme.external().is_none() {
                let message = "gateway.tls.acme.external_account_key is not in base64url";
                self.blame(Severity::Error, &[ACCOUNT_KEY], message, "copy it as the authority shows it: letters, digits, `-` and `_`");
            }
            return;
        }
        let message = "an account that the authority knows is named without its key, or the key without the account";
        self.blame(Severity::Error, &[ACCOUNT, ACCOUNT_KEY], message, "write both external_account and external_account_key, or neither");
    }

    fn acme_challenge(&mut self) {
        let tls = &self.draft.settings.gateway.tls;
        if tls.acme.challenge == AcmeChallenge::TlsAlpn01 && tls.client_ca.is_some() && tls.client_auth == ClientAuth::Required {
            let message = "the authority has no certificate to show: its check would be turned away on the TLS port";
            let paths = ["gateway.tls.acme.challenge", "gateway.tls.client_auth", "gateway.tls.client_ca"];
            self.blame(Severity::Error, &paths, message, "use challenge = \"http-01\", or client_auth = \"optional\"");
        }
    }
}
