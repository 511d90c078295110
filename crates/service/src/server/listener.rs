//! The listening socket: a TCP address, or a socket file that only the own user may open.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plimsoll_policy::Peer;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::Error;
use crate::config::Listen;

pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A connection and who opened it.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: Peer,
}

pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    pub(super) async fn bind(listen: &Listen) -> Result<Self, Error> {
        let failed = |source| Error::Bind { listen: listen.clone(), source };
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp).map_err(failed),
            Listen::Unix(path) => {
                clear_stale(path).await?;
                let listener = UnixListener::bind(path).map_err(failed)?;
                let file = SocketFile::own(path).map_err(failed)?;
                Ok(Self::Unix(listener, file))
            }
        }
    }

    pub(super) fn listen(&self) -> Listen {
        match self {
            Self::Tcp(listener) => Listen::Tcp(listener.local_addr().expect("a bound socket has an address")),
            Self::Unix(_, file) => Listen::Unix(file.path.clone()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole; waiting to merge them with later ones costs 40 ms and gains nothing.
                stream.set_nodelay(true)?;
                Ok(Accepted { stream: Either::Left(stream), peer: Peer::Tcp(address) })
            }
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted { stream: Either::Right(stream), peer: Peer::Unix })
            }
        }
    }
}

/// A process that was killed leaves its socket file behind, and binding refuses any file. Nobody answers at it: that is how to tell.
async fn clear_stale(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Bind { listen: Listen::Unix(path.into()), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Error::NotASocket { path: path.into() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        _ => Err(Error::SocketInUse { path: path.into() }),
    }
}

/// The file of a socket that we bound; removed when the listener goes, unless a successor has put its own there.
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    /// Whoever may open the file is believed about the client, so it is the own user only.
    fn own(path: &Path) -> io::Result<Self> {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { path: path.into(), inode: fs::symlink_metadata(path)?.ino() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            // Nothing is lost if it stays: the next start clears it.
            let _ = fs::remove_file(&self.path);
        }
    }
}
