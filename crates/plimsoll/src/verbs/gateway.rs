//! `plimsoll gateway`: only the edge, in front of servers from the file.

use std::sync::Arc;

use anyhow::Context;
use plimsoll_gateway::OnHealth;
use tokio::time::Instant;

use crate::banner::{self, Banner};
use crate::config::{Environment, Settings};
use crate::data_dir::DataDir;
use crate::discovery::Discovery;
use crate::fleet::picture::{self, Urls};
use crate::operator::Operator;
use crate::report::Failure;
use crate::signals::Signals;
use crate::{edge, logs, open_files};

pub fn run(settings: &Settings, environment: &Environment) -> Result<(), Failure> {
    if settings.routes.is_empty() {
        return Err(Failure::asked("the gateway has nowhere to send requests: no [[route]] is configured")
            .hint("write [[upstream]] and [[route]] into plimsoll.toml; `plimsoll gateway --help` shows how"));
    }
    if settings.upstreams.is_empty() {
        return Err(Failure::asked("the gateway has nowhere to send requests: no [[upstream]] is configured")
            .hint("write [[upstream]] into plimsoll.toml; `plimsoll gateway --help` shows how"));
    }
    let data_dir = DataDir::open(&settings.data_dir)?;
    let _claim = data_dir.claim()?;
    let _logs = logs::start(settings, environment)?;
    open_files::raise();
    open_files::warn_if_too_few(settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(serve(settings, &data_dir))
}

async fn serve(settings: &Settings, data_dir: &DataDir) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let started = Instant::now();
    let operator = Operator::bind(settings, data_dir).await?;
    let operator_address = operator.address;
    let mut discovery = Discovery::default();
    let sources = edge::sources(settings, &mut discovery)?;
    let nobody_to_tell: OnHealth = Arc::new(|_, _| {});
    let gateway = Arc::new(edge::start(settings, sources, edge::routes(settings)?, &nobody_to_tell)?);
    let urls = Urls { public: banner::url(gateway.address()), admin: banner::url(operator_address) };
    let serving = operator.serve(Arc::new(picture::taken_by(Arc::clone(&gateway), urls)));
    let banner = Banner {
        gateway: gateway.address(),
        operator: operator_address,
        instances: settings.upstreams.iter().flat_map(|upstream| &upstream.servers).map(|server| server.address.to_string()).collect(),
        ready_after: started.elapsed(),
        state: None,
        path: "/",
        settings,
    };
    crate::fleet::say(&banner.to_string());
    signals.next().await;
    crate::fleet::say("draining: requests in flight finish first; once more to stop at once\n");
    tokio::select! {
        () = gateway.drain() => {}
        () = signals.next() => {}
    }
    serving.stop().await;
    Ok(())
}
