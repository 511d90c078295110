//! One picture of the fleet from what the gateway and the supervisor each know.

use std::sync::Arc;
use tokio::time::Instant;

use plimsoll_gateway::Gateway;
use plimsoll_supervisor::{Instance, State};
use plimsoll_telemetry::{InstanceSnapshot, InstanceState, Snapshot};
use tokio::sync::watch;

use crate::reload::Record;

pub struct Urls {
    pub public: String,
    pub admin: String,
}

type Instances = watch::Receiver<Arc<Vec<Instance>>>;

/// The picture whenever somebody looks.
pub fn source(gateway: Arc<Gateway>, instances: Instances, urls: Urls, reloads: Arc<Record>) -> plimsoll_admin::Source {
    let taken = taken_by(gateway, urls, reloads);
    Arc::new(move || {
        let mut snapshot = taken();
        let processes = instances.borrow();
        for instance in &mut snapshot.instances {
            if let Some(process) = processes.iter().find(|process| process.id == instance.id) {
                add(instance, process);
            }
        }
        snapshot
    })
}

/// The gateway's part of the picture.
pub fn taken_by(gateway: Arc<Gateway>, urls: Urls, reloads: Arc<Record>) -> impl Fn() -> Snapshot {
    let started = Instant::now();
    move || Snapshot {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        uptime_ms: started.elapsed().as_millis() as u64,
        public_url: urls.public.clone(),
        admin_url: urls.admin.clone(),
        draining: gateway.is_draining(),
        reload: reloads.snapshot(),
        edge: gateway.edge(),
        tls: gateway.tls(),
        certificates: gateway.certificates(),
        acme: gateway.acme(),
        load_lines: gateway.load_lines(),
        circuits: gateway.circuits(),
        instances: gateway.instances(),
    }
}

/// What only the supervisor knows. Its word on processes beats the gateway's: a probe needs a while to notice a death.
fn add(instance: &mut InstanceSnapshot, process: &Instance) {
    instance.pid = process.pid;
    instance.restarts_total = process.restarts_total;
    instance.uptime_ms = process.started_at.map(|started| started.elapsed().as_millis() as u64);
    match process.state {
        State::Starting => instance.state = InstanceState::Starting,
        State::Draining => instance.state = InstanceState::Draining,
        State::Backoff { .. } => instance.state = InstanceState::Backoff,
        State::Stopped => instance.state = InstanceState::Stopped,
        State::Ready | State::Unhealthy => {}
    }
}
