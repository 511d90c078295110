//! How a run goes, on standard error: a bar that moves on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plimsoll_load::Progress;
use plimsoll_load::report::format;
use plimsoll_load::search::stepper::Watcher;
use rustix::termios::tcgetwinsize;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

const DRAW_EVERY: Duration = Duration::from_millis(250);
/// Where nobody sees a bar move, a line every so many draws.
const PLAIN_EVERY: u32 = 40;
const BAR_WIDTH: usize = 18;
/// When the terminal does not say.
const COLUMNS: usize = 80;

pub(super) struct Live {
    is_terminal: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<(String, watch::Receiver<Progress>)>,
    /// A bar stands on the last line.
    is_drawn: bool,
    draws: u32,
}

impl Live {
    pub(super) fn new() -> Self {
        Self { is_terminal: io::stderr().is_terminal(), state: Mutex::default() }
    }

    /// Shows how it goes until `work` is done.
    pub(super) async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                done = &mut work => {
                    self.with(|state, out| state.clear(out));
                    return done;
                }
                _ = ticks.tick() => self.with(|state, out| state.draw(out, self.is_terminal)),
            }
        }
    }

    /// Standard error may be gone: then nobody wants to know.
    fn with(&self, show: impl FnOnce(&mut State, &mut io::StderrLock<'_>) -> io::Result<()>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = show(&mut state, &mut io::stderr().lock());
    }
}

impl Watcher for Live {
    fn begins(&self, title: &str) -> watch::Sender<Progress> {
        let (sender, receiver) = watch::channel(Progress::default());
        self.with(|state, _| {
            state.current = Some((title.to_owned(), receiver));
            state.draws = 0;
            Ok(())
        });
        sender
    }

    fn found(&self, line: &str) {
        self.with(|state, out| {
            state.clear(out)?;
            writeln!(out, "{}", format::printable(line))
        });
    }
}

impl State {
    fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if std::mem::take(&mut self.is_drawn) { out.write_all(b"\r\x1b[2K") } else { Ok(()) }
    }

    fn draw(&mut self, out: &mut impl Write, is_terminal: bool) -> io::Result<()> {
        let Some((title, progress)) = &self.current else { return Ok(()) };
        let progress = progress.borrow().clone();
        self.draws += 1;
        if !is_terminal {
            let is_due = self.draws.is_multiple_of(PLAIN_EVERY);
            return if is_due { writeln!(out, "{title}  {}", figures(&progress)) } else { Ok(()) };
        }
        let columns = tcgetwinsize(io::stderr()).map_or(COLUMNS, |size| usize::from(size.ws_col).max(20));
        let line: String = format!("{title}  {} {}", bar(&progress), figures(&progress)).chars().take(columns - 1).collect();
        self.is_drawn = true;
        write!(out, "\r\x1b[2K{line}")?;
        out.flush()
    }
}

fn bar(progress: &Progress) -> String {
    let share = progress.elapsed.as_secs_f64() / progress.lasts.as_secs_f64().max(0.001);
    let full = ((share * BAR_WIDTH as f64).round() as usize).min(BAR_WIDTH);
    format!("{}{}", "━".repeat(full), "╌".repeat(BAR_WIDTH - full))
}

fn figures(progress: &Progress) -> String {
    let left = progress.lasts.saturating_sub(progress.elapsed).as_secs_f64().ceil();
    let span = progress.recent.spans.as_secs_f64().max(0.001);
    let quantile = |quantile| format::latency_or_dash(progress.recent.latency.quantile(quantile).map(|latency| latency.as_secs_f64()));
    let ended = progress.good + progress.failed;
    let errors = if ended == 0 { 0.0 } else { progress.failed as f64 / ended as f64 };
    let offered = progress.offered_rate.map_or_else(String::new, |rate| format!(" of {}/s", format::rate(rate)));
    format!(
        "{} left  {}/s good{offered}  p50 {}  p99 {}  {} errors",
        format::time(left),
        format::rate(progress.recent.good as f64 / span),
        quantile(0.5),
        quantile(0.99),
        format::share(errors),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (State, watch::Sender<Progress>) {
        let (sender, receiver) =
            watch::channel(Progress { elapsed: Duration::from_secs(5), lasts: Duration::from_secs(20), ..Progress::default() });
        (State { current: Some(("load".to_owned(), receiver)), ..State::default() }, sender)
    }

    #[test]
    fn a_terminal_gets_one_line_that_is_cleared_before_others() {
        let (mut state, _sender) = state();
        let mut out = Vec::new();
        state.draw(&mut out, true).unwrap();
        state.clear(&mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.starts_with("\r\x1b[2Kload  ━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌ 15 s left"), "{shown:?}");
        assert!(shown.ends_with("\r\x1b[2K") && !shown.contains('\n'), "{shown:?}");
    }

    #[test]
    fn elsewhere_a_plain_line_comes_every_ten_seconds() {
        let (mut state, _sender) = state();
        let mut out = Vec::new();
        for _ in 0..2 * PLAIN_EVERY {
            state.draw(&mut out, false).unwrap();
        }
        let shown = String::from_utf8(out).unwrap();
        assert_eq!(shown.lines().count(), 2);
        assert!(!shown.contains('\x1b'), "{shown:?}");
    }
}
