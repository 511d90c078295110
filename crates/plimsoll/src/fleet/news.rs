//! What the fleet says while it runs: the instances' own lines, and what happens to them.
//!
//! Printing has a thread of its own: a terminal that stands still must not hold up probes or the operator's pages.

use std::collections::BTreeSet;
use std::io::{self, Write};

use anyhow::Context;
use plimsoll_supervisor::{Event, Events, Stream};
use tokio::sync::mpsc;

use super::start_failed;
use crate::report::Failure;

/// How the first start ended.
pub enum News {
    /// Something is ready, and everything has been or is known to be in trouble.
    Up,
    Failed(Failure),
}

/// What the printing thread passes on about the first start.
enum Word {
    Ready(String),
    Troubled(String),
    Failed(Failure),
}

/// More words than instances there are at a first start would be news to nobody.
const WORDS_MAX: usize = 1024;

pub struct Reporter(mpsc::Receiver<Word>);

impl Reporter {
    pub fn start(mut events: Events) -> Result<Self, Failure> {
        let (words, heard) = mpsc::channel(WORDS_MAX);
        let runtime = tokio::runtime::Builder::new_current_thread().build().context("cannot start the printing thread")?;
        let print_all = move || {
            runtime.block_on(async {
                while let Some(event) = events.recv().await {
                    print(&event);
                    if let Some(word) = word(event) {
                        // Nobody listens any more once the first start is over.
                        let _ = words.try_send(word);
                    }
                }
            });
        };
        std::thread::Builder::new().name("print".to_owned()).spawn(print_all).context("cannot start the printing thread")?;
        Ok(Self(heard))
    }

    /// Waits until the fleet is up, or cannot be.
    pub async fn first_start(&mut self, ids: &[String]) -> News {
        let (mut ready, mut troubled) = (BTreeSet::new(), BTreeSet::new());
        while let Some(word) = self.0.recv().await {
            match word {
                Word::Ready(id) => drop(ready.insert(id)),
                Word::Troubled(id) => drop(troubled.insert(id)),
                Word::Failed(failure) => return News::Failed(failure),
            }
            if !ready.is_empty() && ids.iter().all(|id| ready.contains(id) || troubled.contains(id)) {
                return News::Up;
            }
        }
        News::Failed(Failure::failed(anyhow::anyhow!("the fleet ended")))
    }
}

fn word(event: Event) -> Option<Word> {
    match event {
        Event::Ready { instance, .. } => Some(Word::Ready(instance)),
        Event::CrashLooping { instance, .. } | Event::NeverReady { instance, .. } => Some(Word::Troubled(instance)),
        Event::StartFailed { instance, status, last_lines, hint } => {
            Some(Word::Failed(start_failed(&instance, &status, &last_lines, hint)))
        }
        _ => None,
    }
}

/// Writes for people; a closed terminal is no reason to stop serving.
pub fn say(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

fn print(event: &Event) {
    match event {
        Event::Line { instance, stream: Stream::Stdout, text } => {
            let _ = writeln!(io::stdout().lock(), "{instance} | {text}");
        }
        Event::Line { instance, stream: Stream::Stderr, text } => {
            let _ = writeln!(io::stderr().lock(), "{instance} | {text}");
        }
        Event::LinesDropped { instance, count } => {
            tracing::warn!(instance.id = instance, count, "lines were dropped: nobody reads them fast enough");
        }
        Event::Started { instance, pid, address, .. } => {
            tracing::info!(instance.id = instance, process.pid = pid, %address, "instance started");
        }
        Event::Ready { instance, after } => {
            tracing::info!(instance.id = instance, after_ms = after.as_millis() as u64, "instance ready");
        }
        Event::Exited { instance, status, restart_in: Some(wait) } => {
            tracing::warn!(instance.id = instance, status, restart_in_ms = wait.as_millis() as u64, "instance died");
        }
        Event::Exited { instance, status, restart_in: None } => {
            tracing::info!(instance.id = instance, status, "instance ended");
        }
        Event::CrashLooping { instance, times, status, last_lines, hint } => {
            let (last_lines, hint) = (last_lines.join("\n"), hint.as_deref().unwrap_or_default());
            tracing::error!(instance.id = instance, times, status, last_lines, hint, "instance keeps dying");
        }
        Event::NeverReady { instance, after, last_lines, hint } => {
            let last_lines = last_lines.join("\n");
            tracing::error!(instance.id = instance, after_ms = after.as_millis() as u64, last_lines, hint, "instance did not get ready");
        }
        Event::StartFailed { instance, status, .. } => {
            tracing::error!(instance.id = instance, status, "nothing could be started");
        }
        Event::Stopped { instance } => {
            tracing::info!(instance.id = instance, "instance stopped");
        }
    }
}
