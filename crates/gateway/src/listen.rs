//! One socket per worker on the same port: the kernel spreads connections over them, and no worker wakes for another's.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockRef, Socket, Type};

/// Connections that may wait in the kernel for a worker.
pub(crate) const BACKLOG: i32 = 4096;
/// How much the kernel takes of an answer that its client does not read. Without a bound it takes megabytes for each, and a client that reads
/// slowly seems not to read at all until a third of them is gone. Connections inherit it.
const UNSENT_BYTES_MAX: u32 = 128 * 1024;

/// `count` listeners on one address; port 0 picks a free one for all of them.
pub(crate) fn bind(address: SocketAddr, count: usize) -> io::Result<(SocketAddr, Vec<TcpListener>)> {
    // SO_REUSEPORT would also let a second gateway of the same user share the port in silence. A plain socket finds out.
    let address = open(address, false)?.local_addr()?;
    let listeners = (0..count).map(|_| open(address, true)).collect::<io::Result<Vec<_>>>()?;
    Ok((address, listeners))
}

/// Makes a socket that somebody else has opened like one of ours.
pub(crate) fn adopt(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).set_tcp_notsent_lowat(UNSENT_BYTES_MAX)
}

fn open(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if shared {
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        socket.listen(BACKLOG)?;
    } else {
        // Listening is what tells a port in use from one whose last connections are merely fading.
        socket.listen(1)?;
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_an_error_even_to_ourselves() {
        let (address, _listeners) = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        assert_eq!(bind(address, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn all_listeners_share_the_port() {
        let (address, listeners) = bind("127.0.0.1:0".parse().unwrap(), 3).unwrap();
        assert!(listeners.iter().all(|listener| listener.local_addr().unwrap() == address));
    }
}
