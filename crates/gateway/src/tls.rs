//! TLS at the door: which certificate is shown to whom, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use crate::transport::Transport;

/// How TLS is spoken with clients.
#[derive(Clone)]
pub struct Server(Arc<ServerConfig>);

impl Server {
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Transport> {
        let stream = TlsAcceptor::from(Arc::clone(&self.0)).accept(stream).await?;
        Ok(Transport::Tls(Box::new(stream.into())))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Server(..)")
    }
}
