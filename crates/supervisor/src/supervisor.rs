//! The handle on a running fleet.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{oneshot, watch};

use crate::error::Error;
use crate::event::{self, Events, Publisher};
use crate::fleet::{Control, Fleet, Report};
use crate::instance::Instance;
use crate::plan::Want;
use crate::spec::Spec;

type Instances = Arc<Vec<Instance>>;

/// A running fleet. Dropping it kills everything at once; [`Supervisor::stop`] is the polite way.
#[derive(Debug)]
pub struct Supervisor {
    ids: Vec<String>,
    control: watch::Sender<Control>,
    instances: watch::Receiver<Instances>,
    /// Its sender is dropped when the fleet has ended.
    ended: watch::Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the guard and a process for every instance. Returns as soon as they run; they are not ready yet.
    ///
    /// The fleet lives on a thread of its own with a runtime of its own: see `process` for why.
    pub async fn start(spec: Spec) -> Result<(Self, Events), Error> {
        let slots = spec.instances as usize;
        let ids = (0..slots).map(|slot| spec.instance_id(slot)).collect();
        let (control, orders) = watch::channel(Control { wants: vec![Want::Run; slots], reports: vec![None; slots], abandoned: false });
        let (publish, instances) = watch::channel(Instances::default());
        let (end, ended) = watch::channel(());
        let (publisher, events) = event::channel();
        let (started, start) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("fleet".to_owned())
            .spawn(move || {
                let _end = end;
                run(spec, orders, publish, publisher, started);
            })
            .map_err(Error::Thread)?;
        // Made before the wait, so that a caller who does not wait for the end leaves nothing running.
        let supervisor = Self { ids, control, instances, ended, thread: Some(thread) };
        start.await.unwrap_or_else(|_| Err(Error::Thread(std::io::Error::other("it ended"))))?;
        Ok((supervisor, events))
    }

    /// All instances in order, whenever one of them changes.
    pub fn instances(&self) -> watch::Receiver<Instances> {
        self.instances.clone()
    }

    /// Tells whether an instance takes traffic: the word of whoever probes it. Words about an earlier process are ignored, and only the
    /// last one counts.
    pub fn report_ready(&self, id: &str, generation: u64, ready: bool) {
        let Some(slot) = self.ids.iter().position(|known| known == id) else { return };
        let report = Some(Report { generation, ready });
        self.control.send_if_modified(|control| std::mem::replace(&mut control.reports[slot], report) != report);
    }

    /// SIGTERM to every group, SIGKILL to those that are left after the stop timeout; returns when all have ended.
    ///
    /// May be called again and by many. Once begun it goes on, even if nobody waits any more.
    pub async fn stop(&self) {
        self.control.send_modify(|control| control.wants.fill(Want::Stop));
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.control.send_modify(|control| control.abandoned = true);
        if let Some(thread) = self.thread.take() {
            // A matter of milliseconds: SIGKILL needs nobody's consent. A fleet that panicked has reported that itself.
            let _ = thread.join();
        }
    }
}

fn run(
    spec: Spec,
    orders: watch::Receiver<Control>,
    publish: watch::Sender<Instances>,
    publisher: Publisher,
    started: oneshot::Sender<Result<(), Error>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(Error::Thread(error)))),
    };
    runtime.block_on(async move {
        match Fleet::start(spec, orders, publish, publisher).await {
            // Whoever asked may be gone by now; then the fleet was abandoned and ends at once.
            Ok(fleet) => {
                let _ = started.send(Ok(()));
                fleet.run().await;
            }
            Err(error) => drop(started.send(Err(error))),
        }
    });
}
