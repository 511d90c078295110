//! On which TCP addresses a process group listens, as the kernel knows it: what a server prints about itself may be anything.
//!
//! Linux tells it in two places: the links of `/proc/PID/fd` name a socket's number, and `/proc/PID/net/tcp` says for each number what
//! it does. Whatever cannot be read is left out, and without `/proc` nothing is known.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Pid;

use super::group;

/// A look at a group stops after so many processes, descriptors of each, and lines of the kernel's table, where listeners stand first.
const PROCESSES_MAX: usize = 64;
const DESCRIPTORS_MAX: usize = 1024;
const LINES_MAX: usize = 4096;
/// The kernel's word for a socket that listens.
const LISTENS: &str = "0A";

pub(crate) fn addresses(group: u32) -> BTreeSet<SocketAddr> {
    let Some(group) = Pid::from_raw(group.cast_signed()) else { return BTreeSet::new() };
    let members: Vec<u32> = group::living_members(group).into_iter().flatten().take(PROCESSES_MAX).collect();
    let sockets: BTreeSet<String> = members.iter().flat_map(|pid| sockets_of(*pid)).collect();
    // All of a group see the same network, unless one of them has gone to another.
    let tables = members.first().into_iter().flat_map(|pid| ["tcp", "tcp6"].map(|table| format!("/proc/{pid}/net/{table}")));
    let lines = tables.filter_map(|path| fs::File::open(path).ok()).flat_map(|table| BufReader::new(table).lines().take(LINES_MAX));
    lines.map_while(Result::ok).filter_map(|line| listener(&line, &sockets)).collect()
}

/// The numbers of a process's sockets.
fn sockets_of(pid: u32) -> Vec<String> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = descriptors.take(DESCRIPTORS_MAX).filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// The address in a line such as `0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 …`, if it is one of these.
fn listener(line: &str, sockets: &BTreeSet<String>) -> Option<SocketAddr> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (ip, port) = fields.next()?.split_once(':')?;
    let (state, number) = (fields.nth(1)?, fields.nth(5)?);
    let is_ours = state == LISTENS && sockets.contains(number);
    is_ours.then_some(SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?))
}

/// Words of four bytes, each written as a number of this machine.
fn ip_of(hex: &str) -> Option<IpAddr> {
    let word = |start: usize| Some(u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(IpAddr::from(Ipv6Addr::from(bytes)).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_table() {
        let sockets = BTreeSet::from(["4711".to_owned()]);
        let line = |ip: &str, state: &str, number: &str| {
            format!(
                "   0: {ip}:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {number} 1 0000000000000000 100 0"
            )
        };
        let loopback = format!("{:08X}", u32::from_ne_bytes([127, 0, 0, 1]));
        let loopback_6 = format!("{}{:08X}", "0".repeat(24), u32::from_ne_bytes([0, 0, 0, 1]));
        assert_eq!(listener(&line(&loopback, "0A", "4711"), &sockets), "127.0.0.1:8080".parse().ok());
        assert_eq!(listener(&line(&loopback_6, "0A", "4711"), &sockets), "[::1]:8080".parse().ok());
        assert_eq!(listener(&line(&loopback, "01", "4711"), &sockets), None, "a connection");
        assert_eq!(listener(&line(&loopback, "0A", "4712"), &sockets), None, "somebody else's");
        assert_eq!(
            listener("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", &sockets),
            None
        );
    }

    #[test]
    fn finds_the_listeners_of_a_group_and_no_connection() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connection = std::net::TcpStream::connect(address).unwrap();
        let group = rustix::process::getpgrp().as_raw_nonzero().get().cast_unsigned();
        let found = addresses(group);
        assert!(found.contains(&address) && !found.contains(&connection.local_addr().unwrap()), "{found:?}");
        drop(listener);
        assert!(!addresses(group).contains(&address));
    }
}
