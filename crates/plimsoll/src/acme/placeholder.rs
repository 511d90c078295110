//! What is shown while there is no certificate: one that is signed by itself.
//!
//! The port is up and says what it is, so that whoever connects sees "not trusted" instead of a broken handshake, and health checks that do not
//! verify pass.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use plimsoll_gateway::tls::Certificate;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const LIFE: Duration = Duration::from_hours(30 * 24);
const BACKDATED: Duration = Duration::from_hours(24);

pub(super) fn made_for(names: &[String], now: SystemTime) -> Result<Arc<Certificate>> {
    let made = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name.push(DnType::CommonName, "Plimsoll waits for a certificate");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (params.not_before, params.not_after) = ((now - BACKDATED).into(), (now + LIFE).into());
        let signed = params.self_signed(&key)?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        anyhow::Ok(Arc::new(Certificate::new(vec![signed.der().clone()], key, "placeholder")?))
    };
    made().context("cannot make a placeholder for certificates to come")
}
