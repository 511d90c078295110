//! What a service manager wants to hear (`sd_notify(3)`): that we are ready, reload, stop, live, or that somebody else is the service now.
//!
//! A datagram with a few words, so no crate is needed for it. Without a manager nothing is sent.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::config::Environment;

/// The way to the service manager, if there is one.
pub struct Systemd {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that we live.
    pub watchdog: Option<Duration>,
}

impl Systemd {
    pub fn of(environment: &Environment) -> Self {
        let text = |name| environment.get(name).and_then(OsStr::to_str);
        let is_meant = text("WATCHDOG_PID").is_none_or(|pid| pid.parse() == Ok(std::process::id()));
        let micros = text("WATCHDOG_USEC").and_then(|micros| micros.parse().ok()).filter(|micros| *micros > 0 && is_meant);
        Self {
            socket: environment.get("NOTIFY_SOCKET").and_then(connected),
            // Twice as often as it must be, as the manual page asks.
            watchdog: micros.map(|micros| Duration::from_micros(micros) / 2),
        }
    }

    /// It serves, whoever main process was before.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The settings are being read again; ends with [`Self::ready`].
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.cast_unsigned() * 1_000_000 + now.tv_nsec.cast_unsigned() / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    /// Another process is the service from now on: our end is not the service's.
    pub fn succeeded_by(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\nREADY=1"));
    }

    fn tell(&self, words: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(words.as_bytes())
        {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}

/// A path, or a name of the kernel's that begins with `@`.
fn connected(name: &OsStr) -> Option<UnixDatagram> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    };
    let connected = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    });
    connected.inspect_err(|error| tracing::warn!(%error, "NOTIFY_SOCKET leads nowhere")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_what_it_wants_to_know() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let own = std::process::id().to_string();
        let told = |pid: &str| {
            let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", pid)];
            Systemd::of(&Environment::of(variables))
        };
        let systemd = told(&own);
        systemd.ready();
        systemd.reloading();
        systemd.succeeded_by(7);
        systemd.stopping();
        let heard = || {
            let mut bytes = [0; 100];
            let length = manager.recv(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        assert_eq!(heard(), "READY=1");
        let reloading = heard();
        let micros = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 1_000_000, "{reloading}");
        assert_eq!(heard(), "MAINPID=7\nREADY=1");
        assert_eq!(heard(), "STOPPING=1");
        assert_eq!(systemd.watchdog, Some(Duration::from_secs(1)));
        assert_eq!(told("1").watchdog, None, "that was meant for another process");
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let systemd = Systemd::of(&Environment::default());
        systemd.ready();
        assert_eq!(systemd.watchdog, None);
    }
}
