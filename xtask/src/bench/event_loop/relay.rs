//! The relay: copies bytes both ways and looks at none. No proxy gets under what it costs.

use std::io;
use std::net::{Ipv4Addr, TcpStream};

use anyhow::{Context, Result};

use super::{Service, never_blocks, read, serve, write};

/// Copies between each client and a connection of its own to the origin.
pub(in super::super) fn serve_relay(port: u16, origin: u16) -> Result<()> {
    serve(&[port], Relay { origin, ends: Vec::new() })
}

struct Relay {
    origin: u16,
    /// A client at every even index, its connection to the origin right behind it.
    ends: Vec<Option<End>>,
}

struct End {
    stream: TcpStream,
    /// What it could not take yet.
    unsent: Vec<u8>,
}

impl Service for Relay {
    fn accept(&mut self, client: TcpStream) -> Result<Vec<usize>> {
        let origin = TcpStream::connect((Ipv4Addr::LOCALHOST, self.origin)).context("cannot reach the origin")?;
        for stream in [client, origin] {
            never_blocks(&stream)?;
            self.ends.push(Some(End { stream, unsent: Vec::new() }));
        }
        Ok(vec![self.ends.len() - 2, self.ends.len() - 1])
    }

    fn stream(&self, index: usize) -> &TcpStream {
        &self.ends[index].as_ref().expect("only open connections are watched").stream
    }

    fn turn(&mut self, index: usize, ends: bool, buffer: &mut [u8]) -> io::Result<()> {
        let Some(end) = &mut self.ends[index] else { return Ok(()) };
        if !end.unsent.is_empty() {
            let written = write(&end.stream, &end.unsent)?;
            end.unsent.drain(..written);
            // Nobody will say again that the other side has more.
            self.copy(index ^ 1, true, buffer)?;
        }
        self.copy(index, ends, buffer)
    }

    fn close(&mut self, index: usize) {
        self.ends[index] = None;
        self.ends[index ^ 1] = None;
    }
}

impl Relay {
    /// Everything that `from` has, or as much as the other side takes.
    fn copy(&mut self, from: usize, ends: bool, buffer: &mut [u8]) -> io::Result<()> {
        let pair = self.ends.get_disjoint_mut([from, from ^ 1]).expect("connections come in pairs");
        let [Some(from), Some(to)] = pair else { return Ok(()) };
        while to.unsent.is_empty() {
            let Some(count) = read(&from.stream, buffer)? else { return Ok(()) };
            let written = write(&to.stream, &buffer[..count])?;
            to.unsent.extend_from_slice(&buffer[written..count]);
            if count < buffer.len() && !ends {
                return Ok(());
            }
        }
        Ok(())
    }
}
