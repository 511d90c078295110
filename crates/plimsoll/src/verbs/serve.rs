//! `plimsoll serve`: one instance of the reference API, told everything by its environment.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context;
use plimsoll_service::{Config, Listen, SessionKeys};

use crate::config::{Environment, Settings};
use crate::data_dir::DataDir;
use crate::logs;
use crate::open_files;
use crate::report::Failure;
use crate::signals::Signals;

/// Where it listens when nobody says.
const PORT: u16 = 9000;

pub fn run(settings: &Settings, environment: &Environment) -> Result<(), Failure> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let _logs = logs::start(settings, environment)?;
    let listen = listen(environment)?;
    let keys = data_dir.session_keys(settings)?;
    open_files::raise();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let state = plimsoll_state::open(&data_dir.state_url(settings)).await?;
        let told = |name, default: &str| environment.get(name).map_or(default.to_owned(), |value| value.to_string_lossy().into_owned());
        let instance = told("PLIMSOLL_INSTANCE", "api");
        let version = told("PLIMSOLL_VERSION", env!("CARGO_PKG_VERSION"));
        let config = Config {
            session_ttl: settings.service.session_ttl,
            drain_deadline: settings.fleet.stop_timeout,
            ..Config::new(instance, version, listen, state, SessionKeys::new(&keys)?)
        };
        plimsoll_service::serve(config, async move { signals.stop().await }).await?;
        Ok(())
    })
}

fn listen(environment: &Environment) -> Result<Listen, Failure> {
    if let Some(path) = environment.get("PLIMSOLL_SOCKET") {
        return Ok(Listen::Unix(path.into()));
    }
    let port = match environment.get("PORT") {
        None => PORT,
        Some(text) => {
            let text = text.to_string_lossy();
            text.parse().map_err(|_| Failure::asked(format!("PORT is `{text}`, which is not a port")).hint("PORT=9000 plimsoll serve"))?
        }
    };
    Ok(Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
}
