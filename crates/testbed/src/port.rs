//! Ports for servers that cannot be told to take any free one and say which.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

/// Below the range from which the kernel serves clients: no outgoing connection takes the port before the server does.
const PORTS: Range<u16> = 20_000..32_000;

/// A port of the loopback address that nobody listens on. Drawn at random, so that tests side by side seldom want the same.
///
/// # Panics
/// When a hundred ports in a row are taken.
pub fn free() -> u16 {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(PORTS)).take(100).find(free).expect("a port is free")
}
