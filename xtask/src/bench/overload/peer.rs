//! Who stands in front of the app: nobody, a proxy as installed, a proxy tuned by hand for this app, or Plimsoll without configuration.

use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::super::server::{Server, free_port, plimsoll, write_config};
use super::app::{self, App, Database};
use super::http;
use crate::workspace;

/// A way to put an app on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Peer {
    Bare,
    Nginx,
    NginxLimitConn,
    NginxLimitReq,
    Haproxy,
    HaproxyMaxconn,
    Plimsoll,
}

/// An app with somebody in front of it. Both are started afresh, since an app that was overloaded goes on working for those who left.
pub(super) struct Rig {
    /// Where the load goes.
    pub port: u16,
    /// Ended in this order: whoever stands in front first.
    front: Option<Server>,
    app: Option<Server>,
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Nginx => "nginx",
            Self::NginxLimitConn => "nginx limit_conn",
            Self::NginxLimitReq => "nginx limit_req",
            Self::Haproxy => "haproxy",
            Self::HaproxyMaxconn => "haproxy maxconn",
            Self::Plimsoll => "plimsoll",
        }
    }

    fn config(self) -> Option<&'static str> {
        match self {
            Self::Bare | Self::Plimsoll => None,
            Self::Nginx => Some("nginx.conf"),
            Self::NginxLimitConn => Some("nginx-limit-conn.conf"),
            Self::NginxLimitReq => Some("nginx-limit-req.conf"),
            Self::Haproxy => Some("haproxy.cfg"),
            Self::HaproxyMaxconn => Some("haproxy-maxconn.cfg"),
        }
    }

    /// Starts `app` and whoever stands in front. `limit` is what the app was measured to answer per second.
    pub(super) fn start(self, app: App, limit: f64, database: Option<&Database>) -> Result<Rig> {
        let port = free_port()?;
        if self == Self::Plimsoll {
            let front = run_behind_plimsoll(app, port, database)?;
            return Ok(Rig { port, front: Some(front), app: None });
        }
        let Some(config) = self.config() else {
            return Ok(Rig { port, front: None, app: Some(app.start(port, database)?) });
        };
        let behind = app.start(free_port()?, database)?;
        let front = start_proxy(self.name(), config, port, app, behind.port, limit)?;
        Ok(Rig { port, front: Some(front), app: Some(behind) })
    }
}

impl Rig {
    /// What stands in front, if anything does.
    pub(super) fn process_id(&self) -> Option<u32> {
        self.front.as_ref().map(Server::process_id)
    }

    /// Ends both and waits for the app to be gone.
    pub(super) fn stop(mut self) {
        drop(self.front.take());
        drop(self.app.take());
    }
}

/// The promise: `plimsoll run -- COMMAND`. One instance, as the others have one; ports and a directory, as several runs share a machine.
fn run_behind_plimsoll(app: App, port: u16, database: Option<&Database>) -> Result<Server> {
    let mut words = vec![plimsoll(), "run".to_owned(), "--instances".to_owned(), "1".to_owned()];
    words.extend(addresses(port)?);
    words.push("--".to_owned());
    words.extend(app.words()?);
    let mut environment = app.environment(database)?;
    environment.extend(loopback_only());
    app::start("plimsoll", port, words, environment, &|_| http::expect_success(port, app.path()))
}

/// Flags that tell one Plimsoll on this machine from another; none of them says how it should behave.
pub(super) fn addresses(port: u16) -> Result<Vec<String>> {
    let flags = ["--port", &port.to_string(), "--admin-port", &free_port()?.to_string(), "--data-dir", "data"];
    Ok(flags.map(str::to_owned).to_vec())
}

/// The benchmark's traffic does not leave the machine.
pub(super) fn loopback_only() -> Vec<(&'static str, String)> {
    vec![("PLIMSOLL__GATEWAY__BIND", "127.0.0.1".to_owned())]
}

fn start_proxy(name: &'static str, config: &str, port: u16, app: App, behind: u16, limit: f64) -> Result<Server> {
    let directory = tempfile::tempdir()?;
    let tuning = app.tuning();
    let places = [
        ("directory", directory.path().display().to_string()),
        ("port", port.to_string()),
        ("app", behind.to_string()),
        ("at_once", tuning.at_once.to_string()),
        ("queue_ms", tuning.queue_ms.to_string()),
        // Exactly the limit would let a queue grow that nothing ever shortens.
        ("per_second", format!("{:.0}", (limit * 0.95).max(1.0))),
    ];
    let config = write_config(directory.path(), &format!("overload/{config}"), &places)?;
    let place = directory.path().display().to_string();
    let words: Vec<String> = if name.starts_with("nginx") {
        ["-e", "stderr", "-p", &place, "-c", &config].map(str::to_owned).to_vec()
    } else {
        ["-f", &config].map(str::to_owned).to_vec()
    };
    let program = app::program(if name.starts_with("nginx") { "nginx" } else { "haproxy" })?;
    let words = std::iter::once(program).chain(words).collect();
    app::start_in(directory, name, port, words, Vec::new(), &|_| http::expect_success(port, app.path()))
}

/// Lines that say which versions competed.
pub(super) fn versions() -> String {
    let ask = |program: &str, flag: &str| {
        let output = Command::new(workspace::find_program(program).unwrap_or_else(|| program.into())).arg(flag).output().ok()?;
        // nginx tells its version as an error.
        let told = [output.stdout, output.stderr].concat();
        Some(String::from_utf8_lossy(&told).lines().next()?.trim().to_owned())
    };
    let told = [("nginx", "-v"), ("haproxy", "-v"), (&*plimsoll(), "--version")].map(|(program, flag)| ask(program, flag));
    told.into_iter().flatten().collect::<Vec<_>>().join("; ")
}
