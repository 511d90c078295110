//! An authority with its certificates, in files as an operator has them, and a gateway that serves them.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::fleet::{Fleet, Launch};
use crate::origin::Origin;

const DAY: Duration = Duration::from_hours(24);

pub(crate) struct Desk {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "the desk");
        let key = KeyPair::generate().unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { directory, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// As a word of a command line.
    pub(crate) fn word(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// Writes `NAME.pem` and `NAME.key` for these host names, valid for so many days, over what was there.
    pub(crate) fn certificate(&self, name: &str, hosts: &[&str], days: u32) {
        let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let now = SystemTime::now();
        (params.not_before, params.not_after) = ((now - DAY).into(), (now + days * DAY).into());
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        self.replace(&format!("{name}.key"), &key.serialize_pem());
        self.replace(&format!("{name}.pem"), &signed.pem());
    }

    pub(crate) fn replace(&self, file: &str, text: &str) {
        let aside = self.path("aside");
        std::fs::write(&aside, text).unwrap();
        std::fs::set_permissions(&aside, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(aside, self.path(file)).unwrap();
    }

    /// A gateway before one origin, with these lines in `[gateway.tls]`.
    pub(crate) fn gateway(&self, origin: &Origin, tls: &str) -> Fleet {
        self.write_settings(origin, tls);
        Launch::new(&["gateway", "--tls-port", "0"]).working_dir(self.directory()).fleet()
    }

    pub(crate) fn write_settings(&self, origin: &Origin, tls: &str) {
        let upstream =
            format!("[[upstream]]\nname = \"o\"\nservers = [\"{}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n", origin.server());
        std::fs::write(self.path("plimsoll.toml"), format!("[gateway.tls]\n{tls}\n{upstream}")).unwrap();
    }
}

/// The lines that name these certificates.
pub(crate) fn serving(names: &[&str]) -> String {
    let files: Vec<_> = names.iter().map(|name| format!("{{ chain = \"{name}.pem\", key = \"{name}.key\" }}")).collect();
    format!("certificates = [{}]\n", files.join(", "))
}
