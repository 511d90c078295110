//! Where an instance can be reached. Published to the gateway by whoever runs or lists instances.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use http::uri::Scheme;
use rustix::io::Errno;
use tokio::net::{TcpStream, UnixStream};

use crate::failure::Failure;
use crate::secure;
use crate::transport::Transport;

/// One instance, as told to the gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name, such as `api-1`: what metrics and logs call it. Stays the same when it is restarted.
    pub id: Arc<str>,
    /// Changes with every start, so that an answer about an earlier life is not taken for this one.
    pub generation: u64,
    pub address: Address,
    pub weight: u32,
    /// Those with the lowest one of which anybody is well get everything.
    pub priority: u16,
    /// Finishes what it has and gets nothing new: on its way out, or without a process at the moment.
    pub draining: bool,
}

impl Endpoint {
    /// Whether both name the same process, perhaps with another weight or on its way out.
    pub(crate) fn is_same_process(&self, other: &Self) -> bool {
        self.id == other.id && self.generation == other.generation && self.address == other.address
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    /// TLS over TCP. The name is whom its certificate must be for.
    Tls {
        address: SocketAddr,
        name: Arc<str>,
    },
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(formatter, "http://{address}"),
            Self::Tls { address, .. } => write!(formatter, "https://{address}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

/// Whether it is this process that ran out of something: descriptors, ports, buffers. It says nothing about the instance.
pub(crate) fn is_our_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::ADDRNOTAVAIL];
    shortages.iter().any(|shortage| error.raw_os_error() == Some(shortage.raw_os_error()))
}

impl Address {
    /// The address that a connection is opened to; none for a Unix socket.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) | Self::Tls { address, .. } => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// Whom requests are for that name no host.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Tcp(address) => address.to_string(),
            Self::Tls { name, .. } => name.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }

    pub(crate) fn scheme(&self) -> Scheme {
        if matches!(self, Self::Tls { .. }) { Scheme::HTTPS } else { Scheme::HTTP }
    }

    /// A connection that is ready for requests. `tls`: how it is spoken, where it is; then `offer` is what may be spoken inside.
    pub(crate) async fn connect(&self, tls: Option<&secure::Client>, offer: secure::Offer) -> Result<Transport, Failure> {
        match self {
            Self::Tcp(address) => Ok(connect(*address).await.map_err(Failure::Connect)?.into()),
            Self::Tls { address, name } => {
                let tls = tls.ok_or_else(|| Failure::Handshake(io::Error::other("this upstream is not set up for TLS")))?;
                let stream = connect(*address).await.map_err(Failure::Connect)?;
                tls.handshake(stream, name, offer).await.map_err(Failure::Handshake)
            }
            Self::Unix(path) => Ok(UnixStream::connect(path).await.map_err(Failure::Connect)?.into()),
        }
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
