//! A running edge: reloads, hands over and stops when it is told to.

use std::convert::Infallible;
use std::future::pending;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use plimsoll_admin::{Answer, Order, Outcome, Source, Wish};
use plimsoll_gateway::Gateway;
use plimsoll_supervisor::Successor;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::Environment;
use crate::data_dir::Claim;
use crate::fleet::say;
use crate::ground::Ground;
use crate::handover::{Binary, Estate, Predecessor, bequeath};
use crate::operator::{Controls, Operator, Serving};
use crate::reload::{Record, Reload, Watch};
use crate::report::Failure;
use crate::signals::{Signals, Told};
use crate::start::Start;
use crate::systemd::Systemd;

/// What a successor has for reading its settings and for probing, besides its fleet's own time.
const SETTLING: Duration = Duration::from_secs(10);

/// What ends it.
#[derive(Debug)]
pub enum End {
    /// Somebody told it to stop.
    Stop,
    /// This process serves instead.
    Succeeded(Successor),
}

pub struct Running {
    pub signals: Signals,
    pub systemd: Systemd,
    predecessor: Option<Predecessor>,
    front: Front,
    orders: mpsc::Receiver<Order>,
    watch: Watch,
    reload: Reload,
    legacy: Legacy,
}

/// The operator's pages.
enum Front {
    Closed(Box<(Operator, Source)>),
    Open(Serving),
    /// Could not be opened, or not any more.
    Gone,
}

impl Front {
    async fn close(self) {
        if let Self::Open(serving) = self {
            serving.stop().await;
        }
    }
}

/// What a successor needs.
struct Legacy {
    binary: Binary,
    environment: Environment,
    claim: Claim,
    /// Where the operator's listener was asked to be, and where it is.
    admin: (SocketAddr, TcpListener),
    open_files: Option<u64>,
}

/// The parts of it that are not known at the start.
pub struct Parts {
    pub signals: Signals,
    pub operator: (Operator, Source),
    pub controls: Controls,
    pub ground: Ground,
    pub gateway: Arc<Gateway>,
    pub record: Arc<Record>,
}

enum Event {
    Told(Told),
    Ordered(Order),
    Saved,
}

impl Running {
    pub fn new(start: Start, parts: Parts) -> Self {
        let Start { reading, settings, claim, inherited, binary, open_files, watch, .. } = start;
        let Parts { signals, operator, controls: Controls { orders, admin }, ground, gateway, record } = parts;
        let environment = reading.environment.clone();
        Self {
            signals,
            systemd: Systemd::of(&environment),
            predecessor: inherited.predecessor,
            front: Front::Closed(Box::new(operator)),
            orders,
            watch,
            reload: Reload { reading, started: settings.clone(), in_force: settings, ground, gateway, record },
            legacy: Legacy { binary, environment, claim, admin, open_files },
        }
    }

    /// Whether somebody else still serves on our sockets.
    pub fn waits(&self) -> bool {
        self.predecessor.is_some()
    }

    /// Serves the operator; and the clients too, if a predecessor has done so until now. Once is enough.
    pub async fn open(&mut self) -> Result<(), Failure> {
        self.front = match std::mem::replace(&mut self.front, Front::Gone) {
            Front::Closed(closed) => {
                let (operator, source) = *closed;
                if let Some(predecessor) = &self.predecessor {
                    predecessor.asked_to_go().await?;
                }
                Front::Open(operator.serve(source)?)
            }
            open => open,
        };
        self.reload.gateway.open();
        if let Some(predecessor) = self.predecessor.take() {
            predecessor.serving().await;
        }
        Ok(())
    }

    /// Serves until the end. A successor has taken over by then, or nobody; nothing here has been stopped yet.
    pub async fn until_the_end(&mut self) -> End {
        loop {
            let event = tokio::select! {
                told = self.signals.next() => Event::Told(told),
                Some(order) = self.orders.recv() => Event::Ordered(order),
                () = self.watch.changed() => Event::Saved,
                never = show_life(&self.systemd) => match never {},
            };
            match event {
                Event::Told(Told::Stop) => return End::Stop,
                Event::Told(Told::Reload) | Event::Saved => drop(self.reload().await),
                Event::Ordered(Order { wish: Wish::Reload, answer }) => {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(self.reload().await);
                }
                Event::Ordered(Order { wish: Wish::Upgrade, answer }) => {
                    if let Some(end) = self.upgrade(answer).await {
                        return end;
                    }
                }
            }
        }
    }

