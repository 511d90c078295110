//! Finds the end of an HTTP/1.1 answer, however its bytes come, and remembers its status. Pure.

use crate::record::FALLBACK_HEADER;
use crate::scenario::Jar;
use crate::send::Answered;
use crate::send::chunked::Chunked;
use crate::send::sample::{Sample, Samples};

const HEAD_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 128;
/// Of the longest end of a head, `\n\r\n`.
const END_BYTES: usize = 3;
/// Interim answers (1xx) before the real one.
const INTERIM_MAX: usize = 16;

#[derive(Debug)]
pub(crate) struct Answer<'a> {
    state: State,
    /// The head as far as it came, when it comes in pieces.
    torn_head: Vec<u8>,
    status: u16,
    body_bytes: u64,
    keeps_alive: bool,
    /// An answer to HEAD has no body, whatever it announces.
    to_head: bool,
    interim: usize,
    is_fallback: bool,
    samples: Option<&'a Samples>,
    /// The body as far as it came, of an answer that is to be kept.
    sample: Option<Sample>,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunked(Chunked),
    UntilClose,
    Done,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(to_head: bool, samples: Option<&'a Samples>) -> Self {
        Self {
            state: State::Head,
            torn_head: Vec::new(),
            status: 0,
            body_bytes: 0,
            keeps_alive: true,
            to_head,
            interim: 0,
            is_fallback: false,
            samples,
            sample: None,
        }
    }

    /// True when nothing has come yet.
    pub(crate) fn is_untouched(&self) -> bool {
        matches!(self.state, State::Head) && self.torn_head.is_empty() && self.interim == 0
    }

    /// The answer, once it is whole. What it said is kept then, if that is wanted.
    pub(crate) fn done(&mut self) -> Option<Answered> {
        if !matches!(self.state, State::Done) {
            return None;
        }
        if let (Some(samples), Some(sample)) = (self.samples, self.sample.take()) {
            samples.keep(sample);
        }
        Some(Answered { status: self.status, body_bytes: self.body_bytes, is_fallback: self.is_fallback })
    }

    /// Whether the connection may be used again after a whole answer.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Takes in what came. Cookies that are set go into the jar.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut jar: Option<&mut Jar>) -> Result<(), &'static str> {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                State::Head => self.feed_head(bytes, jar.as_deref_mut())?,
                State::Length(left) => {
                    let now = (*left).min(bytes.len() as u64);
                    *left -= now;
                    self.body_bytes += now;
                    note(&mut self.sample, &bytes[..now as usize]);
                    if *left == 0 {
                        self.state = State::Done;
                    }
                    now as usize
                }
                State::Chunked(chunked) => {
                    let read = chunked.feed(bytes, |data| note(&mut self.sample, data))?;
                    self.body_bytes += read.body_bytes;
                    if read.is_end {
                        self.state = State::Done;
                    }
                    read.used
                }
                State::UntilClose => {
                    self.body_bytes += bytes.len() as u64;
                    note(&mut self.sample, bytes);
                    bytes.len()
                }
                // What nobody asked for makes the connection useless for a second request.
                State::Done => {
                    self.keeps_alive = false;
                    bytes.len()
                }
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// The server closed its side.
    pub(crate) fn end(&mut self) {
        self.keeps_alive = false;
        if matches!(self.state, State::UntilClose) {
            self.state = State::Done;
        }
    }

    fn feed_head(&mut self, bytes: &[u8], jar: Option<&mut Jar>) -> Result<usize, &'static str> {
        if self.torn_head.is_empty() {
            // Some servers end a body with one line too many.
            let blank = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
            if blank > 0 {
                return Ok(blank);
            }
            // A head nearly always comes whole; only a torn one is put together.
            if let Some(used) = self.parse_head(bytes, jar)? {
                return Ok(used);
            }
            self.torn_head.extend_from_slice(bytes);
        } else {
            let before = self.torn_head.len();
            self.torn_head.extend_from_slice(bytes);
            // Read once it is whole: to begin anew with each piece would make the work grow with the square of the pieces.
            if ends_head(&self.torn_head[before.saturating_sub(END_BYTES - 1)..]) {
                let head = std::mem::take(&mut self.torn_head);
                if let Some(used) = self.parse_head(&head, jar)? {
                    return Ok(used - before);
                }
                self.torn_head = head;
            }
        }
        if self.torn_head.len() > HEAD_BYTES_MAX {
            return Err("the head of the answer is too long");
        }
        Ok(bytes.len())
    }

    /// Reads a whole head from the start of `bytes`, and returns its length; `None` when there is more to come.
    fn parse_head(&mut self, bytes: &[u8], jar: Option<&mut Jar>) -> Result<Option<usize>, &'static str> {
        let mut headers = [const { std::mem::MaybeUninit::uninit() }; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers);
        let used = match parsed.map_err(not_http)? {
            httparse::Status::Complete(used) => used,
            httparse::Status::Partial => return Ok(None),
        };
        let status = response.code.ok_or("the answer has no status")?;
        if (100..200).contains(&status) {
            self.interim += 1;
            if status == 101 || self.interim > INTERIM_MAX {
                return Err("the server changes the protocol, or never comes to the answer");
            }
            return Ok(Some(used));
        }
        self.status = status;
        let framing = Framing::read(response.headers, jar)?;
        self.is_fallback = framing.is_fallback;
        if self.samples.is_some_and(|samples| samples.want(status)) {
            let content_type = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-type"));
            self.sample = Some(Sample::new(status, content_type.map(|header| header.value)));
        }
        self.keeps_alive = if response.version == Some(1) { !framing.says_close } else { framing.says_keep_alive };
        self.state = match framing {
            _ if self.to_head || [204, 304].contains(&status) => State::Done,
            Framing { is_chunked: true, .. } => State::Chunked(Chunked::default()),
            Framing { length: Some(0), .. } => State::Done,
            Framing { length: Some(length), is_encoded: false, .. } => State::Length(length),
            _ => State::UntilClose,
        };
        Ok(Some(used))
    }
}

