//! The client's side of a WebSocket, as far as an echo needs it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::event_loop::{ECHO_PATH, UPGRADED};

/// Bytes of text in a frame: the most that a frame with the shortest head can have.
const TEXT_BYTES: u8 = 125;

/// A whole text, masked as a client must.
pub(in super::super) fn frame() -> Vec<u8> {
    let mask = [7, 77, 177, 217];
    let text = (0..TEXT_BYTES).map(|index| b'a' + index % 26);
    let masked = text.zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, 0x80 | TEXT_BYTES].into_iter().chain(mask).chain(masked).collect()
}

/// A connection that has become a WebSocket.
pub(in super::super) fn open(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(address).context("cannot connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.set_nodelay(true)?;
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
    write!(stream, "GET {ECHO_PATH} HTTP/1.1\r\nHost: {address}\r\n{upgrade}\r\n\r\n").context("cannot send")?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).context("no whole answer to the upgrade")?;
        head.push(byte[0]);
    }
    let accept = UPGRADED.lines().find(|line| line.starts_with("Sec-WebSocket-Accept")).unwrap_or_default().to_lowercase();
    let head = String::from_utf8_lossy(&head).into_owned();
    ensure!(head.starts_with("HTTP/1.1 101 ") && head.to_lowercase().contains(&accept), "no WebSocket: {head}");
    Ok(stream)
}

/// Sends `count` frames, in turns over many connections, all of one turn before any echo is read.
pub(in super::super) fn exactly(port: u16, count: usize) -> Result<()> {
    const AT_ONCE: usize = 50;
    ensure!(count.is_multiple_of(AT_ONCE), "the count must be a multiple of {AT_ONCE}");
    let frame = frame();
    let mut streams: Vec<TcpStream> = (0..AT_ONCE).map(|_| open(([127, 0, 0, 1], port).into())).collect::<Result<_>>()?;
    for _ in 0..count / AT_ONCE {
        streams.iter_mut().try_for_each(|stream| stream.write_all(&frame)).context("cannot send")?;
        for stream in &mut streams {
            let mut echo = vec![0; frame.len()];
            stream.read_exact(&mut echo).context("no echo")?;
            ensure!(echo == frame, "another echo than was sent");
        }
    }
    Ok(())
}
