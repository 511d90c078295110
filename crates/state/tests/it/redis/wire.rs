//! A network between us and Redis that can swallow connections: they stay open and nothing comes through any more.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(super) struct Wire {
    address: SocketAddr,
    swallowed: watch::Sender<()>,
    /// Ends with the test.
    _carrier: JoinSet<()>,
}

impl Wire {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallowed = watch::Sender::new(());
        let subscribe = swallowed.clone();
        let mut carrier = JoinSet::new();
        carrier.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                connections.spawn(carry(near, port, subscribe.subscribe()));
            }
        });
        Self { address, swallowed, _carrier: carrier }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Swallows all present connections; new ones work.
    pub(super) fn swallow(&self) {
        self.swallowed.send_replace(());
    }
}

async fn carry(mut near: TcpStream, port: u16, mut swallowed: watch::Receiver<()>) {
    let mut far = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => return,
        _ = swallowed.changed() => {}
    }
    std::future::pending::<()>().await;
}