/// Whether a blank line is among these bytes; lines may end with or without a carriage return.
fn ends_head(bytes: &[u8]) -> bool {
    bytes.windows(2).any(|pair| pair == b"\n\n") || bytes.windows(END_BYTES).any(|end| end == b"\n\r\n")
}

/// What the headers say about the end of the answer and of the connection.
#[derive(Default)]
struct Framing {
    length: Option<u64>,
    /// There is a `Transfer-Encoding`, and it ends with `chunked`.
    is_encoded: bool,
    is_chunked: bool,
    says_close: bool,
    says_keep_alive: bool,
    is_fallback: bool,
}

fn note(sample: &mut Option<Sample>, body: &[u8]) {
    if let Some(sample) = sample {
        sample.add(body);
    }
}

impl Framing {
    fn read(headers: &[httparse::Header<'_>], mut jar: Option<&mut Jar>) -> Result<Self, &'static str> {
        let mut framing = Self::default();
        for header in headers {
            // Comparing lengths first leaves most headers alone.
            match header.name.len() {
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for option in header.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                        framing.says_close |= option.eq_ignore_ascii_case(b"close");
                        framing.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    }
                }
                10 if header.name.eq_ignore_ascii_case("set-cookie") => {
                    if let Some(jar) = jar.as_deref_mut() {
                        jar.store(header.value);
                    }
                }
                14 if header.name.eq_ignore_ascii_case("content-length") => {
                    let length = std::str::from_utf8(header.value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                    let length = length.and_then(|text| text.parse().ok()).ok_or("the length of the body is no number")?;
                    if framing.length.is_some_and(|earlier| earlier != length) {
                        return Err("the answer has two different lengths");
                    }
                    framing.length = Some(length);
                }
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    let last = header.value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
                    framing.is_encoded = true;
                    framing.is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
                }
                19 => framing.is_fallback |= header.name.eq_ignore_ascii_case(FALLBACK_HEADER),
                _ => {}
            }
        }
        Ok(framing)
    }
}

fn not_http(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::TooManyHeaders => "the answer has too many headers",
        httparse::Error::Version => "the answer is not HTTP/1.1",
        _ => "what came is not HTTP",
    }
}

#[cfg(test)]
mod tests;
