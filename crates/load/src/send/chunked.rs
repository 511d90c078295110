//! Where a chunked body ends.

/// A size line with its extensions, and a line of a trailer.
const LINE_BYTES_MAX: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    /// What is left of the chunk, or the size as far as it was read.
    size: u64,
    line_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum State {
    #[default]
    Size,
    Extension,
    Data,
    /// The line end behind a chunk's data.
    DataEnd,
    Trailer,
}

/// How far some bytes led.
pub(crate) struct Read {
    pub(crate) used: usize,
    pub(crate) body_bytes: u64,
    pub(crate) is_end: bool,
}

impl Chunked {
    /// Takes in what came, and hands on what of it is body.
    pub(crate) fn feed(&mut self, bytes: &[u8], mut body: impl FnMut(&[u8])) -> Result<Read, &'static str> {
        let (mut at, mut body_bytes) = (0, 0);
        while at < bytes.len() {
            if self.state == State::Data {
                let now = (self.size).min((bytes.len() - at) as u64);
                self.size -= now;
                body_bytes += now;
                body(&bytes[at..at + now as usize]);
                at += now as usize;
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            if self.step(byte)? {
                return Ok(Read { used: at, body_bytes, is_end: true });
            }
        }
        Ok(Read { used: at, body_bytes, is_end: false })
    }

    /// One byte outside the data; true at the end of the body.
    fn step(&mut self, byte: u8) -> Result<bool, &'static str> {
        self.line_bytes += 1;
        if self.line_bytes > LINE_BYTES_MAX {
            return Err("a line of a chunked body is too long");
        }
        match (self.state, byte) {
            (State::Size, b'\n') if self.line_bytes == 1 => return Err("a chunk has no size"),
            (State::Size | State::Extension, b'\n') => {
                self.state = if self.size == 0 { State::Trailer } else { State::Data };
                self.line_bytes = 0;
            }
            (State::Size, b';') => self.state = State::Extension,
            (State::Size, b'\r' | b' ' | b'\t') | (State::DataEnd, b'\r') | (State::Extension, _) => {}
            (State::Size, _) => {
                let digit = (byte as char).to_digit(16).ok_or("a chunk's size is no number")?;
                self.size = self.size.checked_mul(16).ok_or("a chunk is too large")? + u64::from(digit);
            }
            (State::DataEnd, b'\n') => *self = Self::default(),
            (State::DataEnd, _) => return Err("a chunk is longer than its size"),
            // An empty line ends the trailer; `line_bytes` counts this byte, too.
            (State::Trailer, b'\n') if self.line_bytes == 1 => return Ok(true),
            (State::Trailer, b'\n') => self.line_bytes = 0,
            (State::Trailer, b'\r') => self.line_bytes -= 1,
            (State::Trailer, _) => {}
            (State::Data, _) => unreachable!("data is passed over as a whole"),
        }
        Ok(false)
    }
}
