//! Being told to stop (Ctrl-C, SIGTERM) or to read the settings again (SIGHUP).

use std::future::pending;
use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Stop,
    Reload,
}

/// Listens from the moment it is made, so that no signal takes the default way out.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None`: it takes the default way out.
    hang_up: Option<Signal>,
    had_terminal: bool,
    /// Came while only an order to stop was waited for.
    reload_is_due: bool,
}

impl Signals {
    /// For what can only be told to stop.
    pub fn listen() -> io::Result<Self> {
        let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()];
        Ok(Self {
            interrupt: signal(interrupt)?,
            terminate: signal(terminate)?,
            hang_up: None,
            had_terminal: io::stderr().is_terminal(),
            reload_is_due: false,
        })
    }

    /// For what has settings to read again, too.
    pub fn listen_to_all() -> io::Result<Self> {
        Ok(Self { hang_up: Some(signal(SignalKind::hangup())?), ..Self::listen()? })
    }

    /// The next order. One that nobody had time for comes first.
    pub async fn next(&mut self) -> Told {
        if std::mem::take(&mut self.reload_is_due) { Told::Reload } else { self.told().await }
    }

    /// The next order to stop. Others are kept for later.
    pub async fn stop(&mut self) {
        while self.told().await != Told::Stop {
            self.reload_is_due = true;
        }
    }

    async fn told(&mut self) -> Told {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => drop(hang_up.recv().await),
                None => pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.terminate.recv() => Told::Stop,
            () = hang_up => self.hung_up(),
        }
    }

    /// The same signal says that the terminal is gone, and by then it is none any more: whoever closes a window wants what runs in it to end.
    fn hung_up(&self) -> Told {
        if self.had_terminal && !io::stderr().is_terminal() { Told::Stop } else { Told::Reload }
    }
}
