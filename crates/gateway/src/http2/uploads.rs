//! How much a client may send before anybody takes it.
//!
//! Every stream has a window, and all of them share the connection's. Were that small, a few uploads to an instance that has stalled would close
//! it for all others, which would then seem to say nothing; were it as large as all windows together, a client could have us keep 32 MiB. So a
//! stream's window depends on how many are sending: a few have wide ones, and with each doubling of their number all get half. However the
//! number changes, what all of them may have sent fits into the connection's window once the client has heard of the change.

use std::rc::Rc;

use bytes::Bytes;
use h2::server::Connection;

use super::io::Io;

const FEW: u32 = 4;
/// Where few are sending.
pub(super) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const STREAM_WINDOW_BYTES_MIN: u32 = 16 * 1024;
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// The window of each stream where so many are sending.
fn window(streams: u32) -> u32 {
    (FEW * STREAM_WINDOW_BYTES / streams.max(1).next_power_of_two()).clamp(STREAM_WINDOW_BYTES_MIN, STREAM_WINDOW_BYTES)
}

/// The streams of a connection that are sending.
pub(super) struct Uploads {
    sending: Rc<()>,
    /// As the client was last told.
    window: u32,
    /// Another one is wanted: the client has not acknowledged the last change, and only one may be under way.
    waits: bool,
}

impl Uploads {
    pub(super) fn new() -> Self {
        Self { sending: Rc::new(()), window: STREAM_WINDOW_BYTES, waits: false }
    }

    /// One more, until what is returned is dropped.
    pub(super) fn begins(&mut self, connection: &mut Connection<Io, Bytes>) -> Rc<()> {
        let one = Rc::clone(&self.sending);
        self.adapts(connection);
        one
    }

    /// Tries again what had to wait. True if there is something to tell the client now.
    pub(super) fn catches_up(&mut self, connection: &mut Connection<Io, Bytes>) -> bool {
        self.waits && self.adapts(connection)
    }

    fn adapts(&mut self, connection: &mut Connection<Io, Bytes>) -> bool {
        let streams = Rc::strong_count(&self.sending) - 1;
        let window = window(streams as u32);
        // Wider ones can wait until it is worth saying.
        let is_wanted = window < self.window || window >= 4 * self.window;
        let is_told = is_wanted && connection.set_initial_window_size(window).is_ok();
        self.waits = is_wanted && !is_told;
        if is_told {
            self.window = window;
        }
        is_told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_shrink_with_each_doubling_and_together_fit_into_that_of_the_connection() {
        let windows = [1, 4, 5, 8, 9, 16, 17, 32, 33, 128].map(|streams| window(streams) / 1024);
        assert_eq!(windows, [256, 256, 128, 128, 64, 64, 32, 32, 16, 16]);
        // As many as filled theirs before the next came, which is the most that can be unread.
        assert!((1..=super::super::STREAMS_MAX).map(window).sum::<u32>() <= CONNECTION_WINDOW_BYTES);
    }
}
