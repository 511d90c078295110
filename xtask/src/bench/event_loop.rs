//! Programs that do nearly nothing, so that whoever stands between them is what is busy: the origin behind every candidate, the relay that is
//! the floor under them, the client that waits for its echo.
//!
//! One edge-triggered epoll loop on sockets that never block. No limits, no time-outs, no parsing beyond the end of a head: only for measuring.

mod echo;
mod origin;
mod relay;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

pub(super) use echo::echo;
pub(super) use origin::{ECHO_PATH, LARGE_BYTES, LARGE_PATH, SMALL_BYTES, UPGRADED, serve_origin};
pub(super) use relay::serve_relay;

/// Listeners are numbered from here down, connections from zero up.
const LISTENERS: u64 = u64::MAX;
const EVENTS_AT_ONCE: usize = 256;
const BUFFER_BYTES: usize = 64 * 1024;

/// What happens to the connections of a program.
trait Service {
    /// A client came: the connections to watch from now on, by their index.
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>>;
    fn stream(&self, index: usize) -> &TcpStream;
    /// Something can be read, or written again. `ends` when no more will come than is there. An error ends the connection.
    fn turn(&mut self, index: usize, ends: bool, buffer: &mut [u8]) -> io::Result<()>;
    fn close(&mut self, index: usize);
}

/// Listens on these ports for ever.
fn serve(ports: &[u16], mut service: impl Service) -> Result<()> {
    let mut events = Loop::new(ports)?;
    loop {
        events.turn(&mut service, None)?;
    }
}

struct Loop {
    poll: OwnedFd,
    listeners: Vec<TcpListener>,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
}

impl Loop {
    fn new(ports: &[u16]) -> Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bind = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).with_context(|| format!("cannot listen on port {port}"));
        let listeners: Vec<TcpListener> = ports.iter().map(bind).collect::<Result<_>>()?;
        for (index, listener) in listeners.iter().enumerate() {
            epoll::add(&poll, listener, epoll::EventData::new_u64(LISTENERS - index as u64), epoll::EventFlags::IN)?;
        }
        Ok(Self { poll, listeners, events: Vec::with_capacity(EVENTS_AT_ONCE), buffer: vec![0; BUFFER_BYTES] })
    }

    fn watch(&self, service: &impl Service, index: usize) -> Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        Ok(epoll::add(&self.poll, service.stream(index), epoll::EventData::new_u64(index as u64), flags)?)
    }

    /// Waits for something to happen, until `deadline` if there is one, and deals with all of it.
    fn turn(&mut self, service: &mut impl Service, deadline: Option<Instant>) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        let left = deadline.map(|deadline| timespec(deadline.saturating_duration_since(Instant::now())));
        epoll::wait(&self.poll, spare_capacity(&mut events), left.as_ref())?;
        for event in &events {
            let (number, flags) = (event.data.u64(), event.flags);
            if let Some(listener) = self.listeners.get((LISTENERS - number) as usize) {
                for index in service.accept(listener.accept()?.0)? {
                    self.watch(service, index)?;
                }
                continue;
            }
            let ends = flags.intersects(epoll::EventFlags::RDHUP | epoll::EventFlags::HUP | epoll::EventFlags::ERR);
            if service.turn(number as usize, ends, &mut self.buffer).is_err() {
                service.close(number as usize);
            }
        }
        self.events = events;
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs().cast_signed(), tv_nsec: i64::from(duration.subsec_nanos()) }
}

/// What is there; none when that is nothing yet, an error when nothing will come any more.
fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match stream.read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// As much as the kernel takes now.
fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

fn never_blocks(stream: &TcpStream) -> Result<()> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(())
}

#[cfg(test)]
mod tests;
