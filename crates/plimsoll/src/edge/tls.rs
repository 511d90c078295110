//! TLS with clients, from its settings: certificates from files, or made for development.

mod authority;
mod development;

use std::io::ErrorKind;
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use plimsoll_gateway::tls::{Certificate, ClientCertificates, Config, EXPIRES_SOON, Error, FileError, Files, Redirect, Server, Version};

use crate::acme;
use crate::config::{CertificateFiles, ClientAuth, Loaded, Mistake, Place, Settings, Severity, Tls, TlsRedirect, TlsVersion};
use crate::report::Failure;

pub use authority::certificate_in as authority_in;

/// A renewed certificate is served this long after it was written, at the latest. A look costs two system calls for each file.
const LOOK_EVERY: Duration = Duration::from_secs(2);

const CERTIFICATES: &str = "gateway.tls.certificates";

/// What speaks TLS; `None` while there is no certificate. Needs a tokio runtime.
pub fn server(settings: &Settings) -> Result<Option<Server>, Failure> {
    let tls = &settings.gateway.tls;
    if !tls.is_on() {
        return Ok(None);
    }
    let server = Server::start(config(tls)).map_err(refused)?;
    if !tls.development.is_empty() {
        development::supply(&server, &tls.development, &settings.data_dir)?;
    }
    acme::supply(&server, &tls.acme, &settings.data_dir)?;
    Ok(Some(server))
}

/// What speaks TLS, and the settings that it was made from.
pub struct InForce {
    pub settings: Settings,
    pub server: Option<Server>,
}

/// What speaks TLS after a reload: the same as before as long as its certificates and its terms come from the same settings. An order for a certificate
/// that is under way would be lost with it, and counts with its authority all the same.
pub fn server_after(before: &InForce, settings: &Settings) -> Result<Option<Server>, Failure> {
    let tls = &settings.gateway.tls;
    match &before.server {
        Some(running) if has_same_sources(&before.settings, settings) => running.renewed(config(tls)).map(Some).map_err(refused),
        _ => server(settings),
    }
}

fn has_same_sources(before: &Settings, after: &Settings) -> bool {
    let of_connections = |tls: &Tls| Tls { redirect: TlsRedirect::Off, hsts: None, ..tls.clone() };
    of_connections(&before.gateway.tls) == of_connections(&after.gateway.tls) && before.data_dir == after.data_dir
}

fn refused(error: Error) -> Failure {
    let hint = hint(&error);
    // Another file would do: it was asked wrongly.
    Failure::asked(format!("{:#}", anyhow!(error))).hint_if(hint)
}

fn config(tls: &Tls) -> Config {
    Config {
        files: tls.certificates.iter().map(files).collect(),
        look_every: LOOK_EVERY,
        version_min: match tls.version_min {
            TlsVersion::Tls12 => Version::Tls12,
            TlsVersion::Tls13 => Version::Tls13,
        },
        clients: clients(tls),
        redirect: match tls.redirect {
            TlsRedirect::Off => Redirect::Off,
            TlsRedirect::On => Redirect::ToDoor,
            TlsRedirect::Port(port) => Redirect::ToPort(port),
        },
        hsts: tls.hsts,
    }
}

fn files(files: &CertificateFiles) -> Files {
    Files { chain: files.chain.clone(), key: files.key.clone() }
}

fn clients(tls: &Tls) -> Option<ClientCertificates> {
    let clients = |authorities| ClientCertificates { authorities, optional: tls.client_auth == ClientAuth::Optional };
    tls.client_ca.clone().map(clients)
}

/// What is wrong with the files that the settings name, and what soon will be.
pub fn examine(loaded: &Loaded) -> Vec<Mistake> {
    let tls = &loaded.settings.gateway.tls;
    let place = |path| loaded.origins.get(path).cloned();
    let mut found = Vec::new();
    let mut names = Vec::new();
    for (position, files) in tls.certificates.iter().map(files).enumerate() {
        let place = place(CERTIFICATES).map(|list| list.item(position));
        match files.load() {
            Ok(certificate) => {
                let concerns = concerns(&files, &certificate, SystemTime::now());
                found.extend(concerns.map(|concern| concern.at(place.clone())));
                names.extend_from_slice(certificate.names());
            }
            Err(error) => found.push(mistake(Error::from(error), place)),
        }
    }
    if found.iter().all(|mistake| !mistake.is_error()) {
        names.extend(tls.development.iter().chain(&tls.acme.names).cloned());
        found.extend(uncovered(loaded, &names));
    }
    if let Some(Err(error)) = clients(tls).map(ClientCertificates::check) {
        found.push(mistake(error, place("gateway.tls.client_ca")));
    }
    if let Err(error) = acme::check(&tls.acme) {
        let message = format!("{:#}", anyhow!(error));
        found.push(Mistake { severity: Severity::Error, message, place: place("gateway.tls.acme.directory_ca"), hint: None });
    }
    found
}

fn mistake(error: Error, place: Option<Place>) -> Mistake {
    let hint = hint(&error);
    Mistake { severity: Severity::Error, message: format!("{:#}", anyhow!(error)), place, hint }
}

