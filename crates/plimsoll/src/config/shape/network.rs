//! Addresses, networks and host names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};

/// An address to listen on.
pub struct Address;

impl Shape for Address {
    type Value = IpAddr;

    fn read(&self, raw: &Raw<'_>) -> Read<IpAddr> {
        let text = raw.string("an IP address")?;
        text.trim().parse().map_err(|_| {
            let hint = match text {
                "localhost" => "write \"127.0.0.1\"",
                "*" | "" => "write \"0.0.0.0\" for every address of this machine",
                _ if text.rsplit_once(':').is_some_and(|(host, port)| !host.contains(':') && port.parse::<u16>().is_ok()) => {
                    "the port has its own setting: write the address alone"
                }
                _ => "write an address such as \"0.0.0.0\", \"127.0.0.1\" or \"::\"",
            };
            raw.fault(format!("`{text}` is not an IP address"), hint)
        })
    }

    fn print(&self, value: &IpAddr) -> String {
        quote(&value.to_string())
    }

    fn accepts(&self) -> String {
        "an IP address".to_owned()
    }
}

/// A network in CIDR notation; a lone address is a network of one.
pub struct Network;

impl Shape for Network {
    type Value = IpNet;

    fn read(&self, raw: &Raw<'_>) -> Read<IpNet> {
        let text = raw.string("a network such as \"10.0.0.0/8\"")?.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(address.into());
        }
        let network: IpNet = text.parse().map_err(|_| raw.fault(format!("`{text}` is not a network"), "write it as \"10.0.0.0/8\""))?;
        if network.addr() == network.network() {
            return Ok(network);
        }
        Err(raw.fault(
            format!("`{text}` has bits beyond its prefix"),
            format!("write \"{}\" for the network, or the address alone", network.trunc()),
        ))
    }

    fn print(&self, value: &IpNet) -> String {
        quote(&value.to_string())
    }

    fn accepts(&self) -> String {
        "a network such as \"10.0.0.0/8\"".to_owned()
    }
}

/// The name of a host as it stands in `Host`, without a port.
pub struct HostName;

impl Shape for HostName {
    type Value = String;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let text = raw.string("a host name")?;
        let lower = text.trim().to_ascii_lowercase();
        if is_host(&lower) {
            return Ok(lower);
        }
        let hint = match lower.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => format!("leave the port out: \"{host}\""),
            _ if lower.contains('*') => "a wildcard has no place here: write the whole name".to_owned(),
            _ => "write a name such as \"api.example.com\"".to_owned(),
        };
        Err(raw.fault(format!("`{text}` is not a host name"), hint))
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    fn accepts(&self) -> String {
        "a host name such as \"api.example.com\"".to_owned()
    }
}

/// A name of letters, digits, `-`, `_` and dots, or an IP address (IPv6 in brackets).
pub fn is_host(text: &str) -> bool {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<std::net::Ipv6Addr>().is_ok();
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=63).contains(&label.len()) && label.bytes().all(inner)
    };
    text.len() <= 253 && text.split('.').all(label)
}
