//! A certificate with its chain and its key, checked once, when it comes in.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, InconsistentKeys};
use webpki::EndEntityCert;

use super::validity::Validity;

/// What is shown to clients, and what proves that it is ours.
#[derive(Clone)]
pub struct Certificate {
    names: Vec<String>,
    validity: Validity,
    /// Where it came from, for people: a file, or a word.
    source: Arc<str>,
    key: Arc<CertifiedKey>,
}

/// Why a chain and a key are no certificate.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    #[error("the key belongs to no certificate of the chain")]
    Mismatch,
    #[error("the certificate of the key is not the first of the chain, but number {0}")]
    WrongOrder(usize),
    #[error("the key cannot be used")]
    Key(#[source] rustls::Error),
    #[error("the certificate cannot be used")]
    Certificate(#[source] rustls::Error),
}

impl Certificate {
    /// `chain` begins with the certificate of the key; those that vouch for it follow.
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>, source: &str) -> Result<Self, Flaw> {
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(Flaw::Key)?;
        let key = CertifiedKey::new(chain, key);
        matching(&key)?;
        let first = key.end_entity_cert().map_err(Flaw::Certificate)?;
        let unusable = || Flaw::Certificate(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding));
        let validity = Validity::of(first).ok_or_else(unusable)?;
        let parsed = EndEntityCert::try_from(first).map_err(|_| unusable())?;
        let names = parsed.valid_dns_names().map(str::to_ascii_lowercase).collect();
        Ok(Self { names, validity, source: source.into(), key: Arc::new(key) })
    }

    /// One that is shown to whoever checks a TLS-ALPN-01 challenge for a name, and to nobody else. Nothing but that client can read it: what it
    /// proves is in an extension that others must refuse (RFC 8737, section 3).
    pub fn for_challenge(name: &str, certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Self, Flaw> {
        let unusable = || Flaw::Certificate(rustls::Error::InvalidCertificate(rustls::CertificateError::BadEncoding));
        let validity = Validity::of(&certificate).ok_or_else(unusable)?;
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).map_err(Flaw::Key)?;
        let key = Arc::new(CertifiedKey::new(vec![certificate], key));
        Ok(Self { names: vec![name.to_owned()], validity, source: "challenge".into(), key })
    }

    /// The host names it holds for, in lower case. `*.` at the beginning of one stands for any one label.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Where it came from: the file of its chain, or who made it.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(super) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// Whether clients would see any difference.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Certificate").field("names", &self.names).field("source", &self.source).finish_non_exhaustive()
    }
}

/// Whether the key is that of the chain's first certificate, and if not, what is the matter.
fn matching(key: &CertifiedKey) -> Result<(), Flaw> {
    match key.keys_match() {
        // Unknown: the key does not say what its public half is.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let alone = |certificate: &CertificateDer<'static>| CertifiedKey::new(vec![certificate.clone()], Arc::clone(&key.key));
            let place = key.cert.iter().position(|certificate| alone(certificate).keys_match().is_ok());
            Err(place.map_or(Flaw::Mismatch, |place| Flaw::WrongOrder(place + 1)))
        }
        Err(error) => Err(Flaw::Certificate(error)),
    }
}
