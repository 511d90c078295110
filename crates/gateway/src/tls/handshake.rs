//! How a connection at a TLS door begins: with a handshake, or with somebody who does not know that it needs one.

use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plimsoll_telemetry::snapshot::TlsSnapshot;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::{self, CommonState, HandshakeKind};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::store::CHALLENGE_PROTOCOL;
use super::{Server, subject};
use crate::peer::{Channel, ClientCertificate};
use crate::seldom::Seldom;
use crate::transport::Transport;

/// What came of handshakes.
#[derive(Debug, Default)]
pub(crate) struct HandshakeStats {
    full: AtomicU64,
    resumed: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl HandshakeStats {
    pub(crate) fn snapshot(&self) -> TlsSnapshot {
        let count = |failure: &Failure| self.failures[*failure as usize].load(Relaxed);
        TlsSnapshot {
            handshakes_full_total: self.full.load(Relaxed),
            handshakes_resumed_total: self.resumed.load(Relaxed),
            handshake_failures_total: Failure::ALL.iter().map(|failure| (failure.slug().to_owned(), count(failure))).collect(),
        }
    }
}

/// Why there was no handshake, as far as operators can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// The client was too slow.
    Timeout,
    /// It left before the end.
    Closed,
    /// It does not believe our certificate, or gives up for another reason that it says.
    RefusedByClient,
    /// Its own certificate is missing or not believed.
    ClientCertificate,
    /// Nothing that both speak: versions, ciphers, protocols.
    Incompatible,
    /// There is no certificate for what it asks.
    NoCertificate,
    /// It speaks something else, or against the rules.
    Malformed,
}

impl Failure {
    const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Closed,
        Self::RefusedByClient,
        Self::ClientCertificate,
        Self::Incompatible,
        Self::NoCertificate,
        Self::Malformed,
    ];

    const fn slug(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::RefusedByClient => "refused-by-client",
            Self::ClientCertificate => "client-certificate",
            Self::Incompatible => "incompatible",
            Self::NoCertificate => "no-certificate",
            Self::Malformed => "malformed",
        }
    }

    fn of(error: &io::Error) -> Self {
        let Some(error) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) else { return Self::Closed };
        match error {
            rustls::Error::AlertReceived(_) => Self::RefusedByClient,
            rustls::Error::NoCertificatesPresented | rustls::Error::InvalidCertificate(_) => Self::ClientCertificate,
            rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => Self::Incompatible,
            // That is how rustls says that the store has none.
            rustls::Error::General(_) => Self::NoCertificate,
            _ => Self::Malformed,
        }
    }
}

/// What the log says of those who could not come in.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) client: IpAddr,
    /// Lines about certificates of clients.
    pub(crate) seldom: &'a Seldom,
}

impl Lines<'_> {
    /// A client whose certificate is not believed is more often somebody's who should come in than a stranger's: an operator must see it.
    fn about(self, failure: Failure, error: &io::Error) {
        if failure == Failure::ClientCertificate
            && let Some(left_out) = self.seldom.take()
        {
            let setting = "gateway.tls.client_ca";
            tracing::warn!(client.ip = %self.client, reason = %error, setting, left_out, "connection closed: no certificate that can be believed");
        }
    }
}

/// Makes a connection one on which HTTP is spoken; `None` when that is not to be had.
pub(crate) async fn receive(
    server: &Server,
    stream: TcpStream,
    within: Duration,
    stats: &HandshakeStats,
    lines: Lines<'_>,
) -> Option<(Transport, Channel)> {
    let begun = timeout(within, async {
        if begins_without_tls(&stream).await? {
            return Ok((Transport::Tcp(stream), Channel::Misdirected));
        }
        let stream = TlsAcceptor::from(server.config()).accept(stream.into()).await?;
        let channel = Channel::Tls { client: client_certificate(stream.get_ref().1) };
        Ok((Transport::Tls(Box::new(TlsStream::from(stream))), channel))
    });
    let failure = match begun.await {
        Ok(Ok((transport, channel))) => return stats.completed(transport, channel),
        Ok(Err(error)) => {
            let failure = Failure::of(&error);
            // Scanners, and clients that trust other certificates: nothing that this side could mend.
            tracing::debug!(%error, reason = failure.slug(), "no TLS handshake");
            lines.about(failure, &error);
            failure
        }
        Err(_) => Failure::Timeout,
    };
    stats.failures[failure as usize].fetch_add(1, Relaxed);
    None
}

impl HandshakeStats {
    /// Counts; whoever only came to check a challenge has seen what it wanted.
    fn completed(&self, transport: Transport, channel: Channel) -> Option<(Transport, Channel)> {
        if let Transport::Tls(stream) = &transport {
            let state: &CommonState = stream.get_ref().1;
            let resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
            if resumed { &self.resumed } else { &self.full }.fetch_add(1, Relaxed);
            if state.alpn_protocol() == Some(CHALLENGE_PROTOCOL) {
                return None;
            }
        }
        Some((transport, channel))
    }
}

/// Whether the first byte is a letter, as that of an HTTP method, and not the number that begins a TLS record. It stays where it is.
async fn begins_without_tls(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(first[0].is_ascii_alphabetic())
}

/// The client's certificate, which has been verified.
fn client_certificate(state: &CommonState) -> Option<Box<ClientCertificate>> {
    let certificate = state.peer_certificates()?.first()?;
    let field = format!(":{}:", STANDARD.encode(certificate)).into_bytes().into();
    Some(Box::new(ClientCertificate { field, subject: subject::of(certificate).into() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_place_and_a_name_of_its_own() {
        for (place, failure) in Failure::ALL.iter().enumerate() {
            assert_eq!(*failure as usize, place);
        }
        let mut slugs = Failure::ALL.map(Failure::slug).to_vec();
        slugs.sort_unstable();
        slugs.dedup();
        assert_eq!(slugs.len(), Failure::ALL.len());
    }

    #[test]
    fn what_the_transport_says_and_what_tls_says_are_told_apart() {
        let wrapped = |error: rustls::Error| io::Error::new(io::ErrorKind::InvalidData, error);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::UnknownCA);
        for (error, expected) in [
            (io::ErrorKind::ConnectionReset.into(), Failure::Closed),
            (io::ErrorKind::UnexpectedEof.into(), Failure::Closed),
            (wrapped(alert), Failure::RefusedByClient),
            (wrapped(rustls::Error::NoCertificatesPresented), Failure::ClientCertificate),
            (wrapped(rustls::Error::NoApplicationProtocol), Failure::Incompatible),
            (wrapped(rustls::Error::DecryptError), Failure::Malformed),
        ] {
            assert_eq!(Failure::of(&error), expected, "{error}");
        }
    }
}
