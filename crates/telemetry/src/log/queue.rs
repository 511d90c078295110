//! The queue between those who log and the thread that writes.
//!
//! Policy: logging must never hold up a request, so nobody waits for a full queue. At most 4,096 lines wait, of at most 32 KiB each;
//! a line that finds no room, or is longer, is dropped and counted, and a warning with the count takes its place when there is room again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, SystemTime};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime as Rfc3339};

use super::Format;
use super::pretty::TimeOfDay;

const LINES_MAX: usize = 4_096;
const LINE_BYTES_MAX: usize = 32 * 1024;
/// Lines that wait together are written together, up to this size: one system call instead of many.
const BATCH_BYTES: usize = 64 * 1024;
/// How long the end of the process waits for a reader that no longer reads.
const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// Where log lines are put: cheap to copy, never blocks.
#[derive(Clone)]
pub(super) struct Lines {
    queue: SyncSender<Vec<u8>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    closing: AtomicBool,
}

/// Keeps the log writer alive; dropping it writes out what is queued, for at most a second.
#[must_use = "lines still queued are lost without it"]
pub struct Guard {
    lines: Lines,
    /// Hangs up when the thread has ended.
    done: Receiver<()>,
}

/// Starts the thread that writes to `output`.
pub(super) fn start(output: impl Write + Send + 'static, format: Format) -> io::Result<(Lines, Guard)> {
    let (queue, lines) = sync_channel(LINES_MAX);
    let (done_sender, done) = sync_channel(0);
    let shared = Arc::new(Shared::default());
    let thread = Thread { lines, shared: Arc::clone(&shared), output, format, reported: 0 };
    std::thread::Builder::new().name("log".into()).spawn(move || {
        thread.run();
        drop(done_sender);
    })?;
    let lines = Lines { queue, shared };
    Ok((lines.clone(), Guard { lines, done }))
}

impl Guard {
    /// Lines that found no room, since the start.
    pub fn dropped_total(&self) -> u64 {
        self.lines.shared.dropped.load(Relaxed)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.lines.shared.closing.store(true, Release);
        // An empty line only wakes the thread; if the queue is full it is awake anyway.
        let _ = self.lines.queue.try_send(Vec::new());
        let _ = self.done.recv_timeout(FLUSH_TIME_MAX);
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Lines;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// Called once per line: the formatter hands over whole lines.
impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() > LINE_BYTES_MAX || self.queue.try_send(line.to_vec()).is_err() {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Thread<W> {
    lines: Receiver<Vec<u8>>,
    shared: Arc<Shared>,
    output: W,
    format: Format,
    /// Of the dropped lines, how many were told of.
    reported: u64,
}

impl<W: Write> Thread<W> {
    fn run(mut self) {
        while let Ok(line) = self.lines.recv() {
            self.write_with_followers(line);
            // Read after the line was taken: whoever closes does so before the line that wakes this thread.
            if self.shared.closing.load(Acquire) {
                while let Ok(line) = self.lines.try_recv() {
                    self.write_with_followers(line);
                }
                return;
            }
        }
    }

    fn write_with_followers(&mut self, mut batch: Vec<u8>) {
        while batch.len() < BATCH_BYTES {
            let Ok(line) = self.lines.try_recv() else { break };
            batch.extend(line);
        }
        self.report_dropped(&mut batch);
        // Standard error is where a failure would be reported: if it is gone, there is nobody to tell.
        let _ = self.output.write_all(&batch);
    }

    fn report_dropped(&mut self, batch: &mut Vec<u8>) {
        let dropped = self.shared.dropped.load(Relaxed);
        let lines = dropped - self.reported;
        if lines == 0 {
            return;
        }
        self.reported = dropped;
        let line = match self.format {
            Format::Pretty => {
                let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                format!("{} WARN  log lines were dropped lines={lines}\n", TimeOfDay(time.as_millis() as u64))
            }
            Format::Json => {
                let mut timestamp = String::new();
                Rfc3339.format_time(&mut Writer::new(&mut timestamp)).expect("writing to a string does not fail");
                format!(r#"{{"timestamp":"{timestamp}","level":"WARN","message":"log lines were dropped","lines":{lines}}}"#) + "\n"
            }
        };
        batch.extend(line.into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Blocks in its first write until told to go on, then collects.
    struct Stuck {
        go: Option<Receiver<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(go) = self.go.take() {
                let _ = go.recv();
            }
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_not_time_and_is_told() {
        let (release, go) = sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (lines, guard) = start(Stuck { go: Some(go), written: Arc::clone(&written) }, Format::Json).unwrap();
        // More than the queue and the batch in the thread's hand can hold.
        let sent = LINES_MAX as u64 * 4;
        for number in 0..sent {
            (&lines).write_all(format!("{{\"number\":{number}}}\n").as_bytes()).unwrap();
        }
        let dropped = guard.dropped_total();
        assert!(dropped >= LINES_MAX as u64, "{dropped}");
        release.send(()).unwrap();
        drop(guard);

        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let told: u64 = objects.iter().filter_map(|object| object["lines"].as_u64()).sum();
        let kept = objects.iter().filter(|object| object["number"].is_u64()).count() as u64;
        assert_eq!(told, dropped);
        assert_eq!(kept + told, sent);
    }

    #[test]
    fn the_end_does_not_wait_for_ever() {
        let (_held, go) = sync_channel(1);
        let (lines, guard) = start(Stuck { go: Some(go), written: Arc::default() }, Format::Pretty).unwrap();
        (&lines).write_all(b"last words\n").unwrap();
        let started = std::time::Instant::now();
        drop(guard);
        assert!(started.elapsed() < FLUSH_TIME_MAX * 5);
    }

    #[test]
    fn a_line_beyond_the_bound_is_dropped_and_counted() {
        let (lines, guard) = start(io::sink(), Format::Pretty).unwrap();
        (&lines).write_all(&vec![b'x'; LINE_BYTES_MAX + 1]).unwrap();
        assert_eq!(guard.dropped_total(), 1);
    }
}
