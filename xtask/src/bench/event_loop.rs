//! Two servers that do nearly nothing: the origin behind every candidate, and the relay that is the floor under them.
//!
//! One epoll loop on blocking-free sockets. No limits, no time-outs, no parsing beyond the end of a head: only for measuring.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::epoll;

use super::load::BODY_BYTES;

const LISTENER: u64 = u64::MAX;
const EVENTS_AT_ONCE: usize = 256;

/// What happens to the connections of a server.
trait Service {
    /// A client came: the connections to watch from now on, by their index.
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>>;
    fn stream(&self, index: usize) -> &TcpStream;
    /// There is something to read; false when the connection is over.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> bool;
    fn close(&mut self, index: usize);
}

/// Answers every request on this port with the same 1 KiB.
pub(super) fn serve_origin(port: u16) -> Result<()> {
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(BODY_BYTES - 11));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
    serve(port, Origin { answer: (head + &body).into_bytes(), clients: Vec::new() })
}

/// Copies bytes between each client and a connection of its own to the origin.
pub(super) fn serve_relay(port: u16, origin: u16) -> Result<()> {
    serve(port, Relay { origin, streams: Vec::new() })
}

fn serve(port: u16, mut service: impl Service) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).context("cannot listen")?;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&poll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN)?;
    let mut events = Vec::with_capacity(EVENTS_AT_ONCE);
    let mut buffer = [0; 16 * 1024];
    loop {
        events.clear();
        epoll::wait(&poll, spare_capacity(&mut events), None)?;
        for event in &events {
            if event.data.u64() == LISTENER {
                for index in service.accept(listener.accept()?.0)? {
                    let data = epoll::EventData::new_u64(index as u64);
                    epoll::add(&poll, service.stream(index), data, epoll::EventFlags::IN)?;
                }
            } else if !service.read(event.data.u64() as usize, &mut buffer) {
                service.close(event.data.u64() as usize);
            }
        }
    }
}

struct Origin {
    answer: Vec<u8>,
    /// Each with the last bytes it sent, as far as they may begin the end of a head.
    clients: Vec<Option<(TcpStream, Vec<u8>)>>,
}

impl Service for Origin {
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        self.clients.push(Some((client, Vec::new())));
        Ok(vec![self.clients.len() - 1])
    }

    fn stream(&self, index: usize) -> &TcpStream {
        &self.clients[index].as_ref().expect("only open connections are watched").0
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> bool {
        let Some((stream, unended)) = &mut self.clients[index] else { return true };
        let count = match stream.read(buffer) {
            Ok(0) => return false,
            Ok(count) => count,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        // A head nearly always comes whole and alone; only others are put together.
        if unended.is_empty() && end_of_head(&buffer[..count]) == Some(count) {
            return stream.write_all(&self.answer).is_ok();
        }
        unended.extend_from_slice(&buffer[..count]);
        while let Some(end) = end_of_head(unended) {
            unended.drain(..end);
            if stream.write_all(&self.answer).is_err() {
                return false;
            }
        }
        true
    }

    fn close(&mut self, index: usize) {
        self.clients[index] = None;
    }
}

/// How many bytes the first head takes, with the empty line that ends it.
fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4)
}

struct Relay {
    origin: u16,
    /// A client at every even index, its connection to the origin right behind it.
    streams: Vec<Option<TcpStream>>,
}

impl Service for Relay {
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>> {
        let origin = TcpStream::connect((Ipv4Addr::LOCALHOST, self.origin)).context("cannot reach the origin")?;
        for stream in [client, origin] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.streams.push(Some(stream));
        }
        Ok(vec![self.streams.len() - 2, self.streams.len() - 1])
    }

    fn stream(&self, index: usize) -> &TcpStream {
        self.streams[index].as_ref().expect("only open connections are watched")
    }

    fn read(&mut self, index: usize, buffer: &mut [u8]) -> bool {
        let (Some(mut from), Some(mut to)) = (self.streams[index].as_ref(), self.streams[index ^ 1].as_ref()) else { return true };
        match from.read(buffer) {
            Ok(0) => false,
            Ok(count) => to.write_all(&buffer[..count]).is_ok(),
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    fn close(&mut self, index: usize) {
        self.streams[index] = None;
        self.streams[index ^ 1] = None;
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::{load, server};
    use super::*;

    /// Both servers, on threads that end with the test's process.
    fn start() -> (u16, u16) {
        let (origin, relay) = (server::free_port().unwrap(), server::free_port().unwrap());
        thread::spawn(move || serve_origin(origin));
        thread::spawn(move || serve_relay(relay, origin));
        let started = Instant::now();
        while load::probe(relay).is_err() {
            assert!(started.elapsed() < Duration::from_secs(10), "no answer through the relay");
            thread::yield_now();
        }
        (origin, relay)
    }

    #[test]
    fn every_request_through_the_relay_is_answered_once() {
        let (_, relay) = start();
        load::exactly(relay, 500).unwrap();
    }

    #[test]
    fn a_torn_head_is_one_request_and_two_in_one_are_two() {
        let (origin, _) = start();
        let torn = ["GET / HTTP/1.1\r\nHost: a\r", "\n\r", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"];
        for pieces in [torn.to_vec(), vec![&*torn.concat()]] {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, origin)).unwrap();
            stream.set_nodelay(true).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            for piece in &pieces {
                stream.write_all(piece.as_bytes()).unwrap();
                thread::yield_now();
            }
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answers = String::new();
            stream.read_to_string(&mut answers).unwrap();
            assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "in {} pieces", pieces.len());
        }
    }
}
