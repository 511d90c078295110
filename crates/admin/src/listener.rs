//! Where the operator's listener listens: a TCP address, or the Unix socket by which operator verbs find a running fleet.

use std::fs::{self, Permissions};
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};

use crate::config::{Config, Error};

/// A place to listen, already bound.
#[derive(Debug)]
pub enum Listener {
    /// Guarded by the token or, without one, by the `Host` header.
    Tcp(TcpListener),
    /// Guarded by the permissions of its file; the file is removed when the listener goes.
    Unix(UnixSocket),
}

/// A bound Unix socket and the file it is found by.
#[derive(Debug)]
pub struct UnixSocket {
    pub(crate) listener: UnixListener,
    path: PathBuf,
    /// Tells our file from one that somebody else has put in its place.
    inode: u64,
}

impl Listener {
    /// Refuses an address that other machines can reach unless there is a token.
    pub async fn tcp(address: SocketAddr, config: &Config) -> Result<Self, Error> {
        config.permits(address)?;
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        Ok(Self::Tcp(listener))
    }

    /// The same with a socket that listens already and does not block.
    pub fn over(listener: net::TcpListener, config: &Config) -> Result<Self, Error> {
        let unusable = |source| Error::Inherited { source };
        config.permits(listener.local_addr().map_err(unusable)?)?;
        Ok(Self::Tcp(TcpListener::from_std(listener).map_err(unusable)?))
    }

    /// A clone of the TCP socket, for a process that takes over.
    pub fn share(&self) -> io::Result<Option<net::TcpListener>> {
        match self {
            Self::Tcp(listener) => Ok(Some(listener.as_fd().try_clone_to_owned()?.into())),
            Self::Unix(_) => Ok(None),
        }
    }

    /// Takes the place of whatever socket a dead fleet left there. Nobody but the owner can connect, not even for an instant.
    pub fn unix(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let (listener, inode) = bind_private(&path).map_err(|source| Error::BindSocket { path: path.clone(), source })?;
        Ok(Self::Unix(UnixSocket { listener, path, inode }))
    }

    /// The TCP address, where the caller asked for port 0.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // Whoever took over has put its own in its place. Gone already is fine, and there is nobody to tell of anything else.
        if fs::symlink_metadata(&self.path).is_ok_and(|file| file.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `bind` makes the file with whatever the umask leaves, and only then can its permissions change. So that nobody slips in between, the
/// socket is made in a directory of our own and moved to its place when it is closed to others.
fn bind_private(path: &Path) -> io::Result<(UnixListener, u64)> {
    let nursery = path.with_file_name(format!(".{}", std::process::id()));
    // In a container every process is number 1: one that was killed right here must not keep the next from starting.
    let _ = fs::remove_dir_all(&nursery);
    fs::DirBuilder::new().mode(0o700).create(&nursery)?;
    // A short name, since the system bounds a socket's path at 108 bytes.
    let young = nursery.join("s");
    let bound = UnixListener::bind(&young).and_then(|listener| {
        fs::set_permissions(&young, Permissions::from_mode(0o600))?;
        let inode = fs::symlink_metadata(&young)?.ino();
        fs::rename(&young, path)?;
        Ok((listener, inode))
    });
    fs::remove_dir_all(&nursery)?;
    bound
}
