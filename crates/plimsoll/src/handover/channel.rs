//! The line between a process and its successor: whole messages as JSON, with open files beside them (`SCM_RIGHTS`).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Open files that travel with one message; the kernel takes no more than 253.
pub const FILES_MAX: usize = 64;
/// The longest message: a configuration with hundreds of mistakes, each shown with its line.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// One end. Messages keep their bounds and arrive whole, or the other side is gone. (The runtime knows no sequenced packets; it only waits
/// here, and that it does on any socket.)
pub struct Channel(UnixStream);

impl Channel {
    /// Both ends: one for us, one for a child.
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::over(ours)?, theirs))
    }

    /// Needs a runtime.
    pub fn over(socket: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self(UnixStream::from_std(socket.into())?))
    }

    pub async fn send(&self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = serde_json::to_vec(message)?;
        loop {
            self.0.writable().await?;
            match self.0.try_io(Interest::WRITABLE, || send(self.0.as_fd(), &bytes, files)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return sent,
            }
        }
    }

    /// The next message; an error once the other side is gone.
    pub async fn receive<T: DeserializeOwned>(&self) -> io::Result<(T, Vec<OwnedFd>)> {
        loop {
            self.0.readable().await?;
            match self.0.try_io(Interest::READABLE, || receive(self.0.as_fd())) {
                Ok((bytes, files)) => return Ok((serde_json::from_slice(&bytes)?, files)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The other side went without reading everything. It is said once, and before its last words.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Sends one message on a socket that nobody has made a channel of.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
    if bytes.len() > MESSAGE_BYTES_MAX || files.len() > FILES_MAX {
        return Err(io::Error::other("the message is too long"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(io::Error::other("so many files do not fit"));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let files = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(files) => Some(files),
        _ => None,
    });
    let files: Vec<OwnedFd> = files.flatten().collect();
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a message did not fit; is the limit on open files too low? (ulimit -n)"));
    }
    bytes.truncate(received.bytes);
    Ok((bytes, files))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn messages_keep_their_bounds_and_files_arrive_with_theirs() {
        let (here, there) = Channel::pair().unwrap();
        let there = Channel::over(there).unwrap();
        let listeners: Vec<_> = (0..FILES_MAX).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let files: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        here.send(&"first", &files).await.unwrap();
        here.send(&"second", &[]).await.unwrap();
        let (text, files) = there.receive::<String>().await.unwrap();
        let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        drop(listeners);
        assert_eq!(text, "first");
        for (file, address) in files.into_iter().zip(addresses) {
            let listener = TcpListener::from(file);
            assert_eq!(listener.local_addr().unwrap(), address);
            TcpStream::connect(address).expect("it listens without a break");
        }
        assert_eq!(there.receive::<String>().await.unwrap().0, "second");
        drop(here);
        assert_eq!(there.receive::<String>().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn last_words_are_heard_although_the_speaker_read_nothing() {
        let (here, there) = Channel::pair().unwrap();
        here.send(&"unread", &[]).await.unwrap();
        send(there.as_fd(), b"\"farewell\"", &[]).unwrap();
        drop(there);
        assert_eq!(here.receive::<String>().await.unwrap().0, "farewell");
        assert!(here.receive::<String>().await.is_err());
    }

    #[tokio::test]
    async fn a_message_of_another_version_is_an_error() {
        let (here, there) = Channel::pair().unwrap();
        let there = Channel::over(there).unwrap();
        here.send(&"words", &[]).await.unwrap();
        assert!(there.receive::<u64>().await.is_err());
    }
}
