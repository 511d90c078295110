//! What a successor is given: the sockets that listen, and the claim on the data directory.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use plimsoll_gateway::config::Door;

use super::channel::{Channel, FILES_MAX};
use super::{Label, Role, ToSuccessor};

/// Clones of everything: they are closed when it has been sent.
pub struct Estate {
    pub claim: File,
    pub doors: Vec<Door>,
    /// Where the operator's listener was asked to be, and where it is.
    pub admin: (SocketAddr, TcpListener),
    /// The soft limit of open files before it was raised.
    pub open_files: Option<u64>,
}

impl Estate {
    pub(super) async fn send(&self, channel: &Channel) -> io::Result<()> {
        let mut files: Vec<(Label, BorrowedFd<'_>)> = vec![(Label::Claim, self.claim.as_fd())];
        let (asked, listener) = &self.admin;
        files.push((Label::Socket { role: Role::Admin, asked: *asked }, listener.as_fd()));
        for door in &self.doors {
            let label = Label::Socket { role: Role::of(door.speaks), asked: door.address };
            files.extend(door.sockets.iter().map(|socket| (label, socket.as_fd())));
        }
        for files in files.chunks(FILES_MAX) {
            let (labels, files): (Vec<_>, Vec<_>) = files.iter().copied().unzip();
            channel.send(&ToSuccessor::Files(labels), &files).await?;
        }
        channel.send(&ToSuccessor::Rest { open_files: self.open_files }, &[]).await
    }
}
