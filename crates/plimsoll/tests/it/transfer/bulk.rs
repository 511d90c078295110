//! Much data with a position in every byte, and an origin that serves and takes it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::GIB;

/// A prime, so that no shift by a power of two goes unnoticed.
const PERIOD: usize = 65_521;

static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..PERIOD).map(|_| next()).collect()
});

/// How many bytes have gone past.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Data received so far.
#[derive(Default)]
pub(super) struct Bulk(u64);

impl Bulk {
    pub(super) fn position(&self) -> u64 {
        self.0
    }

    /// The next bytes must be the next bytes of the pattern.
    pub(super) fn check(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let expected = &PATTERN[(self.0 % PERIOD as u64) as usize..];
            let length = expected.len().min(bytes.len());
            assert!(bytes[..length] == expected[..length], "wrong data near byte {}", self.0);
            self.0 += length as u64;
            bytes = &bytes[length..];
        }
    }

    pub(super) fn send(stream: &mut impl Write, length: u64, progress: &Counter) -> io::Result<()> {
        let mut position = 0;
        while position < length {
            let rest = &PATTERN[(position % PERIOD as u64) as usize..];
            let written = stream.write(&rest[..rest.len().min((length - position) as usize)])?;
            position += written as u64;
            progress.0.store(position, Relaxed);
        }
        Ok(())
    }
}

/// `/small` answers a word, `/download` sends a gibibyte, `/upload` takes nothing until it is told to go on, then everything.
pub(super) struct Origin {
    pub(super) port: u16,
    /// Bytes of the download that the kernel has taken.
    pub(super) sent: Arc<Counter>,
    going: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Origin {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sent, going, stopping) = (Arc::<Counter>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let shared = (Arc::clone(&sent), Arc::clone(&going), Arc::clone(&stopping));
        let acceptor = thread::spawn(move || {
            let (sent, going, stopping) = shared;
            while let (Ok((stream, _)), false) = (listener.accept(), stopping.load(Relaxed)) {
                let (sent, going) = (Arc::clone(&sent), Arc::clone(&going));
                // Ends with its connection, which the gateway or the probe closes. What it finds wrong shows in the answer.
                thread::spawn(move || serve(stream, &sent, &going));
            }
        });
        Self { port, sent, going, stopping, acceptor: Some(acceptor) }
    }

    pub(super) fn go_on(&self) {
        self.going.store(true, Relaxed);
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stopping.store(true, Relaxed);
        // Wakes the acceptor, so that it can see that it is over.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(stream: TcpStream, sent: &Counter, going: &AtomicBool) -> io::Result<()> {
    let mut answers = stream.try_clone()?;
    let mut requests = BufReader::with_capacity(256 * 1024, stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if requests.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        match head.split(' ').nth(1) {
            Some("/download") => {
                write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n")?;
                Bulk::send(&mut answers, GIB, sent)?;
            }
            Some("/upload") => {
                while !going.load(Relaxed) {
                    thread::park_timeout(Duration::from_millis(10));
                }
                let taken = take(&mut requests)?.to_string();
                write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{taken}", taken.len())?;
            }
            _ => write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall")?,
        }
    }
}

fn take(requests: &mut BufReader<TcpStream>) -> io::Result<u64> {
    let mut taken = Bulk::default();
    while taken.position() < GIB {
        let bytes = requests.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        taken.check(bytes);
        requests.consume(length);
    }
    Ok(taken.position())
}
