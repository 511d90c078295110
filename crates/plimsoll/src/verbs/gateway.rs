//! `plimsoll gateway`: only the edge, in front of servers from the file.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use plimsoll_gateway::{Gateway, OnHealth, Setup};
use plimsoll_telemetry::InstanceState;
use tokio::time::{sleep, timeout};

use crate::banner::{self, Banner, Behind, Encrypted};
use crate::config::{Environment, Flags, Route, Settings};
use crate::discovery::Discovery;
use crate::edge;
use crate::fleet::picture::{self, Urls};
use crate::fleet::say;
use crate::ground::Ground;
use crate::operator::Operator;
use crate::reload::{Reading, Record};
use crate::report::Failure;
use crate::running::{Parts, Running};
use crate::signals::Signals;
use crate::start::Start;
use crate::verbs::load;

/// How long a successor waits for servers that its predecessor may have found well, or not.
const SETTLING_MAX: Duration = Duration::from_secs(2);
const SETTLING_LOOK: Duration = Duration::from_millis(10);

pub fn run(flags: Flags, environment: &Environment) -> Result<(), Failure> {
    let loaded = load(&flags, environment)?;
    check(&loaded.settings)?;
    let complete = |settings: &mut Settings| check(settings);
    let (start, runtime, _log) = Start::new(Reading { flags, environment: environment.clone(), complete }, loaded)?;
    runtime.block_on(serve(start))
}

/// Whether there is anything to do.
pub fn check(settings: &Settings) -> Result<(), Failure> {
    if settings.routes.is_empty() {
        return Err(Failure::asked("the gateway has nowhere to send requests: no [[route]] is configured")
            .hint("write [[upstream]] and [[route]] into plimsoll.toml; `plimsoll gateway --help` shows how"));
    }
    if settings.upstreams.is_empty() && settings.routes.iter().any(Route::forwards) {
        return Err(Failure::asked("the gateway has nowhere to send requests: no [[upstream]] is configured")
            .hint("write [[upstream]] into plimsoll.toml; `plimsoll gateway --help` shows how"));
    }
    Ok(())
}

async fn serve(mut start: Start) -> Result<(), Failure> {
    let signals = Signals::listen_to_all().context("cannot listen for signals")?;
    let settings = start.settings.clone();
    let (operator, controls) = Operator::bind(&settings, &start.data_dir, &mut start.inherited).await?;
    let operator_address = operator.address;
    let mut ground = Ground::Listed(Discovery::default());
    let (config, routes, upstreams) = (edge::config(&settings)?, ground.routes()(&settings)?, ground.upstreams(&settings)?);
    let setup = Setup { config, routes, sources: ground.sources(&settings, upstreams).await };
    let nobody_to_tell: OnHealth = Arc::new(|_, _| {});
    let gateway = Arc::new(edge::start(&settings, setup, &mut start.inherited, &nobody_to_tell)?);
    let record = Arc::<Record>::default();
    let address = gateway.address();
    let encrypted = Encrypted::of(&gateway, &settings);
    let urls = Urls { public: banner::public_url(address, encrypted.as_ref()), admin: banner::url(operator_address) };
    let source = Arc::new(picture::taken_by(Arc::clone(&gateway), urls, Arc::clone(&record)));
    if start.inherited.predecessor.is_some() {
        let _ = timeout(SETTLING_MAX, settled(&gateway)).await;
    }
    let mut running = Running::new(start, Parts { signals, operator: (operator, source), controls, ground, gateway, record });
    running.open().await?;
    running.systemd.ready();
    let servers = settings.upstreams.iter().flat_map(|upstream| &upstream.servers);
    let banner = Banner {
        gateway: address,
        encrypted,
        operator: operator_address,
        behind: Behind::Servers(servers.map(|server| server.address.to_string()).collect()),
        state: None,
        path: "/",
        settings: &settings,
    };
    say(&banner.to_string());
    let end = running.until_the_end().await;
    running.end(end, std::future::ready(())).await;
    Ok(())
}

/// Returns when every upstream has a server that takes traffic.
async fn settled(gateway: &Gateway) {
    let is_settled = || {
        let instances = gateway.instances();
        let has_ready = |upstream: &str| instances.iter().any(|other| other.upstream == upstream && other.state == InstanceState::Ready);
        instances.iter().all(|instance| has_ready(&instance.upstream))
    };
    while !is_settled() {
        sleep(SETTLING_LOOK).await;
    }
}
