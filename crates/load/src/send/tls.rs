//! Whom to believe, and what to offer.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

use crate::plan::{Protocol, Trust};

/// A connector for every connection of a run; session tickets are shared, as in a browser.
pub(crate) fn connector(trust: &Trust, protocol: Protocol) -> Result<TlsConnector, String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let mut config = match trust {
        Trust::System => builder.with_root_certificates(authorities(None)?).with_no_client_auth(),
        Trust::Authorities(path) => builder.with_root_certificates(authorities(Some(path))?).with_no_client_auth(),
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(BelieveAnyone(provider))).with_no_client_auth(),
    };
    config.alpn_protocols = match protocol {
        Protocol::Auto => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Protocol::Http1 => vec![b"http/1.1".to_vec()],
        Protocol::Http2 => vec![b"h2".to_vec()],
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

fn authorities(extra: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    // Some certificates of a system may be odd; what matters is that there are any.
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra {
        let failed = |reason: &dyn std::fmt::Display| format!("cannot read certificates from {}: {reason}", path.display());
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
        let mut count = 0;
        for certificate in certificates {
            store.add(certificate.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(failed(&"it holds none"));
        }
    }
    if store.is_empty() {
        return Err("this system has no certificate authorities; install ca-certificates, or name a file".to_owned());
    }
    Ok(store)
}

/// For a test of one's own server only: the connection is encrypted, to nobody knows whom.
#[derive(Debug)]
struct BelieveAnyone(Arc<CryptoProvider>);

impl ServerCertVerifier for BelieveAnyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
