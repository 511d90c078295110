//! `[gateway.tls.acme]`: certificates that are ordered and renewed by themselves.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::raw::{Raw, Read};
use super::route::Switch;
use super::settings::Settings;
use super::shape::{Choice, File, List, OrNone, SECOND, Secret, SecretText, Shape, Text, Time, choice, is_host};
use super::table::table;
use super::upstream::is_address;

table! {
    /// Certificates from an authority that speaks ACME (RFC 8555): ordered at the start, renewed before they end, kept in `data_dir`.
    struct Acme at [Settings.gateway.tls.acme] {
        /// URL of your authority's directory; its documentation says it. Empty means that no certificates are ordered.
        directory: Option<String> = None, OrNone("", DirectoryUrl);
        /// PEM file with the authorities that vouch for the directory itself, where it is a private one. Empty means those that this
        /// system trusts.
        directory_ca: Option<PathBuf> = None, OrNone("", File);
        /// Names to get certificates for, one for each. Each must lead here, by DNS.
        names: Vec<String> = Vec::new(), List(CertifiedName);
        /// Addresses for e-mail that the authority may write to about your certificates.
        contact: Vec<String> = Vec::new(), List(Contact);
        /// Whether you agree to the authority's terms of service. There are no certificates without.
        agree_to_terms: Switch = Switch::Off, Choice::<Switch>::new();
        /// How the authority checks that a name leads here: `http-01` asks the plain port, which must be reached as port 80; `tls-alpn-01`
        /// the TLS port, as port 443.
        challenge: AcmeChallenge = AcmeChallenge::Http01, Choice::<AcmeChallenge>::new();
        /// How long before its end a certificate is renewed. `auto` is a third of its life; no more than two thirds count.
        renew_before: Option<Duration> = None, OrNone("auto", Time(SECOND..=Duration::from_hours(365 * 24)));
        /// Key identifier by which the authority knows you, where it wants an account of its own to be named (external account binding).
        external_account: String = String::new(), Text { length_max: 1_024 };
        /// The key that goes with `external_account`, in base64url as the authority gives it.
        external_account_key: Secret = Secret::default(), SecretText { length_min: 16, may_be_empty: true };
    }
}

choice! {
    /// How a name is proven.
    AcmeChallenge { Http01 = "http-01", TlsAlpn01 = "tls-alpn-01", }
}

impl Acme {
    /// Whether certificates are ordered at all.
    pub fn is_on(&self) -> bool {
        self.directory.is_some()
    }

    /// The account that the authority knows, with its key; `None` for a key that is none.
    pub fn external(&self) -> Option<(String, Vec<u8>)> {
        let key = URL_SAFE_NO_PAD.decode(self.external_account_key.expose().trim_end_matches('=')).ok()?;
        (!self.external_account.is_empty() && !key.is_empty()).then(|| (self.external_account.clone(), key))
    }
}

/// Where an authority tells what it can do.
struct DirectoryUrl;

impl Shape for DirectoryUrl {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a URL")?.trim();
        let url = text.parse::<http::Uri>().ok().filter(|url| url.host().is_some_and(|host| !host.is_empty()));
        match url {
            Some(url) if url.scheme_str() == Some("https") => Ok(text.to_owned()),
            Some(_) => Err(raw.fault("a directory is asked by https only", format!("write {}", self.accepts()))),
            None => Err(raw.fault(format!("`{text}` is not a URL"), format!("write {}", self.accepts()))),
        }
    }

    fn print(&self, value: &String) -> String {
        toml::Value::from(value.as_str()).to_string()
    }

    fn accepts(&self) -> String {
        "a URL such as \"https://ca.example.com/acme/directory\"".to_owned()
    }
}

/// A name that an authority can check by connecting to it.
struct CertifiedName;

impl Shape for CertifiedName {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a host name")?.trim().trim_end_matches('.').to_ascii_lowercase();
        if text.contains('*') {
            let hint = "write the names one by one: a wildcard needs a challenge in the DNS, which is not spoken here";
            return Err(raw.fault(format!("`{text}` cannot be proven by a connection"), hint));
        }
        if is_host(&text) && !is_address(&text) && !text.starts_with('[') {
            return Ok(text);
        }
        Err(raw.fault(format!("`{text}` is not a name that certificates are issued for"), format!("write {}", self.accepts())))
    }

    fn print(&self, value: &String) -> String {
        toml::Value::from(value.as_str()).to_string()
    }

    fn accepts(&self) -> String {
        "a host name such as \"api.example.com\"".to_owned()
    }
}

/// An address for e-mail.
struct Contact;

impl Shape for Contact {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("an address")?.trim();
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        // What the authority makes of it is its business; what cannot stand in a URL is not.
        let is_plain = address.len() <= 254 && address.bytes().all(|byte| byte.is_ascii_graphic() && !b"?,<>\"".contains(&byte));
        match address.split_once('@') {
            Some((name, host)) if is_plain && !name.is_empty() && is_host(host) => Ok(address.to_owned()),
            _ => Err(raw.fault(format!("`{text}` is not an address for e-mail"), format!("write {}", self.accepts()))),
        }
    }

    fn print(&self, value: &String) -> String {
        toml::Value::from(value.as_str()).to_string()
    }

    fn accepts(&self) -> String {
        "an address such as \"ada@example.com\"".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<S: Shape<Value = String>>(shape: &S, text: &str, expected: Option<&str>) {
        assert_eq!(shape.read(&Raw::text(text, 0)).ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn a_directory_is_asked_by_https() {
        let url = "https://ca.example.com:14000/dir";
        check(&DirectoryUrl, url, Some(url));
        for text in ["http://ca.example.com/dir", "ca.example.com", "https://", "https:///dir", "nonsense"] {
            check(&DirectoryUrl, text, None);
        }
    }

    #[test]
    fn certificates_are_for_names_and_not_for_addresses_or_wildcards() {
        check(&CertifiedName, "API.example.com.", Some("api.example.com"));
        for text in ["", "*.example.com", "192.0.2.7", "[2001:db8::7]", "a..b", "a/b", "a b"] {
            check(&CertifiedName, text, None);
        }
    }

    #[test]
    fn a_contact_is_an_address_with_or_without_its_scheme() {
        check(&Contact, "ada@example.com", Some("ada@example.com"));
        check(&Contact, "mailto:ada@example.com", Some("ada@example.com"));
        for text in ["ada", "@example.com", "ada@", "ada@example.com,eve@example.com", "ada@example.com?subject=x"] {
            check(&Contact, text, None);
        }
    }
}
