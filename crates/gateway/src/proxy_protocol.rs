//! The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): before anything else, TLS included, a load balancer says whose
//! connection it passes on.
//!
//! Only trusted peers may say so, and they must: a peer that may choose whether to could choose its own address. Read here and not by a
//! crate, because what follows belongs to somebody else: not a byte behind the header may be taken off the socket, and nobody can make us
//! hold more than [`HEADER_BYTES_MAX`].

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The longest header of version 1, its line end included.
const LINE_BYTES_MAX: usize = 107;
/// The longest header of all: what version 2 says fits into one packet everywhere.
pub(crate) const HEADER_BYTES_MAX: usize = 536;
/// No header is shorter, so as many bytes may be read before it is known which it is.
const HEADER_BYTES_MIN: usize = b"PROXY UNKNOWN\r\n".len();
const SIGNATURE_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_BYTES_V2: usize = 16;

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Somebody's at this address.
    Of(SocketAddr),
    /// The proxy's own, such as a health check; or one that did not come over IP.
    Own,
}

/// What the first bytes of a connection amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Whole(Header),
    /// The header has at least so many bytes.
    AtLeast(usize),
    /// It goes on to the end of a line, which comes within so many bytes.
    Line(usize),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the connection does not begin with a PROXY header: {0}")]
    Malformed(&'static str),
    #[error("the connection ended before its PROXY header did")]
    Ended,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Takes the header off a connection, and nothing else.
pub(crate) async fn take(stream: &mut TcpStream) -> Result<Header, Error> {
    let mut bytes = [0; HEADER_BYTES_MAX];
    let mut length = 0;
    loop {
        let wanted = match parse(&bytes[..length]).map_err(Error::Malformed)? {
            Progress::Whole(header) => return Ok(header),
            Progress::AtLeast(wanted) => wanted,
            Progress::Line(end) => {
                let seen = stream.peek(&mut bytes[length..end]).await?;
                let line = bytes[length..length + seen].iter().position(|byte| *byte == b'\n');
                length + line.map_or(seen, |end| end + 1)
            }
        };
        // Nothing seen is the end of the stream, which reading finds too.
        let read = stream.read(&mut bytes[length..wanted.max(length + 1)]).await?;
        if read == 0 {
            return Err(Error::Ended);
        }
        length += read;
    }
}

/// Reads as much of a header as there is. Never asks for a byte behind it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Progress, &'static str> {
    let begins = |signature: &[u8]| bytes.iter().zip(signature).all(|(byte, expected)| byte == expected);
    let (is_v1, is_v2) = (begins(b"PROXY "), begins(SIGNATURE_V2));
    match (is_v1, is_v2) {
        (false, false) => Err("it has neither signature"),
        _ if bytes.len() < HEADER_BYTES_MIN => Ok(Progress::AtLeast(HEADER_BYTES_MIN)),
        (_, true) => parse_v2(bytes),
        (true, _) => parse_v1(bytes),
    }
}

fn parse_v1(bytes: &[u8]) -> Result<Progress, &'static str> {
    let bytes = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() < LINE_BYTES_MAX { Ok(Progress::Line(LINE_BYTES_MAX)) } else { Err("its line is too long") };
    };
    let line = bytes[..end].strip_suffix(b"\r").and_then(|line| std::str::from_utf8(line).ok()).ok_or("its line is not text")?;
    let words: Vec<_> = line.split(' ').collect();
    let header = match words[..] {
        // Whatever else stands there is to be ignored.
        ["PROXY", "UNKNOWN", ..] => Header::Own,
        ["PROXY", "TCP4", source, destination, port, other_port] => {
            let (source, _) = (text::<Ipv4Addr>(source)?, text::<Ipv4Addr>(destination)?);
            Header::Of((source, ports(port, other_port)?).into())
        }
        ["PROXY", "TCP6", source, destination, port, other_port] => {
            let (source, _) = (text::<Ipv6Addr>(source)?, text::<Ipv6Addr>(destination)?);
            Header::Of((source, ports(port, other_port)?).into())
        }
        _ => return Err("its line does not hold two addresses and two ports"),
    };
    Ok(Progress::Whole(header))
}

fn text<A: std::str::FromStr>(text: &str) -> Result<A, &'static str> {
    text.parse().map_err(|_| "an address in it is none")
}

/// The first of two ports, both in digits without leading zeros.
fn ports(source: &str, destination: &str) -> Result<u16, &'static str> {
    let port = |text: &str| {
        let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse::<u16>().ok().filter(|_| canonical).ok_or("a port in it is none")
    };
    port(destination)?;
    port(source)
}

fn parse_v2(bytes: &[u8]) -> Result<Progress, &'static str> {
    let Some(fixed) = bytes.first_chunk::<FIXED_BYTES_V2>() else { return Ok(Progress::AtLeast(FIXED_BYTES_V2)) };
    let [.., command, family, high, low] = *fixed;
    if command >> 4 != 2 {
        return Err("its version is unknown");
    }
    let length = FIXED_BYTES_V2 + usize::from(u16::from_be_bytes([high, low]));
    if length > HEADER_BYTES_MAX {
        return Err("it is longer than 536 bytes");
    }
    let Some(header) = bytes.get(..length) else { return Ok(Progress::AtLeast(length)) };
    let addresses = &header[FIXED_BYTES_V2..];
    // What follows the addresses are annotations, none of which we need.
    let header = match (command & 0xf, family) {
        // LOCAL, where nothing else counts; addresses that are not told; and Unix sockets.
        (0, _) | (1, 0x00 | 0x31) => Header::Own,
        (1, 0x11) => source::<4>(addresses).map(|(ip, port)| Header::Of((Ipv4Addr::from(ip), port).into()))?,
        (1, 0x21) => source::<16>(addresses).map(|(ip, port)| Header::Of((Ipv6Addr::from(ip), port).into()))?,
        (1, _) => return Err("its addresses are not those of a stream"),
        _ => return Err("its command is unknown"),
    };
    Ok(Progress::Whole(header))
}

/// Address and port of the source, from both addresses and then both ports.
fn source<const BYTES: usize>(addresses: &[u8]) -> Result<([u8; BYTES], u16), &'static str> {
    let (source, rest) = addresses.split_first_chunk::<BYTES>().ok_or("it is too short for its addresses")?;
    let (_destination, rest) = rest.split_first_chunk::<BYTES>().ok_or("it is too short for its addresses")?;
    let ports = rest.first_chunk::<4>().ok_or("it is too short for its ports")?;
    Ok((*source, u16::from_be_bytes([ports[0], ports[1]])))
}

#[cfg(test)]
mod tests;
