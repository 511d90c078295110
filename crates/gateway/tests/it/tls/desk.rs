//! Certificates in a directory, and clients that believe who signed them.

use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_gateway::tls::{Certificate, Config, Files, Redirect, Server, Version};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::edge::{Edge, Plan};
use crate::peer::{Peer, Stream, ms};

/// An authority, and the files it has written.
pub(crate) struct Desk {
    directory: TempDir,
    authority: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(crate) struct Signed {
    pub(crate) certificate: CertificateDer<'static>,
    pem: String,
    key: KeyPair,
}

impl Signed {
    pub(crate) fn as_certificate(&self) -> Certificate {
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        Certificate::new(vec![self.certificate.clone()], key, "signed").unwrap()
    }
}

impl Desk {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "the desk");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("authority.pem"), certificate.pem()).unwrap();
        Self { directory, authority: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn sign(&self, names: &[&str]) -> Signed {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Signed { certificate: certificate.der().clone(), pem: certificate.pem(), key }
    }

    /// Writes a certificate for these names, whole, over what was there.
    pub(crate) fn write(&self, file: &str, names: &[&str]) -> Signed {
        let signed = self.sign(names);
        self.replace(file, &(signed.pem.clone() + &signed.key.serialize_pem()));
        signed
    }

    pub(crate) fn replace(&self, file: &str, text: &str) {
        let aside = self.path("aside");
        std::fs::write(&aside, text).unwrap();
        std::fs::rename(aside, self.path(file)).unwrap();
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// What is served from these files.
    pub(crate) fn config(&self, files: &[&str]) -> Config {
        Config {
            files: files.iter().map(|file| Files { chain: self.path(file), key: self.path(file) }).collect(),
            look_every: ms(10),
            version_min: Version::Tls12,
            clients: None,
            redirect: Redirect::Off,
            hsts: None,
        }
    }

    /// For [`Edge::with`].
    pub(crate) fn serving<C: FnOnce(&mut Config, &mut Plan)>(&self, files: &[&str], change: C) -> impl FnOnce(&mut Plan) + use<C> {
        let mut config = self.config(files);
        move |plan| {
            change(&mut config, plan);
            plan.config.tls = Some(Server::start(config).unwrap());
        }
    }

    pub(crate) fn client(&self) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let config = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots).with_no_client_auth();
        Client(config)
    }

    /// A client that shows a certificate.
    pub(crate) fn client_with(&self, signed: &Signed) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let key = PrivateKeyDer::Pkcs8(signed.key.serialize_der().into());
        Client(builder.with_client_auth_cert(vec![signed.certificate.clone()], key).unwrap())
    }
}

pub(crate) struct Client(ClientConfig);

impl Client {
    pub(crate) fn speaking(mut self, protocols: &[&str]) -> Self {
        self.0.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        self
    }

    pub(crate) async fn handshake(&self, edge: &Edge, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        self.over(TcpStream::connect(edge.tls_address()).await?, name).await
    }

    pub(crate) async fn over(&self, stream: TcpStream, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        TlsConnector::from(Arc::new(self.0.clone())).connect(name, stream).await
    }

    pub(crate) async fn connect(&self, edge: &Edge, name: &str) -> Peer {
        Peer::new(self.handshake(edge, name).await.unwrap())
    }

    /// The certificate that is shown to who asks for this name.
    pub(crate) async fn shown(&self, edge: &Edge, name: &str) -> CertificateDer<'static> {
        let stream = self.handshake(edge, name).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    }
}

impl Stream for TlsStream<TcpStream> {
    fn close_hard(&self) {
        self.get_ref().0.set_zero_linger().unwrap();
    }
}