    async fn reload(&mut self) -> Answer {
        self.systemd.reloading();
        self.watch.acknowledge().await;
        let outcome = self.reload.run().await;
        self.systemd.ready();
        match outcome {
            Ok(found) => Answer::new(Outcome::Done, found.to_string()),
            Err(failure) => failure.context("nothing was changed").into_answer(),
        }
    }

    /// `None`: there is no successor, and everything is as it was.
    async fn upgrade(&mut self, answer: oneshot::Sender<Answer>) -> Option<End> {
        let patience = self.reload.started.fleet.startup_timeout + SETTLING;
        tracing::info!(binary = %self.legacy.binary.file.display(), "starting a successor");
        let (legacy, estate) = (&self.legacy, self.estate());
        let handed_over = async { bequeath(&legacy.binary, &legacy.environment, estate?, patience).await };
        let outcome = tokio::select! {
            outcome = handed_over => outcome,
            () = self.signals.stop() => return Some(End::Stop),
            never = show_life(&self.systemd) => match never {},
        };
        match outcome {
            Ok(successor) => {
                let pid = successor.pid();
                self.systemd.succeeded_by(pid);
                tracing::info!(process.pid = pid, "a successor serves: this process finishes what it has");
                let own = std::process::id();
                let text = format!("upgraded: process {pid} serves; {own} finishes what it has, and ends");
                let _ = answer.send(Answer::new(Outcome::Done, text));
                Some(End::Succeeded(successor))
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "not upgraded: this process goes on");
                let _ = answer.send(Failure::failed(error.context("nothing was changed")).into_answer());
                None
            }
        }
    }

    fn estate(&self) -> anyhow::Result<Estate> {
        let (asked, listener) = &self.legacy.admin;
        Ok(Estate {
            claim: self.legacy.claim.share().context("cannot share the claim on the data directory")?,
            doors: self.reload.gateway.sockets().context("cannot share the sockets")?,
            admin: (*asked, listener.try_clone().context("cannot share the operator's socket")?),
            open_files: self.legacy.open_files,
        })
    }

    /// Drains, then does what is left to do; a further order to stop cuts that short. To a successor it leaves everything that is shared, so that
    /// nothing is held any more when that one ends, and passes on what is said to this process in the belief that it serves.
    pub async fn end(self, end: End, rest: impl Future<Output = ()>) {
        let Self { mut signals, systemd, reload, mut front, legacy, .. } = self;
        let _held = match &end {
            End::Stop => {
                systemd.stopping();
                say("draining: requests in flight finish first; once more to stop at once\n");
                Some(legacy)
            }
            End::Succeeded(successor) => {
                let pid = successor.pid();
                say(&format!("process {pid} has taken over: requests in flight finish first; once more to stop at once\n"));
                std::mem::replace(&mut front, Front::Gone).close().await;
                None
            }
        };
        let leave = async {
            match &end {
                End::Stop => reload.gateway.drain().await,
                End::Succeeded(_) => reload.gateway.hand_over().await,
            }
            rest.await;
        };
        let told_to_stop = async {
            match &end {
                End::Stop => signals.stop().await,
                End::Succeeded(successor) => pass_on_reloads(&mut signals, successor).await,
            }
        };
        tokio::select! {
            () = leave => {}
            () = told_to_stop => {}
        }
        front.close().await;
    }

    /// Ends what never got so far: nobody is waited for.
    pub async fn abandon(mut self, rest: impl Future<Output = ()>) {
        tokio::select! {
            () = rest => {}
            () = self.signals.stop() => {}
        }
        self.front.close().await;
    }
}

/// Returns at the next order to stop. An order to reload may have come during the upgrade, when the successor had read its settings already.
async fn pass_on_reloads(signals: &mut Signals, successor: &Successor) {
    while signals.next().await == Told::Reload {
        match successor.hang_up() {
            Ok(()) => tracing::info!(process.pid = successor.pid(), "told the successor to reload"),
            Err(error) => tracing::warn!(process.pid = successor.pid(), %error, "cannot tell the successor to reload"),
        }
    }
}

/// Tells a service manager that asks for it that this loop turns.
async fn show_life(systemd: &Systemd) -> Infallible {
    let Some(every) = systemd.watchdog else { return pending().await };
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        systemd.alive();
    }
}
