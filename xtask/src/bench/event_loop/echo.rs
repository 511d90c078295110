//! The client that waits for its echo: a WebSocket frame on each of its connections, and the next one when it has come back.
//!
//! Nobody between it and the origin looks into frames, so a frame that comes back as it went is good enough.

use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Loop, Service, never_blocks, read, write};
use crate::bench::proxy::websocket;

/// How many frames came back on `connections` in this time.
pub(in super::super) fn echo(port: u16, connections: usize, time: Duration) -> Result<u64> {
    let streams = (0..connections).map(|_| websocket::open((Ipv4Addr::LOCALHOST, port).into())).collect::<Result<_>>()?;
    let mut echoes = Echoes { streams, returned: vec![0; connections], frame: websocket::frame(), count: 0, closed: 0 };
    let mut events = Loop::new(&[])?;
    for (index, stream) in echoes.streams.iter().enumerate() {
        never_blocks(stream)?;
        ensure!(write(stream, &echoes.frame)? == echoes.frame.len(), "a frame does not fit into an empty socket");
        events.watch(&echoes, index)?;
    }
    let deadline = Instant::now() + time;
    while Instant::now() < deadline && echoes.closed == 0 {
        events.turn(&mut echoes, Some(deadline))?;
    }
    ensure!(echoes.closed == 0, "{} connections were closed", echoes.closed);
    Ok(echoes.count)
}

struct Echoes {
    streams: Vec<TcpStream>,
    /// Bytes of the present frame that have come back, on each.
    returned: Vec<usize>,
    frame: Vec<u8>,
    count: u64,
    closed: usize,
}

impl Service for Echoes {
    fn accept(&mut self, _: TcpStream) -> Result<Vec<usize>> {
        unreachable!("nobody listens")
    }

    fn stream(&self, index: usize) -> &TcpStream {
        &self.streams[index]
    }

    fn turn(&mut self, index: usize, _: bool, buffer: &mut [u8]) -> io::Result<()> {
        let (stream, returned) = (&self.streams[index], &mut self.returned[index]);
        let Some(count) = read(stream, buffer)? else { return Ok(()) };
        let expected = self.frame.get(*returned..*returned + count);
        if expected != Some(&buffer[..count]) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        *returned += count;
        if *returned == self.frame.len() {
            (self.count, *returned) = (self.count + 1, 0);
            write(stream, &self.frame)?;
        }
        Ok(())
    }

    fn close(&mut self, _: usize) {
        self.closed += 1;
    }
}
