//! What a decoder makes of coded bytes, as far as they go.

use std::io::Read;

use plimsoll_policy::content_coding::Coding;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

const PIECE_BYTES: usize = 4 * 1024;

pub(crate) fn decoded(coding: Coding, coded: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Zstd => zstd(coded),
        Coding::Brotli => drained(brotli::Decompressor::new(coded, PIECE_BYTES)),
        Coding::Gzip => drained(flate2::read::GzDecoder::new(coded)),
    }
}

/// Everything up to the end, or to where the coded bytes break off.
fn drained(mut decoder: impl Read) -> Vec<u8> {
    let (mut plain, mut piece) = (Vec::new(), [0; PIECE_BYTES]);
    while let Ok(count @ 1..) = decoder.read(&mut piece) {
        plain.extend_from_slice(&piece[..count]);
    }
    plain
}

fn zstd(coded: &[u8]) -> Vec<u8> {
    let (mut context, mut plain) = (DCtx::create(), Vec::new());
    let mut input = InBuffer::around(coded);
    loop {
        plain.reserve(PIECE_BYTES);
        let before = plain.len();
        context.decompress_stream(&mut OutBuffer::around_pos(&mut plain, before), &mut input).unwrap();
        if input.pos() == coded.len() && plain.len() == before {
            return plain;
        }
    }
}