/// Hosts of routes that no certificate holds for: browsers would turn away.
fn uncovered(loaded: &Loaded, names: &[String]) -> Vec<Mistake> {
    if names.is_empty() {
        return Vec::new();
    }
    let hosts = loaded.settings.routes.iter().zip(&loaded.host_places).filter_map(|(route, place)| Some((route.host.as_ref()?, place)));
    let uncovered = hosts.filter(|(host, _)| !names.iter().any(|name| covers(name, host)));
    let warning = |(host, place): (&String, &Option<Place>)| {
        let message = format!("no certificate holds for {host}: clients that come by https get one for another name, and refuse it");
        let hint = format!("add one to {CERTIFICATES}; there are some for: {}", listed(names));
        Mistake::warning(message, place.clone(), hint)
    };
    uncovered.map(warning).collect()
}

/// Whether a certificate's name holds for a host. A wildcard stands for one label (RFC 6125, section 6.4.3).
fn covers(name: &str, host: &str) -> bool {
    let below = |name: &str| host.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(name));
    name.eq_ignore_ascii_case(host) || name.strip_prefix("*.").is_some_and(below)
}

/// The first few names, and how many there are besides.
fn listed(names: &[String]) -> String {
    const SHOWN_MAX: usize = 5;
    let shown = names.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let left = names.len().saturating_sub(SHOWN_MAX);
    if left == 0 { shown } else { format!("{shown} and {left} more") }
}

/// Something about a certificate that works, for now.
struct Concern {
    message: String,
    hint: &'static str,
}

impl Concern {
    fn at(self, place: Option<Place>) -> Mistake {
        Mistake { severity: Severity::Warning, message: self.message, place, hint: Some(self.hint.to_owned()) }
    }
}

fn concerns(files: &Files, certificate: &Certificate, now: SystemTime) -> impl Iterator<Item = Concern> {
    let file = files.chain.display();
    let renew = "renew it; the new one is served as soon as it is in its place";
    let validity = certificate.validity();
    let age = match validity.left(now) {
        None => Some(Concern { message: format!("the certificate in {file} has expired: clients refuse it"), hint: renew }),
        Some(left) if left < EXPIRES_SOON => {
            Some(Concern { message: format!("the certificate in {file} expires in {}", days(left)), hint: renew })
        }
        Some(_) if validity.not_before > now => Some(Concern {
            message: format!("the certificate in {file} is not valid yet: clients refuse it"),
            hint: "is the clock of this machine right? `date` tells",
        }),
        Some(_) => None,
    };
    let exposed = files.key_is_exposed().then(|| Concern {
        message: format!("every user of this machine can read the key in {}", files.key.display()),
        hint: "take it from them: chmod o= on that file",
    });
    let nameless = certificate.names().is_empty().then(|| Concern {
        message: format!("the certificate in {file} names no host: browsers refuse it"),
        hint: "its names must be in subjectAltName; the common name has not counted for years",
    });
    [age, exposed, nameless].into_iter().flatten()
}

/// A rest of validity, rounded down.
pub fn days(left: Duration) -> String {
    const DAY: u64 = 24 * 60 * 60;
    match left.as_secs() / DAY {
        0 => format!("{} hours", left.as_secs() / (60 * 60)),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

fn hint(error: &Error) -> Option<String> {
    let Error::Files(error) = error else { return None };
    match error {
        FileError::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            Some("let the user who runs plimsoll read it, through a group: chgrp and chmod g+r; keep everybody else out".to_owned())
        }
        FileError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
            Some("a path that does not begin with a slash counts from the directory in which plimsoll is started".to_owned())
        }
        FileError::Mismatch { files } => Some(format!(
            "these two print the same line if they belong together: `openssl x509 -in {} -noout -pubkey | sha256sum`, \
             `openssl pkey -in {} -pubout | sha256sum`",
            files.chain.display(),
            files.key.display()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    /// What is said about a certificate that holds from then to then, on day 1000.
    fn said(from: u32, to: u32) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = (UNIX_EPOCH + from * DAY).into();
        params.not_after = (UNIX_EPOCH + to * DAY).into();
        let key = KeyPair::generate().unwrap();
        let both = directory.path().join("both.pem");
        std::fs::write(&both, params.self_signed(&key).unwrap().pem() + &key.serialize_pem()).unwrap();
        std::fs::set_permissions(&both, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let files = Files { chain: both.clone(), key: both };
        let certificate = files.load().unwrap();
        let found = concerns(&files, &certificate, UNIX_EPOCH + 1000 * DAY);
        found.map(|concern| concern.message.replace(&format!("{}/", directory.path().display()), "")).collect()
    }

    #[test]
    fn a_certificate_is_of_concern_two_weeks_before_its_end() {
        assert_eq!(said(900, 1015), [""; 0]);
        assert_eq!(said(900, 1014), [""; 0]);
        assert_eq!(said(900, 1013), ["the certificate in both.pem expires in 13 days"]);
        assert_eq!(said(900, 1001), ["the certificate in both.pem expires in 1 day"]);
        assert_eq!(said(900, 1000), ["the certificate in both.pem has expired: clients refuse it"]);
        assert_eq!(said(1001, 2000), ["the certificate in both.pem is not valid yet: clients refuse it"]);
    }
}
