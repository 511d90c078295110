//! Joins the supervisor, the gateway and the operator's pages into one running fleet.
//!
//! ```text
//! supervisor ──instances──► endpoints ──► gateway
//!     ▲                                      │
//!     └───────────── readiness ◄── probes ───┘          both ──snapshot──► operator's pages
//! ```

mod diagnosis;
mod news;
pub mod picture;

use std::ffi::OsString;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, anyhow};
use plimsoll_gateway::{Address, Endpoint, OnHealth, Setup};
use plimsoll_supervisor::{Backoff, Instance, SELF_EXE, Spec, State, Supervisor};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::banner::{self, Banner, Behind, Encrypted};
use crate::edge;
use crate::ground::Ground;
use crate::operator::Operator;
use crate::reload::Record;
use crate::report::Failure;
use crate::running::{End, Parts, Running};
use crate::signals::Signals;
use crate::start::Start;
use diagnosis::Diagnosis;
pub use news::say;
use news::{News, Reporter};

/// What to run behind the edge.
pub struct Plan {
    /// What instances are called: `NAME-1`, `NAME-2`, …
    pub name: String,
    pub instances: u32,
    pub command: Vec<OsString>,
    /// The environment the instances inherit.
    pub inherited: Vec<(OsString, OsString)>,
    /// What they are told besides.
    pub env: Vec<(String, String)>,
    /// Where they share state, if plimsoll knows.
    pub state: Option<String>,
    /// A path worth asking for.
    pub path: &'static str,
}

/// Runs the fleet until it is told to stop, and drains it. Everything it started has ended when it returns, whatever it returns.
pub async fn run(plan: Plan, mut start: Start) -> Result<(), Failure> {
    let signals = Signals::listen_to_all().context("cannot listen for signals")?;
    let started = Instant::now();
    let settings = start.settings.clone();
    let spec = spec(&plan, &start);
    let (operator, controls) = Operator::bind(&settings, &start.data_dir, &mut start.inherited).await?;
    let operator_address = operator.address;
    let names: Vec<_> = (1..=plan.instances).map(|number| format!("{}-{number}", plan.name)).collect();
    let supervisor: Arc<OnceLock<Supervisor>> = Arc::default();
    let (publish, endpoints) = watch::channel(Vec::new());
    let mut ground = Ground::Fleet { name: plan.name, endpoints };
    let (config, routes, upstreams) = (edge::config(&settings)?, ground.routes()(&settings)?, ground.upstreams(&settings)?);
    let setup = Setup { config, routes, sources: ground.sources(&settings, upstreams).await };
    let diagnosis = Arc::new(Diagnosis::default());
    let gateway = Arc::new(edge::start(&settings, setup, &mut start.inherited, &readiness(&supervisor, &diagnosis))?);
    let address = gateway.address();
    let encrypted = Encrypted::of(&gateway, &settings);
    let (running, events) = Supervisor::start(spec).await.map_err(hinted)?;
    let instances = running.instances();
    let _ = supervisor.set(running);
    let joined = tokio::spawn(join(instances.clone(), publish));
    let record = Arc::<Record>::default();
    let urls = picture::Urls { public: banner::public_url(address, encrypted.as_ref()), admin: banner::url(operator_address) };
    let source = picture::source(Arc::clone(&gateway), instances.clone(), urls, Arc::clone(&record));
    let mut reporter = Reporter::start(events)?;
    let mut running = Running::new(start, Parts { signals, operator: (operator, source), controls, ground, gateway, record });
    if !running.waits() {
        running.open().await?;
    }

    let came_up = tokio::select! {
        news = reporter.first_start(&names) => Some(news),
        never = diagnosis.watch(&instances, &settings.gateway.health.path) => match never {},
        () = running.signals.stop() => None,
    };
    let outcome = match came_up {
        Some(News::Up) => running.open().await.map(|()| true),
        Some(News::Failed(failure)) => Err(failure.hint_if(diagnosis.said())),
        None => Ok(false),
    };
    let stop = stop(&supervisor);
    match outcome {
        Ok(is_up) => {
            let mut end = End::Stop;
            if is_up {
                let behind = Behind::Fleet { names, ready_after: started.elapsed() };
                let banner = Banner {
                    gateway: address,
                    encrypted,
                    operator: operator_address,
                    behind,
                    state: plan.state,
                    path: plan.path,
                    settings: &settings,
                };
                running.systemd.ready();
                say(&banner.to_string());
                end = running.until_the_end().await;
            }
            // The edge first, so that no request meets an instance that is going.
            running.end(end, stop).await;
        }
        Err(failure) => {
            running.abandon(stop).await;
            return Err(failure);
        }
    }
    joined.abort();
    drop(supervisor);
    Ok(())
}

