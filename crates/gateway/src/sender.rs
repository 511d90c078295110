//! What of a request tells its sender apart: consistent hashing keeps it on one instance, admission gives each a fair share of the queue.

use std::net::IpAddr;

use crate::balance::hash_key;
use crate::message::{Name, Request};

/// What is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    ClientIp,
    Header(String),
    Cookie(String),
}

impl Sender {
    /// The same for the same sender; `None` if the request does not carry what is looked at. An IPv6 client is its /64, the smallest
    /// network that is given to anybody.
    pub(crate) fn key(&self, request: &Request, client: IpAddr) -> Option<u64> {
        match self {
            Self::ClientIp => Some(match client.to_canonical() {
                IpAddr::V4(address) => hash_key(&address.octets()),
                IpAddr::V6(address) => hash_key(&address.octets()[..8]),
            }),
            Self::Header(name) => request.headers.first_named(name).map(hash_key),
            Self::Cookie(name) => cookie(request, name.as_bytes()).map(hash_key),
        }
    }
}

fn cookie<'a>(request: &'a Request, name: &[u8]) -> Option<&'a [u8]> {
    let pairs = request.headers.all(Name::Cookie).flat_map(|value| value.split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
}
