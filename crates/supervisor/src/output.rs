//! Reads what a process prints: each line becomes an event, the last ones are kept for reports.

use std::collections::VecDeque;
use std::process::{ChildStderr, ChildStdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use crate::event::{Event, Publisher, Stream};
use crate::line::Lines;

const LAST_LINES_MAX: usize = 20;
const READ_BYTES: usize = 8 * 1024;
/// How long a child may be slowed down by a listener that has stopped listening, before its lines are dropped.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long a pipe may stay open after the group died: only a process that left the group can hold it.
const DRAIN: Duration = Duration::from_millis(250);

/// The last lines of one process, both streams together.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn get(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

/// The readers of one process's two pipes. Dropping it stops them.
#[derive(Debug)]
pub(crate) struct Output {
    readers: JoinSet<()>,
}

impl Output {
    pub(crate) fn read(
        stdout: ChildStdout,
        stderr: ChildStderr,
        instance: &str,
        last_lines: &LastLines,
        publisher: &Publisher,
    ) -> std::io::Result<Self> {
        let outlet = |stream| Outlet {
            instance: instance.to_owned(),
            stream,
            last_lines: last_lines.clone(),
            publisher: publisher.clone(),
            dropped: 0,
        };
        let mut readers = JoinSet::new();
        readers.spawn(read(tokio::process::ChildStdout::from_std(stdout)?, outlet(Stream::Stdout)));
        readers.spawn(read(tokio::process::ChildStderr::from_std(stderr)?, outlet(Stream::Stderr)));
        Ok(Self { readers })
    }

    /// Reads what is left, once the process is gone.
    pub(crate) async fn finish(mut self) {
        let all_read = async { while self.readers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all_read).await.is_err() {
            tracing::debug!("a process outside the instance's group still holds its output");
        }
    }
}

async fn read(mut pipe: impl AsyncRead + Unpin, mut outlet: Outlet) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; READ_BYTES];
    // A pipe that fails has nothing more to say: the same as its end.
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let mut bytes = &buffer[..length];
        while let Some(line) = lines.next_line(&mut bytes) {
            outlet.send(line).await;
        }
    }
    if let Some(line) = lines.finish() {
        outlet.send(line).await;
    }
    outlet.confess();
}

struct Outlet {
    instance: String,
    stream: Stream,
    last_lines: LastLines,
    publisher: Publisher,
    /// Lines dropped that the listener was not told of.
    dropped: u64,
}

impl Outlet {
    async fn send(&mut self, text: String) {
        self.last_lines.push(text.clone());
        match self.room().await {
            Some(room) => {
                self.confess();
                self.publisher.tell_line(Event::Line { instance: self.instance.clone(), stream: self.stream, text }, room);
            }
            None => self.dropped += 1,
        }
    }

    /// Patience is given once: while lines are being dropped, the next ones do not wait again.
    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        let room = self.publisher.try_room();
        if room.is_some() || self.dropped > 0 {
            return room;
        }
        tokio::time::timeout(PATIENCE, self.publisher.room()).await.ok()
    }

    fn confess(&mut self) {
        if self.dropped > 0 {
            self.publisher.tell(Event::LinesDropped { instance: self.instance.clone(), count: self.dropped });
            self.dropped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    fn outlet(publisher: &Publisher) -> Outlet {
        Outlet {
            instance: "api-1".to_owned(),
            stream: Stream::Stdout,
            last_lines: LastLines::default(),
            publisher: publisher.clone(),
            dropped: 0,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deaf_listener_costs_lines_not_the_child() {
        let (publisher, mut events) = event::channel();
        let outlet = outlet(&publisher);
        let last_lines = outlet.last_lines.clone();
        let printed: Vec<u8> = (0..5_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let begin = tokio::time::Instant::now();
        read(&printed[..], outlet).await;
        assert!(begin.elapsed() <= PATIENCE + Duration::from_millis(1), "waited once only: {:?}", begin.elapsed());
        assert_eq!(last_lines.get().len(), LAST_LINES_MAX);
        assert_eq!(last_lines.get()[LAST_LINES_MAX - 1], "4999");

        publisher.tell(Event::Stopped { instance: "api-1".to_owned() });
        drop(publisher);
        let (mut lines, mut dropped, mut stopped) = (0, 0, false);
        while let Some(event) = events.recv().await {
            match event {
                Event::Line { .. } => lines += 1,
                Event::LinesDropped { count, .. } => dropped += count,
                Event::Stopped { .. } => stopped = true,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(lines + dropped, 5_000);
        assert!(dropped > 0 && stopped, "life-cycle events get through");
    }

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_keeps_up_gets_every_line_in_order() {
        let (publisher, mut events) = event::channel();
        let printed: Vec<u8> = (0..5_000).flat_map(|number| format!("{number}\n").into_bytes()).collect();
        let outlet = outlet(&publisher);
        drop(publisher);
        let reader = read(&printed[..], outlet);
        let listener = async {
            for number in 0..5_000 {
                let Some(Event::Line { text, .. }) = events.recv().await else { panic!("a line was lost before {number}") };
                assert_eq!(text, number.to_string());
            }
        };
        tokio::join!(reader, listener);
    }
}