async fn stop(supervisor: &OnceLock<Supervisor>) {
    if let Some(supervisor) = supervisor.get() {
        supervisor.stop().await;
    }
}

/// Hands the probes' results back to the supervisor.
fn readiness(supervisor: &Arc<OnceLock<Supervisor>>, diagnosis: &Arc<Diagnosis>) -> OnHealth {
    let (supervisor, diagnosis) = (Arc::clone(supervisor), Arc::clone(diagnosis));
    Arc::new(move |endpoint: &Endpoint, verdict| {
        if let Some(supervisor) = supervisor.get() {
            supervisor.report_ready(&endpoint.id, endpoint.generation, verdict.is_ok());
        }
        if let Err(why) = verdict {
            diagnosis.note(&endpoint.id, endpoint.generation, why);
        }
    })
}

/// Tells the gateway about the instances, as they come and go.
async fn join(mut instances: watch::Receiver<Arc<Vec<Instance>>>, publish: watch::Sender<Vec<Endpoint>>) {
    loop {
        let endpoints = instances.borrow_and_update().iter().map(endpoint).collect();
        publish.send_if_modified(|known| std::mem::replace(known, endpoints) != *known);
        if instances.changed().await.is_err() {
            return;
        }
    }
}

fn endpoint(instance: &Instance) -> Endpoint {
    let address = match &instance.address {
        plimsoll_supervisor::Address::Tcp(address) => Address::Tcp(*address),
        plimsoll_supervisor::Address::Unix(path) => Address::Unix(path.clone()),
    };
    let takes_traffic = matches!(instance.state, State::Starting | State::Ready | State::Unhealthy);
    Endpoint { id: instance.id.as_str().into(), generation: instance.generation, address, weight: 1, priority: 0, draining: !takes_traffic }
}

fn spec(plan: &Plan, start: &Start) -> Spec {
    let fleet = &start.settings.fleet;
    let mut sockets = start.data_dir.path().join("run");
    if start.inherited.predecessor.is_some() {
        // Those of the instances that we take over from are still in use.
        sockets.push(std::process::id().to_string());
    }
    Spec {
        name_prefix: plan.name.clone(),
        instances: plan.instances,
        inherited: plan.inherited.clone(),
        env: plan.env.clone(),
        startup_timeout: fleet.startup_timeout,
        stop_timeout: fleet.stop_timeout,
        backoff: Backoff { initial: fleet.backoff_initial, max: fleet.backoff_max },
        open_files: start.open_files,
        ..Spec::new(SELF_EXE.into(), sockets, plan.command.clone())
    }
}

fn hinted(error: plimsoll_supervisor::Error) -> Failure {
    let hint = error.hint();
    Failure::failed(error).hint_if(hint)
}

/// For a failure of the first start.
fn start_failed(instance: &str, status: &str, last_lines: &[String], hint: Option<String>) -> Failure {
    let mut details = format!("the last lines of {instance}:\n");
    for line in last_lines {
        details.push_str("  ");
        details.push_str(line);
        details.push('\n');
    }
    let failure = Failure::failed(anyhow!("{instance} could not be started: {status}"));
    let failure = if last_lines.is_empty() { failure } else { failure.details(details) };
    failure.hint_if(hint)
}
