//! Frames that cost their sender next to nothing, counted as they come.
//!
//! The `h2` crate bounds what a client can make it keep: headers, CONTINUATION, streams that were reset before anybody looked at them. It does
//! not bound how often a client may ask for a PING's answer, change its settings, open windows or reset what it has just asked for
//! (CVE-2023-44487, CVE-2019-9512, -9513, -9515, -9518). Here every frame but one with data takes from an allowance. It comes back with
//! time, and with what is written to the client: whoever is sent much has windows to open, and an answer pays for its request.

use std::time::Duration;

use tokio::time::Instant;

const HEAD_BYTES: usize = 9;
/// What comes before the first frame (RFC 9113, section 3.4).
const PREFACE_BYTES: u32 = 24;

/// All in bytes written to the client, which are what pays.
const ALLOWANCE: u32 = 64 * 1024;
const FRAME_COST: u32 = 32;
/// Work has been begun for what is reset. The allowance is enough for a browser that leaves two pages, with all their streams, in a second.
const RESET_COST: u32 = 256;
const COMES_BACK_AFTER: Duration = Duration::from_secs(1);

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;

/// Looks at the bytes of one connection as they are read and written.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: u32,
    full_at: Instant,
    /// The head of the next frame, as far as it is here.
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// Of the present frame's payload, still to come.
    payload_bytes: u32,
    is_used_up: bool,
    is_told: bool,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self {
            left: ALLOWANCE,
            full_at: Instant::now(),
            head: [0; HEAD_BYTES],
            head_bytes: 0,
            payload_bytes: PREFACE_BYTES,
            is_used_up: false,
            is_told: false,
        }
    }

    pub(crate) fn is_used_up(&self) -> bool {
        self.is_used_up
    }

    /// True once, when it has been used up.
    pub(super) fn runs_out(&mut self) -> bool {
        !std::mem::replace(&mut self.is_told, self.is_used_up) && self.is_used_up
    }

    /// These bytes came next.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_bytes > 0 {
                let count = bytes.len().min(self.payload_bytes as usize);
                self.payload_bytes -= count as u32;
                bytes = &bytes[count..];
                continue;
            }
            let count = bytes.len().min(HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..self.head_bytes + count].copy_from_slice(&bytes[..count]);
            self.head_bytes += count;
            bytes = &bytes[count..];
            if self.head_bytes == HEAD_BYTES {
                self.head_bytes = 0;
                self.payload_bytes = u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]]);
                self.spend(cost(self.head[3], self.payload_bytes));
            }
        }
    }

    /// This many bytes left for the client.
    pub(crate) fn wrote(&mut self, count: usize) {
        let count = u32::try_from(count).unwrap_or(ALLOWANCE);
        self.left = self.left.saturating_add(count).min(ALLOWANCE);
    }

    fn spend(&mut self, cost: u32) {
        if let Some(left) = self.left.checked_sub(cost) {
            self.left = left;
            return;
        }
        // The only look at the clock: once in thousands of frames.
        let now = Instant::now();
        if now.duration_since(self.full_at) < COMES_BACK_AFTER {
            self.is_used_up = true;
            return;
        }
        self.full_at = now;
        self.left = ALLOWANCE - cost;
    }
}

/// What fuzzers compare with.
#[cfg(any(test, feature = "fuzzing"))]
impl Allowance {
    pub(crate) const BYTES: u32 = ALLOWANCE;

    /// After the preface.
    pub(crate) fn begun() -> Self {
        Self { payload_bytes: 0, ..Self::new() }
    }

    pub(crate) fn cost(kind: u8, payload_bytes: u32) -> u32 {
        cost(kind, payload_bytes)
    }
}

fn cost(kind: u8, payload_bytes: u32) -> u32 {
    match kind {
        DATA if payload_bytes > 0 => 0,
        RST_STREAM => RESET_COST,
        _ => FRAME_COST,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::advance;

    use super::*;

    const HEADERS: u8 = 1;
    const PING: u8 = 6;
    const WINDOW_UPDATE: u8 = 8;

    fn frame(kind: u8, payload_bytes: usize) -> Vec<u8> {
        let length = u32::try_from(payload_bytes).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD_BYTES + payload_bytes, 0xff);
        frame
    }

    fn begun() -> Allowance {
        let mut allowance = Allowance::new();
        allowance.read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!((allowance.left, allowance.payload_bytes), (ALLOWANCE, 0));
        allowance
    }

    /// How many of these frames come before it is too many, if `written` bytes are written after each.
    fn lasts(frames: &[Vec<u8>], written: usize) -> usize {
        let mut allowance = begun();
        for count in 0..100_000 {
            for frame in frames {
                allowance.read(frame);
            }
            allowance.wrote(written);
            if allowance.is_used_up() {
                return count;
            }
        }
        usize::MAX
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_noticed_within_a_second_and_honest_use_is_not() {
        let request = [frame(HEADERS, 40), frame(DATA, 10), frame(DATA, 0)];
        for (what, frames, written) in [
            ("pings and their answers", &[frame(PING, 8)][..], 17),
            ("settings and their answers", &[frame(4, 6)], 9),
            ("priorities", &[frame(2, 5)], 0),
            ("windows that nobody needs", &[frame(WINDOW_UPDATE, 4)], 0),
            ("unknown frames", &[frame(0xbe, 0)], 0),
            ("empty data", &[frame(DATA, 0)], 0),
            ("streams beyond the maximum, and their refusals", &[frame(HEADERS, 20)], 13),
            ("requests that are taken back at once", &[frame(HEADERS, 20), frame(RST_STREAM, 4)], 0),
        ] {
            assert!(lasts(frames, written) < 5_000, "{what}");
        }
        assert!(lasts(&[frame(HEADERS, 20), frame(RST_STREAM, 4)], 0) >= 2 * 100, "two pages of a browser");
        for (what, frames, written) in [
            ("requests with bodies and short answers", &request[..], 90),
            ("an upload", &[frame(DATA, 1_000)], 0),
            ("a download", &[frame(WINDOW_UPDATE, 4), frame(WINDOW_UPDATE, 4)], 16_384),
        ] {
            assert_eq!(lasts(frames, written), usize::MAX, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pings_now_and_then_may_go_on_for_days() {
        let mut allowance = begun();
        for _ in 0..100_000 {
            allowance.read(&frame(PING, 8));
            advance(Duration::from_secs(10)).await;
        }
        assert!(!allowance.is_used_up());
    }

    proptest! {
        /// However the bytes are cut, the same frames are seen.
        #[test]
        fn frames_are_found_wherever_reads_end(
            frames in prop::collection::vec((0_u8..10, 0_usize..50), 1..60),
            cuts in prop::collection::vec(1_usize..40, 1..20),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, length)| frame(*kind, *length)).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _guard = runtime.enter();
            let (mut whole, mut in_pieces) = (begun(), begun());
            whole.read(&bytes);
            let (mut rest, mut cuts) = (&bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                in_pieces.read(piece);
                rest = after;
            }
            let spent: u32 = frames.iter().map(|(kind, length)| cost(*kind, *length as u32)).sum();
            prop_assert_eq!(whole.left, in_pieces.left);
            prop_assert_eq!(whole.left, ALLOWANCE - spent);
        }
    }
}
