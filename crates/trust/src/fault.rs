//! Why a handshake failed, by kind: what an operator has to mend differs for each.

use std::fmt;
use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// What was wrong. Its text completes "the server: …" and holds nothing of the server's own words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Expired,
    NotYetValid,
    OtherName,
    UnknownAuthority,
    /// Anything else about its certificate, such as another purpose.
    Unfit,
    /// It wants a certificate from this side, or another one.
    WantsAnother,
    NotTls,
    /// It speaks none of the protocols that this side offers (ALPN).
    OtherProtocol,
    /// It closed the connection, or sent an alert of another kind.
    BrokeOff,
}

impl Fault {
    /// Of an error that a TLS stream returned.
    pub fn of(error: &io::Error) -> Self {
        let tls = error.get_ref().and_then(|source| source.downcast_ref::<Error>());
        tls.map_or(Self::BrokeOff, Self::of_tls)
    }

    /// Whether an error of a connection that is open already says that this side's certificate was refused: servers of TLS 1.3 say so only
    /// after the handshake.
    pub fn is_refusal(error: &io::Error) -> bool {
        Self::of(error) == Self::WantsAnother
    }

    fn of_tls(error: &Error) -> Self {
        match error {
            Error::InvalidCertificate(error) => Self::of_certificate(error),
            Error::AlertReceived(alert) => Self::of_alert(*alert),
            Error::InvalidMessage(_) => Self::NotTls,
            Error::NoApplicationProtocol => Self::OtherProtocol,
            _ => Self::BrokeOff,
        }
    }

    fn of_certificate(error: &CertificateError) -> Self {
        match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Self::OtherName,
            // A bad signature: an authority of that name is trusted, but it was not the one that signed.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => Self::UnknownAuthority,
            _ => Self::Unfit,
        }
    }

    fn of_alert(alert: AlertDescription) -> Self {
        match alert {
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => Self::WantsAnother,
            AlertDescription::NoApplicationProtocol => Self::OtherProtocol,
            _ => Self::BrokeOff,
        }
    }

    /// For people, and short.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::OtherName => "its certificate is for another name",
            Self::UnknownAuthority => "nobody who is trusted here vouches for its certificate",
            Self::Unfit => "its certificate is not fit for a server",
            Self::WantsAnother => "it does not accept the certificate, or the lack of one, from this side",
            Self::NotTls => "it does not speak TLS",
            Self::OtherProtocol => "it does not offer the version of HTTP that is to be spoken (ALPN)",
            Self::BrokeOff => "it broke off the handshake: does it speak TLS?",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_told_from_what_the_library_says() {
        let cases = [
            (Error::InvalidCertificate(CertificateError::Expired), Fault::Expired),
            (Error::InvalidCertificate(CertificateError::NotValidYet), Fault::NotYetValid),
            (Error::InvalidCertificate(CertificateError::NotValidForName), Fault::OtherName),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), Fault::UnknownAuthority),
            (Error::InvalidCertificate(CertificateError::BadSignature), Fault::UnknownAuthority),
            (Error::InvalidCertificate(CertificateError::InvalidPurpose), Fault::Unfit),
            (Error::AlertReceived(AlertDescription::CertificateRequired), Fault::WantsAnother),
            (Error::AlertReceived(AlertDescription::UnknownCA), Fault::WantsAnother),
            (Error::AlertReceived(AlertDescription::NoApplicationProtocol), Fault::OtherProtocol),
            (Error::AlertReceived(AlertDescription::HandshakeFailure), Fault::BrokeOff),
        ];
        for (error, fault) in cases {
            let text = error.to_string();
            assert_eq!(Fault::of(&io::Error::new(io::ErrorKind::InvalidData, error)), fault, "{text}");
        }
        assert_eq!(Fault::of(&io::ErrorKind::UnexpectedEof.into()), Fault::BrokeOff);
    }
}
