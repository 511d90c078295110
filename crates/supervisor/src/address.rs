//! Where the next process of an instance shall listen. Every start gets an address of its own, so nothing meant for the dead
//! reaches the living, and a port that somebody else took meanwhile is not tried twice.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::instance::Address;

/// What fits into `sockaddr_un` everywhere, with room for servers that append a suffix while they bind.
const SOCKET_PATH_BYTES_MAX: usize = 100;
/// Draws before giving up on a port that no other instance was promised.
const PORT_DRAWS_MAX: usize = 32;

/// The kind of address a fleet's command takes.
#[derive(Clone, Debug)]
pub(crate) enum Addresses {
    Ports,
    Sockets { dir: PathBuf },
}

impl Addresses {
    /// Checks, and makes, the directory that sockets will need.
    pub(crate) fn sockets(dir: &Path, longest_id: &str) -> Result<Self, Error> {
        let failed = |source| Error::SocketDir { path: dir.to_owned(), source };
        // Children may run elsewhere, so the path they are given must not depend on where they are.
        let dir = std::path::absolute(dir).map_err(failed)?;
        if dir.as_os_str().as_encoded_bytes().contains(&b'\n') {
            return Err(Error::SocketPathLineBreak { path: dir });
        }
        check_length(&socket_path(&dir, longest_id, 9_999_999))?;
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(failed)?;
        Ok(Self::Sockets { dir })
    }

    /// An address for one start. `promised` are those of the other instances, which may not be listening yet.
    pub(crate) fn choose(&self, id: &str, generation: u64, promised: &[Address]) -> io::Result<Address> {
        match self {
            Self::Ports => free_port(promised),
            Self::Sockets { dir } => {
                let path = socket_path(dir, id, generation);
                remove_socket(&path)?;
                Ok(Address::Unix(path))
            }
        }
    }
}

/// Binding a socket file fails while a file is there, even one that nobody listens on.
pub(crate) fn remove_socket(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A port that was free a moment ago. Somebody may take it before the child does; then the child dies, and its next start gets another.
fn free_port(promised: &[Address]) -> io::Result<Address> {
    for _ in 0..PORT_DRAWS_MAX {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = Address::Tcp(listener.local_addr()?);
        if !promised.contains(&address) {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}

fn socket_path(dir: &Path, id: &str, generation: u64) -> PathBuf {
    dir.join(format!("{id}-{generation}.sock"))
}

fn check_length(path: &Path) -> Result<(), Error> {
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return Ok(());
    }
    Err(Error::SocketPathTooLong { path: path.to_owned(), length_max: SOCKET_PATH_BYTES_MAX })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_never_promised_twice() {
        let mut promised = Vec::new();
        for _ in 0..200 {
            let address = Addresses::Ports.choose("api-1", 1, &promised).unwrap();
            assert!(!promised.contains(&address));
            promised.push(address);
        }
        let Address::Tcp(first) = promised[0] else { panic!("a port was asked for") };
        assert!(first.ip().is_loopback());
        TcpListener::bind(first).unwrap();
    }

    #[test]
    fn a_socket_left_behind_does_not_stop_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let addresses = Addresses::sockets(&dir.path().join("run"), "api-1").unwrap();
        let Address::Unix(path) = addresses.choose("api-1", 1, &[]).unwrap() else { panic!("a socket was asked for") };
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        addresses.choose("api-1", 1, &[]).unwrap();
        std::os::unix::net::UnixListener::bind(&path).unwrap();
    }

    #[test]
    fn a_path_that_would_not_fit_is_refused_before_anything_starts() {
        let dir = PathBuf::from(format!("/tmp/{}", "d".repeat(100)));
        let error = Addresses::sockets(&dir, "api-1").unwrap_err();
        assert!(matches!(error, Error::SocketPathTooLong { .. }), "{error}");
        assert!(!dir.exists());
        assert!(error.hint().is_some());
    }
}
