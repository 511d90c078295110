//! Connections that became something else, as `WebSockets` do: whatever one side says, the other says back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use crate::http;

const HEADERS: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";

/// Switches every connection and echoes.
pub(crate) struct Echo {
    port: u16,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Echo {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stopping = Arc::<AtomicBool>::default();
        let is_stopping = Arc::clone(&stopping);
        let acceptor = thread::spawn(move || {
            while let (Ok((stream, _)), false) = (listener.accept(), is_stopping.load(Relaxed)) {
                thread::spawn(move || echo(&stream));
            }
        });
        Self { port, stopping, acceptor: Some(acceptor) }
    }

    pub(crate) fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

fn echo(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
    }
    write!(writer, "HTTP/1.1 101 Switching Protocols\r\n{HEADERS}\r\n")?;
    let mut bytes = [0; 4096];
    loop {
        match reader.read(&mut bytes)? {
            0 => return Ok(()),
            length => writer.write_all(&bytes[..length])?,
        }
    }
}

/// The client's end.
pub(crate) struct Switched(BufReader<TcpStream>);

impl Switched {
    pub(crate) fn open(port: u16, path: &str) -> Self {
        let mut stream = http::connect(port).unwrap();
        write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n{HEADERS}\r\n").unwrap();
        let answer = http::head(&mut stream).unwrap();
        assert_eq!(answer.status, 101, "{answer:?}");
        Self(stream)
    }

    /// Says something and hears it again.
    pub(crate) fn echo(&mut self, words: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(words)?;
        let mut heard = vec![0; words.len()];
        self.0.read_exact(&mut heard)?;
        assert_eq!(heard, words);
        Ok(())
    }
}
