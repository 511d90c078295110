//! An authority of one's own, for development: kept in the data directory, and believed by nobody who was not told to.
//!
//! It can vouch for the names it was made for and for no others, so that a stolen key is of no use against anything else on a machine that
//! trusts it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use plimsoll_gateway::tls::{Certificate, Validity};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, NameConstraints,
};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

const DAY: Duration = Duration::from_hours(24);
/// To be trusted once in two years, not once a month.
const AUTHORITY_LIFE: Duration = Duration::from_hours(2 * 365 * 24);
pub(super) const CERTIFICATE_LIFE: Duration = Duration::from_hours(30 * 24);
/// Clocks differ, in virtual machines that were asleep by hours.
const BACKDATED: Duration = DAY;
/// What people see where they trust it.
const COMMON_NAME: &str = "Plimsoll development authority";

/// Where the authority's certificate lies: the file to trust.
pub fn certificate_in(data_dir: &Path) -> PathBuf {
    data_dir.join("tls").join("ca.pem")
}

pub(super) struct Authority {
    certificate: CertificateDer<'static>,
    key: KeyPair,
    names: Vec<String>,
}

impl Authority {
    /// The authority of a data directory. It is made if there is none, and made anew if it cannot vouch for these names for as long as a
    /// certificate lives.
    pub(super) fn open(data_dir: &Path, names: &[String]) -> Result<Self> {
        let names = with_loopback(names);
        let folder = data_dir.join("tls");
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let (certificate_file, key_file) = (certificate_in(data_dir), folder.join("ca.key"));
        if let Some(authority) = read(&certificate_file, &key_file, &names)
            && authority.issue(SystemTime::now()).is_ok()
        {
            return Ok(authority);
        }
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params_of_authority(&names, SystemTime::now())?.self_signed(&key).context("cannot make an authority")?;
        let replaced = certificate_file.exists();
        write(&key_file, &key.serialize_pem(), 0o600).with_context(|| format!("cannot write {}", key_file.display()))?;
        write(&certificate_file, &certificate.pem(), 0o644).with_context(|| format!("cannot write {}", certificate_file.display()))?;
        if replaced {
            tracing::warn!(file = %certificate_file.display(), "a new development authority was made: what trusted the old one must be told");
        }
        Ok(Self { certificate: certificate.der().clone(), key, names })
    }

    /// A certificate for the names, of which clients that trust the authority have nothing to complain.
    pub(super) fn issue(&self, now: SystemTime) -> Result<Arc<Certificate>> {
        let key = KeyPair::generate().context("cannot make a key")?;
        let issuer = Issuer::new(params_of_authority(&self.names, now)?, &self.key);
        let signed = params_of_certificate(&self.names, now)?.signed_by(&key, &issuer).context("cannot make a certificate")?;
        self.check(signed.der(), now + CERTIFICATE_LIFE - DAY)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Ok(Arc::new(Certificate::new(vec![signed.der().clone()], key, "development")?))
    }

    /// Looks at a certificate as a client does that trusts the authority.
    fn check(&self, certificate: &CertificateDer<'_>, at: SystemTime) -> Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
        // Clients look at the authority's own end too; the verifier does not.
        ensure!(Validity::of(&self.certificate).is_some_and(|validity| validity.left(at).is_some()), "the authority ends before");
        let at = UnixTime::since_unix_epoch(at.duration_since(SystemTime::UNIX_EPOCH)?);
        for name in &self.names {
            verifier.verify_server_cert(certificate, &[], &ServerName::try_from(name.as_str())?, &[], at)?;
        }
        Ok(())
    }
}

/// An authority from its files; `None` if they hold none.
fn read(certificate: &Path, key: &Path, names: &[String]) -> Option<Authority> {
    let certificate = CertificateDer::from_pem_file(certificate).ok()?;
    let key = KeyPair::from_pem(&fs::read_to_string(key).ok()?).ok()?;
    Some(Authority { certificate, key, names: names.to_vec() })
}

/// What everybody tries first, and what was asked for. IPv6 without brackets, as certificates have it.
fn with_loopback(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for name in names.iter().map(|name| name.trim_matches(['[', ']'])) {
        if !all.iter().any(|known| known == name) {
            all.push(name.to_owned());
        }
    }
    all
}

fn params_of_authority(names: &[String], now: SystemTime) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let permitted = names.iter().map(|name| match name.parse::<IpAddr>() {
        Ok(address) => GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, if address.is_ipv4() { 32 } else { 128 })),
        Err(_) => GeneralSubtree::DnsName(name.clone()),
    });
    params.name_constraints = Some(NameConstraints { permitted_subtrees: permitted.collect(), excluded_subtrees: Vec::new() });
    (params.not_before, params.not_after) = ((now - BACKDATED).into(), (now + AUTHORITY_LIFE).into());
    Ok(params)
}

fn params_of_certificate(names: &[String], now: SystemTime) -> Result<CertificateParams> {
    ensure!(!names.is_empty(), "a certificate needs a name");
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "Plimsoll development certificate");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = ((now - BACKDATED).into(), (now + CERTIFICATE_LIFE).into());
    Ok(params)
}

/// Written aside and renamed, so that nobody reads half of it. The mode is there from the first byte on.
fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let aside = path.with_extension("new");
    let _ = fs::remove_file(&aside);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(mode).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(aside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn open(data_dir: &Path, names: &[&str]) -> Authority {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Authority::open(data_dir, &names).unwrap()
    }

    #[test]
    fn it_is_made_once_and_its_key_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), &["localhost"]);
        let again = open(directory.path(), &["localhost"]);
        assert_eq!(first.certificate, again.certificate);
        let mode = |path: PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.path().join("tls/ca.key")), 0o600);
        assert_eq!(mode(directory.path().join("tls")), 0o700);
        let issued = again.issue(SystemTime::now()).unwrap();
        assert_eq!(issued.names(), ["localhost"]);
        let left = issued.validity().left(SystemTime::now()).unwrap();
        assert!(left <= CERTIFICATE_LIFE && left + DAY > CERTIFICATE_LIFE, "{left:?}");
    }

    #[test]
    fn it_is_made_anew_for_names_that_it_cannot_vouch_for_and_when_it_is_damaged_or_too_old() {
        let directory = tempfile::tempdir().unwrap();
        let first = open(directory.path(), &["localhost"]);
        let wider = open(directory.path(), &["app.test", "192.0.2.7", "[2001:db8::7]"]);
        assert_ne!(first.certificate, wider.certificate);
        assert_eq!(wider.issue(SystemTime::now()).unwrap().names(), ["localhost", "app.test"]);
        let narrower = open(directory.path(), &["localhost"]);
        assert_eq!(wider.certificate, narrower.certificate, "it can vouch for fewer names");
        fs::write(directory.path().join("tls/ca.key"), "nonsense").unwrap();
        let mended = open(directory.path(), &["localhost"]);
        assert_ne!(mended.certificate, wider.certificate);
        assert!(mended.issue(SystemTime::now() + AUTHORITY_LIFE - CERTIFICATE_LIFE + 2 * DAY).is_err());
    }

    #[test]
    fn nobody_can_vouch_for_another_name_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut stolen = open(directory.path(), &["localhost"]);
        assert!(stolen.issue(SystemTime::now()).is_ok());
        for name in ["bank.example", "192.0.2.7"] {
            stolen.names = vec![name.to_owned()];
            assert!(stolen.issue(SystemTime::now()).is_err(), "{name}");
        }
    }
}
