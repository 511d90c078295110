//! Where a body ends. Pure: bytes in the buffer, frames out.

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::hex;
use crate::message::{Frame, Framing, Name};

/// A chunk-size line with its extensions may be this long.
const SIZE_LINE_BYTES_MAX: usize = 256;
/// How much of a body may be size lines and extensions, beyond what each chunk is allowed: its line of a few bytes, and half its data.
const OVERHEAD_BYTES_MAX: u64 = 16 * 1024;
const LINE_BYTES_FREE: u64 = 16;
const TRAILER_BYTES_MAX: usize = 8 * 1024;
const TRAILER_FIELDS_MAX: usize = 32;

/// Takes one body off the front of a buffer.
#[derive(Debug)]
pub(crate) enum Decoder {
    Done,
    Length(u64),
    /// And what was read so far that is no data, beyond what is allowed.
    Chunked(Chunk, u64),
    UntilClose,
}

#[derive(Debug)]
pub(crate) enum Chunk {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
}

/// What one step found.
pub(crate) enum Step {
    Frame(Frame),
    More,
    End,
}

impl Decoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunk::Size, 0),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// The peer has closed: true if that ends the body properly.
    pub(crate) fn close(&mut self) -> bool {
        let proper = matches!(self, Self::Done | Self::UntilClose);
        *self = Self::Done;
        proper
    }

    /// How many more bytes are certainly coming: a hint for the size of the next read.
    pub(crate) fn bytes_expected(&self) -> u64 {
        match self {
            Self::Length(left) | Self::Chunked(Chunk::Data(left), _) => *left,
            Self::UntilClose => u64::MAX,
            Self::Done | Self::Chunked(..) => 0,
        }
    }

    /// Most chunked bodies end right behind their last chunk: noticing it now lets the end be written together with the data.
    fn end_early(&mut self, buffer: &mut BytesMut) {
        if buffer.starts_with(b"\r\n0\r\n\r\n") {
            buffer.advance(7);
            *self = Self::Done;
        }
    }

    pub(crate) fn step(&mut self, buffer: &mut BytesMut) -> Result<Step, &'static str> {
        loop {
            match self {
                Self::Done => return Ok(Step::End),
                Self::Length(left) | Self::Chunked(Chunk::Data(left), _) if buffer.is_empty() => {
                    debug_assert!(*left > 0);
                    return Ok(Step::More);
                }
                Self::Length(left) => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        *self = Self::Done;
                    }
                    return Ok(Step::Frame(Frame::Data(data)));
                }
                Self::UntilClose if buffer.is_empty() => return Ok(Step::More),
                Self::UntilClose => return Ok(Step::Frame(Frame::Data(buffer.split().freeze()))),
                Self::Chunked(Chunk::Size, overhead) => {
                    let Some((size, line_bytes)) = size_line(buffer)? else { return Ok(Step::More) };
                    let overhead = (*overhead + line_bytes).saturating_sub(LINE_BYTES_FREE + size / 2);
                    if overhead > OVERHEAD_BYTES_MAX {
                        return Err("the body is made of chunk extensions rather than data");
                    }
                    *self = Self::Chunked(if size == 0 { Chunk::Trailers } else { Chunk::Data(size) }, overhead);
                }
                Self::Chunked(Chunk::Data(left), overhead) => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::DataEnd, *overhead);
                        self.end_early(buffer);
                    }
                    return Ok(Step::Frame(Frame::Data(data)));
                }
                Self::Chunked(Chunk::DataEnd, overhead) => {
                    if !b"\r\n".starts_with(&buffer[..buffer.len().min(2)]) {
                        return Err("a chunk is longer than its size says");
                    }
                    if buffer.len() < 2 {
                        return Ok(Step::More);
                    }
                    buffer.advance(2);
                    *self = Self::Chunked(Chunk::Size, *overhead);
                }
                Self::Chunked(Chunk::Trailers, _) => {
                    let Some(trailers) = trailers(buffer)? else { return Ok(Step::More) };
                    *self = Self::Done;
                    return Ok(if trailers.is_empty() { Step::End } else { Step::Frame(Frame::Trailers(trailers)) });
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, left: &mut u64) -> Bytes {
    let length = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    *left -= length as u64;
    buffer.split_to(length).freeze()
}

/// `size [;extensions] CRLF`: the size, and how long the line is. Extensions are dropped: they are for this hop only.
fn size_line(buffer: &mut BytesMut) -> Result<Option<(u64, u64)>, &'static str> {
    let Some(newline) = memchr::memchr(b'\n', &buffer[..buffer.len().min(SIZE_LINE_BYTES_MAX)]) else {
        return if buffer.len() < SIZE_LINE_BYTES_MAX { Ok(None) } else { Err("a chunk-size line is too long") };
    };
    let Some(line) = buffer[..newline].strip_suffix(b"\r") else { return Err("a chunk-size line ends without CR") };
    if line.contains(&b'\r') {
        return Err("a chunk-size line holds a bare CR");
    }
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    if !(1..=15).contains(&digits) || !(rest.is_empty() && digits == line.len() || rest.starts_with(b";")) {
        return Err("a chunk size is not a hexadecimal number");
    }
    let size = line[..digits].iter().filter_map(|byte| hex::digit(*byte)).fold(0, |size, digit| size * 16 + u64::from(digit));
    buffer.advance(newline + 1);
    Ok(Some((size, newline as u64)))
}

fn trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, &'static str> {
    if buffer.starts_with(b"\r\n") {
        buffer.advance(2);
        return Ok(Some(HeaderMap::new()));
    }
    let Some(end) = memchr::memmem::find(&buffer[..buffer.len().min(TRAILER_BYTES_MAX)], b"\r\n\r\n") else {
        return if buffer.len() < TRAILER_BYTES_MAX { Ok(None) } else { Err("the trailers are too large") };
    };
    let block = buffer.split_to(end + 4);
    if super::head::has_bare_newline(&block, 0) {
        return Err("a trailer ends without CR");
    }
    let mut fields = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let Ok(httparse::Status::Complete((_, fields))) = httparse::parse_headers(&block, &mut fields) else {
        return Err("the trailers are malformed");
    };
    let mut trailers = HeaderMap::new();
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| "a trailer has no valid name")?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| "a trailer has no valid value")?;
        trailers.append(name, value);
    }
    remove_forbidden_trailers(&mut trailers);
    Ok(Some(trailers))
}

/// Fields that frame, route or authenticate a message must not come after it (RFC 9110, section 6.5.1): a server that merges trailers into
/// headers would believe them.
pub(crate) fn remove_forbidden_trailers(trailers: &mut HeaderMap) {
    let forbidden = |name: &HeaderName| {
        let known = Name::of(name.as_str().as_bytes());
        known.is_hop_by_hop()
            || known.is_rewritten()
            || matches!(known, Name::Cookie | Name::XForwardedOther)
            || matches!(name.as_str(), "authorization" | "trailer" | "set-cookie")
    };
    let names: Vec<_> = trailers.keys().filter(|name| forbidden(name)).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests;
