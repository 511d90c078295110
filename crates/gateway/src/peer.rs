//! Who opened a connection. What every request on it needs is worked out once.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::rc::Rc;

use plimsoll_policy::forwarded::TrustedProxies;

/// The longest text of an address: IPv6 with an embedded IPv4.
const TEXT_BYTES_MAX: usize = 45;

/// How what it says comes here.
#[derive(Debug)]
pub(crate) enum Channel {
    Plain,
    /// Unencrypted, at a door where TLS is spoken.
    Misdirected,
    Tls {
        client: Option<Box<ClientCertificate>>,
    },
}

/// Who a client has proven to be.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    /// As instances are shown it: a byte sequence of structured fields (RFC 9440, section 2.1).
    pub(crate) field: Box<[u8]>,
    /// For people.
    pub(crate) subject: Box<str>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) is_trusted: bool,
    pub(crate) channel: Channel,
    text: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Peer {
    /// Shared by the requests of the connection.
    pub(crate) fn new(address: IpAddr, channel: Channel, trusted: &TrustedProxies) -> Rc<Self> {
        let address = address.to_canonical();
        let mut peer = Self { address, is_trusted: trusted.contains(address), channel, text: [0; TEXT_BYTES_MAX], length: 0 };
        write!(peer, "{address}").expect("an address fits");
        Rc::new(peer)
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if matches!(self.channel, Channel::Tls { .. }) { "https" } else { "http" }
    }

    /// The address as text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

impl std::fmt::Write for Peer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.text.get_mut(self.length..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
