//! Three encoders with one face: bytes go in, bytes come out, at once where that is asked for.

use brotli::enc::StandardAlloc;
use brotli::enc::encode::{BrotliEncoderOperation as Brotli, BrotliEncoderParameter, BrotliEncoderStateStruct};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress};
use plimsoll_policy::content_coding::Coding;
use zstd_safe::zstd_sys::ZSTD_EndDirective as Zstd;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use super::Length;

/// How hard each encoder tries. Higher is smaller and slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    pub zstd: u32,
    pub brotli: u32,
    pub gzip: u32,
}

/// How far back repetitions are looked for, as a power of two: more costs memory for every answer under way and gains little.
const WINDOW_LOG: u32 = 18;
/// The window of deflate is never larger.
const GZIP_WINDOW_LOG: u8 = 15;
/// What is asked of an encoder at a time.
const OUTPUT_BYTES: usize = 8 * 1024;

/// A stream in the making.
pub(super) enum Encoder {
    Zstd(CCtx<'static>),
    Brotli(Box<BrotliEncoderStateStruct<StandardAlloc>>),
    Gzip(Box<Compress>),
}

/// What the encoder is asked to do besides taking the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoOn,
    /// Nothing may stay inside: the reader waits for it.
    Flush,
    Finish,
}

/// The encoder had no place for its memory, or has a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failed;

impl Encoder {
    /// An encoder for little takes little memory.
    pub(super) fn new(coding: Coding, levels: Levels, length: Length) -> Self {
        let length = match length {
            Length::Known(length) => Some(length),
            Length::Unknown => None,
        };
        match coding {
            Coding::Zstd => {
                let mut context = CCtx::create();
                for parameter in [CParameter::CompressionLevel(levels.zstd as i32), CParameter::WindowLog(WINDOW_LOG)] {
                    context.set_parameter(parameter).expect("settings keep to the bounds of the library");
                }
                context.set_pledged_src_size(length).expect("a stream that has not begun takes it");
                Self::Zstd(context)
            }
            Coding::Brotli => {
                let mut state = BrotliEncoderStateStruct::new(StandardAlloc::default());
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_QUALITY, levels.brotli);
                let window_log = length.map_or(WINDOW_LOG, |length| length.max(1).ilog2() + 1).clamp(10, WINDOW_LOG);
                state.set_parameter(BrotliEncoderParameter::BROTLI_PARAM_LGWIN, window_log);
                Self::Brotli(Box::new(state))
            }
            Coding::Gzip => Self::Gzip(Box::new(Compress::new_gzip(Compression::new(levels.gzip), GZIP_WINDOW_LOG))),
        }
    }

    /// All of a short body.
    pub(super) fn whole(mut self, input: &[u8]) -> Bytes {
        let mut output = Vec::with_capacity(input.len() / 2 + 64);
        self.run(input, Then::Finish, &mut output).expect("a new encoder takes a short body");
        output.into()
    }

    /// Takes some input; what comes out of it may come later.
    pub(super) fn write(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Failed> {
        self.run(input, Then::GoOn, output)
    }

    /// Gives out all that was taken.
    pub(super) fn flush(&mut self, output: &mut Vec<u8>) -> Result<(), Failed> {
        self.run(&[], Then::Flush, output)
    }

    pub(super) fn finish(&mut self, output: &mut Vec<u8>) -> Result<(), Failed> {
        self.run(&[], Then::Finish, output)
    }

    fn run(&mut self, input: &[u8], then: Then, output: &mut Vec<u8>) -> Result<(), Failed> {
        match self {
            Self::Zstd(context) => zstd(context, input, then, output),
            Self::Brotli(state) => brotli(state, input, then, output),
            Self::Gzip(state) => gzip(state, input, then, output),
        }
    }
}

fn zstd(context: &mut CCtx<'static>, input: &[u8], then: Then, output: &mut Vec<u8>) -> Result<(), Failed> {
    let directive = match then {
        Then::GoOn => Zstd::ZSTD_e_continue,
        Then::Flush => Zstd::ZSTD_e_flush,
        Then::Finish => Zstd::ZSTD_e_end,
    };
    let length = input.len();
    let mut input = InBuffer::around(input);
    loop {
        output.reserve(OUTPUT_BYTES);
        let position = output.len();
        let left = context.compress_stream2(&mut OutBuffer::around_pos(output, position), &mut input, directive).map_err(|_| Failed)?;
        let all_taken = input.pos() == length;
        if all_taken && (then == Then::GoOn || left == 0) {
            return Ok(());
        }
    }
}

fn brotli(state: &mut BrotliEncoderStateStruct<StandardAlloc>, input: &[u8], then: Then, output: &mut Vec<u8>) -> Result<(), Failed> {
    let operation = || match then {
        Then::GoOn => Brotli::BROTLI_OPERATION_PROCESS,
        Then::Flush => Brotli::BROTLI_OPERATION_FLUSH,
        Then::Finish => Brotli::BROTLI_OPERATION_FINISH,
    };
    let (mut taken, mut left) = (0, input.len());
    let mut piece = [0; OUTPUT_BYTES];
    loop {
        let (mut given, mut room) = (0, piece.len());
        let worked = state.compress_stream(
            operation(),
            &mut left,
            input,
            &mut taken,
            &mut room,
            &mut piece,
            &mut given,
            &mut None,
            &mut |_, _, _, _| (),
        );
        if !worked {
            return Err(Failed);
        }
        output.extend_from_slice(&piece[..given]);
        if left == 0 && !state.has_more_output() {
            return Ok(());
        }
    }
}

fn gzip(state: &mut Compress, input: &[u8], then: Then, output: &mut Vec<u8>) -> Result<(), Failed> {
    let flush = match then {
        Then::GoOn => FlushCompress::None,
        Then::Flush => FlushCompress::Sync,
        Then::Finish => FlushCompress::Finish,
    };
    let begun = state.total_in();
    loop {
        output.reserve(OUTPUT_BYTES);
        let taken = (state.total_in() - begun) as usize;
        let status = state.compress_vec(&input[taken..], output, flush).map_err(|_| Failed)?;
        let all_taken = (state.total_in() - begun) as usize == input.len();
        // Room that was not used means that nothing is left inside.
        let is_done = match then {
            Then::Finish => status == flate2::Status::StreamEnd,
            Then::GoOn | Then::Flush => all_taken && output.len() < output.capacity(),
        };
        if is_done {
            return Ok(());
        }
    }
}
