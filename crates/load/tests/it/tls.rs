//! TLS: whom to believe, and what is spoken then.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_load::Error;
use plimsoll_load::plan::{Plan, Protocol, Trust};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::fixture::{carry_out, evenly, plan, try_to};
use crate::http2;
use crate::server::Then;

const SHORT: Duration = Duration::from_millis(300);

struct Server {
    url: String,
    folder: TempDir,
}

impl Server {
    /// Signed by nobody but itself, for the name `localhost`.
    async fn start(protocols: &[&str]) -> Self {
        let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("authority.pem"), signed.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(signed.signing_key.serialize_der().into());
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = builder.with_single_cert(vec![signed.cert.der().clone()], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                        return http2::serve(stream, false).await;
                    }
                    let mut head = [0; 2048];
                    while stream.read(&mut head).await.is_ok_and(|count| count > 0) {
                        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await.unwrap();
                        stream.flush().await.unwrap();
                    }
                });
            }
        });
        Self { url, folder }
    }

    fn authority(&self) -> Trust {
        Trust::Authorities(self.folder.path().join("authority.pem"))
    }

    fn plan(&self, trust: Trust) -> Plan {
        Plan { trust, ..plan(&self.url, evenly(20, SHORT)) }
    }
}

#[tokio::test]
async fn an_authority_from_a_file_is_believed_and_a_stranger_is_not() {
    let server = Server::start(&["http/1.1"]).await;
    let recording = carry_out(server.plan(server.authority())).await;
    assert_eq!((recording.total.good, recording.total.body_bytes), (20, 100), "{:?}", recording.examples);
    let error = try_to(server.plan(Trust::System)).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error}");
    assert_eq!(carry_out(server.plan(Trust::Anyone)).await.total.good, 20);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_believed() {
    let server = Server::start(&[]).await;
    let url = server.url.replace("localhost", "127.0.0.1");
    let other = Plan { trust: server.authority(), ..plan(&url, evenly(20, SHORT)) };
    assert!(matches!(try_to(other).await.unwrap_err(), Error::Tls { .. }));
}

#[tokio::test]
async fn the_server_chooses_what_is_spoken_unless_the_plan_does() {
    let server = Server::start(&["h2", "http/1.1"]).await;
    let by_server = carry_out(server.plan(server.authority())).await;
    // The HTTP/2 side answers with the empty body that it got.
    assert_eq!((by_server.total.good, by_server.total.body_bytes), (20, 0), "{:?}", by_server.examples);
    let by_plan = carry_out(Plan { protocol: Protocol::Http1, ..server.plan(server.authority()) }).await;
    assert_eq!((by_plan.total.good, by_plan.total.body_bytes), (20, 100));
    let only_old = Server::start(&["http/1.1"]).await;
    let new_wanted = Plan { protocol: Protocol::Http2, ..only_old.plan(only_old.authority()) };
    assert!(matches!(try_to(new_wanted).await.unwrap_err(), Error::Tls { .. }));
}

#[tokio::test]
async fn a_file_without_certificates_is_told() {
    let server = Server::start(&[]).await;
    let missing = server.plan(Trust::Authorities(PathBuf::from("/no/such/file")));
    let error = try_to(missing).await.unwrap_err().to_string();
    assert!(error.contains("/no/such/file"), "{error}");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_is_not_believed() {
    for (reply, then) in [("HTTP/1.1 400 Bad Request\r\n\r\n", Then::Keep), ("", Then::Close), ("", Then::Reset)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(reply.as_bytes()).await.unwrap();
            match then {
                Then::Reset => stream.set_zero_linger().unwrap(),
                Then::Keep => drop(stream.read(&mut [0]).await),
                _ => {}
            }
        });
        let error = try_to(plan(&url, evenly(20, SHORT))).await.unwrap_err();
        assert!(matches!(error, Error::NotTls { .. }), "{reply:?}: {error}");
    }
}
