//! `[gateway.tls]`: how clients come in encrypted.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]

use std::path::PathBuf;
use std::time::Duration;

use super::acme::Acme;
use super::raw::{Fault, Raw, Read};
use super::route::Switch;
use super::settings::Settings;
use super::shape::{Choice, File, HostName, List, OrNone, SECOND, Shape, Time, Whole, choice};
use super::suggest;
use super::table::table;

table! {
    /// TLS with clients. It is spoken on a port of its own as soon as there is a certificate: from files, by ACME, or made for development.
    struct Tls at [Settings.gateway.tls] {
        /// Certificates and their keys in PEM files: `{ chain = "fullchain.pem", key = "privkey.pem" }`, or one file with both. Which one a
        /// client is shown depends on the names in them; the first is also for clients that name no host, or one that none is for. Files are
        /// read again when they change.
        certificates: Vec<CertificateFiles> = Vec::new(), List(CertificatePlace);
        /// Names for which a certificate is made at the start, for development. Its authority lies in `data_dir`, for you to trust.
        development: Vec<String> = Vec::new(), List(HostName), flag "tls";
        /// Port on which TLS is spoken, at the same address as the plain one. 0 takes any free one and prints it.
        port: u16 = 8443, Whole(0..=u16::MAX), flag "tls-port", at restart;
        /// What the plain port does while TLS is spoken: `on` sends every request to the TLS port, a number to the port under which
        /// clients reach that (443 behind a port mapping), `off` serves it.
        redirect: TlsRedirect = TlsRedirect::On, RedirectTo;
        /// For how long browsers are told to use nothing but https for this host. Said over https only. What is once said cannot be taken
        /// back, so begin with a short time.
        hsts: Option<Duration> = None, OrNone("off", Time(SECOND..=Duration::from_hours(2 * 365 * 24)));
        /// The oldest version that is spoken.
        version_min: TlsVersion = TlsVersion::Tls12, Choice::<TlsVersion>::new();
        /// PEM file with the authorities whose certificates clients show. Empty means that clients are not asked for any. Instances are told the
        /// verified certificate in `Client-Cert` (RFC 9440), which nobody else can set.
        client_ca: Option<PathBuf> = None, OrNone("", File);
        /// Whether clients must show a certificate, or may. One that cannot be verified is never accepted.
        client_auth: ClientAuth = ClientAuth::Required, Choice::<ClientAuth>::new();
    }
    parts { acme: Acme, }
}

choice! {
    /// A version of TLS.
    TlsVersion { Tls12 = "1.2", Tls13 = "1.3", }
}

choice! {
    /// Whether clients must show a certificate.
    ClientAuth { Required = "required", Optional = "optional", }
}

impl Tls {
    /// Whether it is spoken at all.
    pub fn is_on(&self) -> bool {
        !self.certificates.is_empty() || !self.development.is_empty() || self.acme.is_on()
    }
}

/// Where a certificate and its key lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    pub chain: PathBuf,
    pub key: PathBuf,
}

/// How the files of a certificate are written: both, or one that holds both.
struct CertificatePlace;

impl Shape for CertificatePlace {
    type Value = CertificateFiles;

    fn read(&self, raw: &Raw<'_>) -> Read<CertificateFiles> {
        let Some(table) = raw.as_table() else {
            return File.read(raw).map(|path| CertificateFiles { chain: path.clone(), key: path });
        };
        let (mut chain, mut key) = (None, None);
        let mut faults = Vec::new();
        for (name, value) in table {
            let place = match name.get_ref().as_ref() {
                "chain" => &mut chain,
                "key" => &mut key,
                unknown => {
                    let near = suggest::closest(unknown, ["chain", "key"]);
                    let hint = near.map_or("known here: chain, key".to_owned(), |near| format!("did you mean `{near}`?"));
                    faults.push(Fault { span: name.span(), message: format!("unknown key `{unknown}`"), hint: Some(hint) });
                    continue;
                }
            };
            match File.read(&Raw::toml(value)) {
                Ok(path) => *place = Some(path),
                Err(more) => faults.extend(more),
            }
        }
        match (chain, key) {
            _ if !faults.is_empty() => Err(faults),
            (Some(chain), Some(key)) => Ok(CertificateFiles { chain, key }),
            (None, _) => Err(raw.fault("the file of the certificate is missing", "add chain = \"fullchain.pem\"")),
            (_, None) => {
                Err(raw.fault("the file of the key is missing", "add key = \"privkey.pem\", or write one path if both are in one file"))
            }
        }
    }

    fn print(&self, value: &CertificateFiles) -> String {
        let CertificateFiles { chain, key } = value;
        if chain == key { File.print(chain) } else { format!("{{ chain = {}, key = {} }}", File.print(chain), File.print(key)) }
    }

    fn accepts(&self) -> String {
        "{ chain = \"…\", key = \"…\" } or a path".to_owned()
    }
}

/// Where requests are sent that came unencrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsRedirect {
    Off,
    On,
    Port(u16),
}

struct RedirectTo;

const PORT: Whole<u16> = Whole(1..=u16::MAX);

impl Shape for RedirectTo {
    type Value = TlsRedirect;

    fn read(&self, raw: &Raw<'_>) -> Read<TlsRedirect> {
        if raw.integer().is_some() {
            return PORT.read(raw).map(TlsRedirect::Port);
        }
        let switch = Choice::<Switch>::new().read(raw).map_err(|_| {
            let port = raw.as_str().map(str::trim).filter(|text| text.parse::<u16>().is_ok());
            let hint = port.map_or_else(|| format!("write {}", self.accepts()), |port| format!("a port stands without quotes: {port}"));
            raw.fault("this says nowhere", hint)
        })?;
        Ok(if switch == Switch::On { TlsRedirect::On } else { TlsRedirect::Off })
    }

    fn print(&self, value: &TlsRedirect) -> String {
        match value {
            TlsRedirect::Off => "\"off\"".to_owned(),
            TlsRedirect::On => "\"on\"".to_owned(),
            TlsRedirect::Port(port) => port.to_string(),
        }
    }

    fn accepts(&self) -> String {
        "\"on\", \"off\" or a port".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<S: Shape<Value: std::fmt::Debug + PartialEq>>(shape: &S, text: &str, expected: &S::Value) {
        let value = shape.read(&Raw::text(text, 0)).unwrap();
        assert_eq!(value, *expected, "{text}");
    }

    #[test]
    fn a_variable_names_certificates_by_one_file_each() {
        let both = |path: &str| CertificateFiles { chain: path.into(), key: path.into() };
        check(&List(CertificatePlace), "/a.pem, /b.pem", &vec![both("/a.pem"), both("/b.pem")]);
        assert_eq!(CertificatePlace.print(&both("/a.pem")), "\"/a.pem\"");
        let apart = CertificateFiles { chain: "/a.pem".into(), key: "/a.key".into() };
        assert_eq!(CertificatePlace.print(&apart), "{ chain = \"/a.pem\", key = \"/a.key\" }");
    }

    #[test]
    fn a_redirect_goes_nowhere_to_the_door_or_to_a_port() {
        check(&RedirectTo, "on", &TlsRedirect::On);
        check(&RedirectTo, "off", &TlsRedirect::Off);
        check(&RedirectTo, "443", &TlsRedirect::Port(443));
        for text in ["", "yes", "0", "65536"] {
            assert!(RedirectTo.read(&Raw::text(text, 0)).is_err(), "{text}");
        }
    }
}
