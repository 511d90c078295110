//! Who opened a connection. What every request on it needs is worked out once.

use std::fmt::Write as _;
use std::net::IpAddr;

use plimsoll_policy::forwarded::TrustedProxies;

/// The longest text of an address: IPv6 with an embedded IPv4.
const TEXT_BYTES_MAX: usize = 45;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) is_trusted: bool,
    /// Whether what it says is encrypted on its way here.
    pub(crate) is_secure: bool,
    text: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, is_secure: bool, trusted: &TrustedProxies) -> Self {
        let address = address.to_canonical();
        let mut peer = Self { address, is_trusted: trusted.contains(address), is_secure, text: [0; TEXT_BYTES_MAX], length: 0 };
        write!(peer, "{address}").expect("an address fits");
        peer
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
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
