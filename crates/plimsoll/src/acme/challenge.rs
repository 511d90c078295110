//! What is shown to an authority that checks whether a name leads here, for as long as its order is under way.

use std::sync::Arc;

use anyhow::Result;
use instant_acme::{ChallengeHandle, ChallengeType, KeyAuthorization};
use plimsoll_gateway::tls::{Certificate, Store};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::config::AcmeChallenge;

/// Taken away when it is dropped.
pub(super) enum Shown<'a> {
    Answer { store: &'a Store, token: String },
    Certificate { store: &'a Store, name: String },
}

impl<'a> Shown<'a> {
    pub(super) fn to(store: &'a Store, name: &str, challenge: &ChallengeHandle<'_>) -> Result<Self> {
        let key = challenge.key_authorization();
        if challenge.r#type == ChallengeType::TlsAlpn01 {
            store.put_challenge(name, Some(certificate(name, &key)?));
            return Ok(Self::Certificate { store, name: name.to_owned() });
        }
        let token = challenge.token.clone();
        store.put_answer(&token, Some(key.as_str()));
        Ok(Self::Answer { store, token })
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        match self {
            Self::Answer { store, token } => store.put_answer(token, None),
            Self::Certificate { store, name } => store.put_challenge(name, None),
        }
    }
}

pub(super) fn kind(challenge: AcmeChallenge) -> ChallengeType {
    match challenge {
        AcmeChallenge::Http01 => ChallengeType::Http01,
        AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
    }
}

/// A certificate that proves the key of the account, and is good for nothing else (RFC 8737, section 3).
fn certificate(name: &str, key_authorization: &KeyAuthorization) -> Result<Arc<Certificate>> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![name.to_owned()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(key_authorization.digest().as_ref())];
    let signed = params.self_signed(&key)?;
    Ok(Arc::new(Certificate::for_challenge(name, signed.der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))?))
}
