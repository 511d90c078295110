//! Opens connections to one target.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::error::Error;
use crate::plan::Protocol;
use crate::plan::Trust;
use crate::record::ErrorKind;
use crate::send::Failure;
use crate::send::stream::Stream;
use crate::send::tls;
use crate::target::{Place, Scheme, Target};

/// Where to connect and how, resolved once: a load that asked a name server for each connection would measure that.
#[derive(Clone)]
pub(crate) struct Connector {
    address: Address,
    secure: Option<(TlsConnector, ServerName<'static>)>,
    protocol: Protocol,
}

#[derive(Clone, Debug)]
enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// What the two sides speak on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

impl Connector {
    /// Resolves the target and connects once, so that a mistake is told before a load only counts errors. Also returns what the server
    /// chose to speak.
    pub(crate) async fn reach(target: &Target, protocol: Protocol, trust: &Trust) -> Result<(Self, Spoken), Error> {
        let secure = secure(target, protocol, trust)?;
        let mut last = Failure::new(ErrorKind::Connect, "the name has no address");
        for address in resolve(target).await? {
            let connector = Self { address, secure: secure.clone(), protocol };
            match connector.connect().await {
                Ok((_, spoken)) => return Ok((connector, spoken)),
                Err(failure) => last = failure,
            }
        }
        let not_tls = last.not_tls().filter(|_| secure.is_some());
        let (target, reason) = (target.to_string(), last.to_string());
        Err(match (not_tls, last.kind) {
            (Some(reason), _) => Error::NotTls { target, reason },
            (None, ErrorKind::Tls) => Error::Tls { target, reason },
            (None, kind) => Error::Unreachable { target, kind, reason },
        })
    }

    pub(crate) async fn connect(&self) -> Result<(Stream, Spoken), Failure> {
        let by_choice = if self.protocol == Protocol::Http2 { Spoken::Http2 } else { Spoken::Http1 };
        let tcp = match &self.address {
            Address::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(Failure::connecting)?;
                return Ok((Stream::Unix(stream), by_choice));
            }
            Address::Tcp(address) => TcpStream::connect(address).await.map_err(Failure::connecting)?,
        };
        // Without it a request in two pieces would wait for an acknowledgement.
        tcp.set_nodelay(true).map_err(Failure::connecting)?;
        let Some((connector, name)) = &self.secure else { return Ok((Stream::Tcp(tcp), by_choice)) };
        let handshake = connector.connect(name.clone(), tcp).await;
        let stream = handshake.map_err(|error| match Failure::connecting(error) {
            // Whatever ends a handshake that had a connection is TLS failing, but for a reset.
            failure if failure.kind == ErrorKind::Connect => Failure { kind: ErrorKind::Tls, ..failure },
            failure => failure,
        })?;
        let spoken = match (stream.get_ref().1.alpn_protocol(), self.protocol) {
            (Some(b"h2"), _) => Spoken::Http2,
            (_, Protocol::Http2) => return Err(Failure::new(ErrorKind::Tls, "the server does not offer HTTP/2")),
            _ => Spoken::Http1,
        };
        Ok((Stream::Tls(Box::new(stream)), spoken))
    }
}

fn secure(target: &Target, protocol: Protocol, trust: &Trust) -> Result<Option<(TlsConnector, ServerName<'static>)>, Error> {
    let (Scheme::Https, Place::Tcp { host, .. }) = (target.scheme, &target.place) else { return Ok(None) };
    let failed = |reason| Error::Tls { target: target.to_string(), reason };
    let name = ServerName::try_from(host.clone()).map_err(|error| failed(error.to_string()))?;
    Ok(Some((tls::connector(trust, protocol).map_err(failed)?, name)))
}

async fn resolve(target: &Target) -> Result<Vec<Address>, Error> {
    match &target.place {
        Place::Unix(path) => Ok(vec![Address::Unix(path.clone())]),
        Place::Tcp { host, port } => {
            let failed = |error: std::io::Error| Error::UnknownName { host: host.clone(), reason: error.to_string() };
            Ok(tokio::net::lookup_host((host.as_str(), *port)).await.map_err(failed)?.map(Address::Tcp).collect())
        }
    }
}
