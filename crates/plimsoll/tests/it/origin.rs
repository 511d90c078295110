//! A server that somebody else runs: it says its name and what it was asked.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

/// After the drop it takes no more connections, and closes those it has when they bring a request.
pub(crate) struct Origin {
    address: Address,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Origin {
    pub(crate) fn tcp(name: &'static str) -> Self {
        Self::at(name, [127, 0, 0, 1], 0)
    }

    pub(crate) fn at(name: &'static str, ip: impl Into<IpAddr>, port: u16) -> Self {
        let listener = TcpListener::bind(SocketAddr::new(ip.into(), port)).unwrap();
        let address = listener.local_addr().unwrap();
        Self::start(name, Address::Tcp(address), move || listener.accept().map(|(stream, _)| stream))
    }

    pub(crate) fn unix(name: &'static str, path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        Self::start(name, Address::Unix(path.to_owned()), move || listener.accept().map(|(stream, _)| stream))
    }

    fn start<S>(name: &'static str, address: Address, accept: impl Fn() -> io::Result<S> + Send + 'static) -> Self
    where
        S: Send + 'static,
        for<'a> &'a S: Read + Write,
    {
        let stopping = Arc::<AtomicBool>::default();
        let is_stopping = Arc::clone(&stopping);
        let acceptor = thread::spawn(move || {
            while let (Ok(stream), false) = (accept(), is_stopping.load(Relaxed)) {
                // A connection that breaks is the gateway's business: that it is not silent about it shows at the client.
                let is_stopping = Arc::clone(&is_stopping);
                thread::spawn(move || serve(name, &stream, &is_stopping));
            }
        });
        Self { address, stopping, acceptor: Some(acceptor) }
    }

    /// As it is written in `servers`.
    pub(crate) fn server(&self) -> String {
        match &self.address {
            Address::Tcp(address) => format!("http://{address}"),
            Address::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        // Wakes the acceptor, so that it sees that it is over.
        let woken = match &self.address {
            Address::Tcp(address) => TcpStream::connect(address).is_ok(),
            Address::Unix(path) => UnixStream::connect(path).is_ok(),
        };
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

/// Answers every request with JSON: the name, the request line and the headers.
fn serve<S>(name: &str, stream: &S, is_stopping: &AtomicBool) -> io::Result<()>
where
    for<'a> &'a S: Read + Write,
{
    let mut requests = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if requests.read_line(&mut line)? == 0 {
                return Ok(());
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        if is_stopping.load(Relaxed) {
            return Ok(());
        }
        let body = serde_json::json!({ "name": name, "asked": lines[0], "headers": lines[1..] }).to_string();
        let mut answers: &S = stream;
        answers.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
    }
}
