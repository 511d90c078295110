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
use plimsoll_gateway::{Address, Endpoint, Gateway, OnHealth, Source};
use plimsoll_supervisor::{Backoff, Instance, SELF_EXE, Spec, State, Supervisor};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::banner::{self, Banner};
use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::edge;
use crate::open_files;
use crate::operator::Operator;
use crate::report::Failure;
use crate::signals::Signals;
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
pub fn run(plan: Plan, settings: &Settings, data_dir: &DataDir) -> Result<(), Failure> {
    let _claim = data_dir.claim()?;
    let open_files = open_files::raise();
    open_files::warn_if_too_few(settings);
    let spec = spec(&plan, settings, data_dir, open_files);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    runtime.block_on(start_and_stop(plan, spec, settings, data_dir))
}

async fn start_and_stop(plan: Plan, spec: Spec, settings: &Settings, data_dir: &DataDir) -> Result<(), Failure> {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let started = Instant::now();
    let operator = Operator::bind(settings, data_dir).await?;
    let operator_address = operator.address;
    let names: Vec<_> = (1..=plan.instances).map(|number| format!("{}-{number}", plan.name)).collect();
    let supervisor: Arc<OnceLock<Supervisor>> = Arc::default();
    let (publish, endpoints) = watch::channel(Vec::new());
    let source = Source { config: edge::fleet(settings, &plan.name), endpoints };
    let diagnosis = Arc::new(Diagnosis::default());
    let gateway = edge::start(settings, vec![source], edge::fleet_routes(settings)?, &readiness(&supervisor, &diagnosis))?;
    let (running, events) = Supervisor::start(spec).await.map_err(hinted)?;
    let instances = running.instances();
    let _ = supervisor.set(running);
    let joined = tokio::spawn(join(instances.clone(), publish));
    let gateway = Arc::new(gateway);
    let urls = picture::Urls { public: banner::url(gateway.address()), admin: banner::url(operator_address) };
    let serving = operator.serve(picture::source(Arc::clone(&gateway), instances.clone(), urls));
    let mut reporter = Reporter::start(events)?;

    let came_up = tokio::select! {
        news = reporter.first_start(&names) => Some(news),
        never = diagnosis.watch(&instances, &settings.gateway.health.path) => match never {},
        () = signals.next() => None,
    };
    let outcome = match came_up {
        Some(News::Up) => {
            let banner = Banner {
                gateway: gateway.address(),
                operator: operator_address,
                instances: names,
                ready_after: started.elapsed(),
                state: plan.state,
                path: plan.path,
                settings,
            };
            say(&banner.to_string());
            signals.next().await;
            Ok(())
        }
        Some(News::Failed(failure)) => Err(failure.hint_if(diagnosis.said())),
        None => Ok(()),
    };
    if outcome.is_ok() {
        say("draining: requests in flight finish first; once more to stop at once\n");
    }
    let stop = stop(gateway, &supervisor, outcome.is_err());
    tokio::select! {
        () = stop => {}
        () = signals.next() => {}
    }
    joined.abort();
    serving.stop().await;
    drop(supervisor);
    outcome
}

/// The edge first, so that no request meets an instance that is going.
async fn stop(gateway: Arc<Gateway>, supervisor: &OnceLock<Supervisor>, at_once: bool) {
    if !at_once {
        gateway.drain().await;
    }
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

fn spec(plan: &Plan, settings: &Settings, data_dir: &DataDir, open_files: Option<u64>) -> Spec {
    let fleet = &settings.fleet;
    Spec {
        name_prefix: plan.name.clone(),
        instances: plan.instances,
        inherited: plan.inherited.clone(),
        env: plan.env.clone(),
        startup_timeout: fleet.startup_timeout,
        stop_timeout: fleet.stop_timeout,
        backoff: Backoff { initial: fleet.backoff_initial, max: fleet.backoff_max },
        open_files,
        ..Spec::new(SELF_EXE.into(), data_dir.path().join("run"), plan.command.clone())
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
