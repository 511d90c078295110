//! Why a listener could not be opened, and what to change.

use std::io::ErrorKind;
use std::net::SocketAddr;

/// How the two listeners are told apart on the command line and in the file.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub flag: &'static str,
    /// The setting of the address.
    pub bind: &'static str,
}

pub const GATEWAY: Asked = Asked { flag: "--port", bind: "gateway.bind" };
pub const TLS: Asked = Asked { flag: "--tls-port", bind: "gateway.bind" };
pub const OPERATOR: Asked = Asked { flag: "--admin-port", bind: "admin.bind" };

/// Ports below this one need a permission, unless the system was told otherwise.
const UNPRIVILEGED_PORT_MIN: u16 = 1024;

pub fn hint(kind: ErrorKind, address: SocketAddr, asked: Asked) -> Option<String> {
    let Asked { flag, bind } = asked;
    let (ip, port) = (address.ip(), address.port());
    match kind {
        ErrorKind::AddrInUse => {
            let another = "is another plimsoll running? `plimsoll status` tells";
            Some(format!("something else uses port {port}; {another}. {flag} takes another port, 0 any free one"))
        }
        ErrorKind::PermissionDenied if port < UNPRIVILEGED_PORT_MIN => Some(format!(
            "ports below {UNPRIVILEGED_PORT_MIN} need a permission: take another one with {flag}, or give it with \
             `setcap cap_net_bind_service=+ep` on the binary or `AmbientCapabilities=CAP_NET_BIND_SERVICE` in a systemd unit"
        )),
        ErrorKind::PermissionDenied => Some(format!("the system forbids it: a sandbox or a security policy? {flag} takes another port")),
        ErrorKind::AddrNotAvailable => {
            Some(format!("{ip} is not an address of this machine (`ip address` lists them): change {bind}, or leave it out"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn check(kind: ErrorKind, address: &str, expected: &str) {
        let hint = hint(kind, address.parse().unwrap(), GATEWAY).unwrap_or_default();
        assert!(hint.contains(expected) && hint.is_empty() == expected.is_empty(), "{kind:?} {address}: {hint}");
    }

    #[test]
    fn each_reason_has_its_own_way_out() {
        check(ErrorKind::AddrInUse, "0.0.0.0:8080", "something else uses port 8080");
        check(ErrorKind::AddrInUse, "0.0.0.0:80", "something else uses port 80");
        check(ErrorKind::PermissionDenied, "0.0.0.0:80", "cap_net_bind_service");
        check(ErrorKind::PermissionDenied, "0.0.0.0:8080", "the system forbids it");
        check(ErrorKind::AddrNotAvailable, "192.0.2.1:80", "192.0.2.1 is not an address of this machine");
        check(ErrorKind::AddrNotAvailable, "192.0.2.1:80", "change gateway.bind");
        check(ErrorKind::OutOfMemory, "0.0.0.0:80", "");
    }

    #[test]
    fn the_system_calls_the_reasons_by_these_names() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(TcpListener::bind(taken.local_addr().unwrap()).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(TcpListener::bind("192.0.2.1:0").unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }
}
