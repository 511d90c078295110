//! One instance as the gateway sees it, and a request's place in it.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use plimsoll_policy::admission::{self, Outcome};
use plimsoll_policy::clock::now_ns;
use plimsoll_telemetry::Histogram;

use super::roster::Setbacks;
use crate::balance::{self, InFlight, Load, Weight};
use crate::config::{Protocol, UpstreamConfig};
use crate::endpoint::{Address, Endpoint};
use crate::failure::Failure;
use crate::message::{Name, ResponseHead};
use crate::outlier::{self, Outlier, Standing};
use crate::secure;
use crate::stats::StatusClasses;
use crate::transport::Transport;

/// What active probes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Health {
    /// Not ready yet.
    Unknown,
    Up,
    /// Was ready once.
    Down,
}

pub(crate) struct Member {
    pub(crate) slot: u64,
    pub(crate) endpoint: Endpoint,
    pub(crate) stats: Arc<MemberStats>,
    /// Of its upstream.
    setbacks: Setbacks,
    weight: AtomicU32,
    priority: AtomicU16,
    draining: AtomicBool,
    load: Load,
    outlier: Outlier,
    health: AtomicU8,
    tls: Option<secure::Client>,
    /// What is spoken with it; never [`Protocol::Auto`] where there is nothing to agree by.
    pub(crate) protocol: Protocol,
}

/// Totals of one instance name, over all its restarts.
#[derive(Default)]
pub(crate) struct MemberStats {
    pub(crate) responses: StatusClasses,
    pub(crate) latency: Histogram,
    pub(crate) failures: AtomicU64,
    pub(crate) ejections: AtomicU64,
}

impl Member {
    pub(super) fn new(slot: u64, endpoint: Endpoint, stats: Arc<MemberStats>, setbacks: Setbacks, config: &UpstreamConfig) -> Self {
        let (weight, draining) = (AtomicU32::new(endpoint.weight), AtomicBool::new(endpoint.draining));
        let (priority, health) = (AtomicU16::new(endpoint.priority), AtomicU8::new(Health::Unknown as u8));
        let (outlier, tls) = (Outlier::new(&config.ejection), config.tls.clone());
        let can_choose = matches!(endpoint.address, Address::Tls { .. });
        let protocol = if config.protocol == Protocol::Auto && !can_choose { Protocol::Http1 } else { config.protocol };
        Self { slot, endpoint, stats, setbacks, weight, priority, draining, load: Load::default(), outlier, health, tls, protocol }
    }

    /// Takes over what may change during the life of one process. Who was on its way out is probed before it takes requests again.
    pub(super) fn adopt(&self, endpoint: &Endpoint) {
        self.weight.store(endpoint.weight, Relaxed);
        self.priority.store(endpoint.priority, Relaxed);
        let was_draining = self.draining.swap(endpoint.draining, Relaxed);
        if was_draining && !endpoint.draining {
            // It was not asked meanwhile: who comes back may have stopped in between.
            self.health.store(Health::Unknown as u8, Relaxed);
        }
    }

    /// A new connection to it. `offer`: what may be spoken on it, where that can be agreed on.
    pub(crate) async fn connect(&self, offer: secure::Offer) -> Result<Transport, Failure> {
        self.endpoint.address.connect(self.tls.as_ref(), offer).await
    }

    pub(super) fn priority(&self) -> u16 {
        self.priority.load(Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    pub(crate) fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Unknown,
            1 => Health::Up,
            _ => Health::Down,
        }
    }

    pub(crate) fn set_health(&self, health: Health) {
        let now = now_ns();
        match (self.health(), health) {
            (Health::Unknown | Health::Down, Health::Up) => {
                self.load.available_from(now);
                self.outlier.probe_succeeded(now);
            }
            (Health::Up, Health::Up) => self.outlier.probe_succeeded(now),
            _ => {}
        }
        self.health.store(health as u8, Relaxed);
        if health != Health::Up {
            self.setbacks.add();
        }
    }

    /// Whether it is meant to take traffic, however it is doing.
    pub(super) fn is_active(&self) -> bool {
        !self.is_draining() && self.health() != Health::Unknown
    }

    pub(super) fn is_good(&self, now: u64) -> bool {
        self.health() == Health::Up && self.outlier.is_in(now)
    }

    pub(crate) fn is_ejected(&self) -> bool {
        matches!(self.outlier.standing(now_ns()), Standing::Open { .. })
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    fn judge(&self, failure: outlier::Failure, call: &mut outlier::Call) {
        self.note(self.outlier.failed(call, failure, now_ns()));
    }

    fn note(&self, ejection: Option<outlier::Ejection>) {
        if let Some(ejection) = ejection {
            self.stats.ejections.fetch_add(1, Relaxed);
            self.setbacks.add();
            self.load.available_from(ejection.until_ns);
            tracing::warn!(
                instance.id = &*self.endpoint.id,
                duration_ms = ejection.lasts.as_millis() as u64,
                "instance ejected: its attempts fail or are too slow"
            );
        }
    }
}

impl balance::Member for Member {
    fn id(&self) -> &str {
        &self.endpoint.id
    }

    fn weight(&self) -> Weight {
        Weight::try_from(self.weight.load(Relaxed)).unwrap_or_default()
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

/// One request's place at one instance. Covers the answer's body too: only then is the work over.
pub(crate) struct Permit {
    member: Arc<Member>,
    in_flight: Option<InFlight>,
    began_ns: u64,
    /// When it became the member's turn.
    turn_ns: u64,
    call: outlier::Call,
    /// Its place below the load line. Dropped unfinished, it counts on: the instance works for a client that has left.
    place: Option<admission::Permit>,
    outcome: Outcome,
}

impl Permit {
    pub(super) fn new(member: Arc<Member>, began_ns: u64, place: Option<admission::Permit>) -> Self {
        let in_flight = Some(member.load.begin(began_ns));
        let call = member.outlier.begin(began_ns);
        Self { member, in_flight, began_ns, turn_ns: began_ns, call, place, outcome: Outcome::Served }
    }

    /// For the next attempt: the instance does not work on this one any more.
    pub(crate) fn take_place(&mut self) -> Option<admission::Permit> {
        let mut place = self.place.take()?;
        place.rests();
        Some(place)
    }

    /// Another attempt has won, and the instance works on for nobody.
    pub(crate) fn lost(&mut self) {
        if let Some(place) = self.place.take() {
            place.lost();
        }
    }

    /// The request goes out now. From here on a client that leaves leaves work behind.
    pub(crate) fn begins(&mut self) {
        if let Some(place) = &mut self.place {
            place.begins();
        }
    }

    pub(crate) fn holds_place(&self) -> bool {
        self.place.is_some()
    }

    /// From here on time passes without work: an event stream, a slow reader.
    pub(crate) fn streams(&mut self) {
        self.finish_place();
    }

    fn finish_place(&mut self) {
        if let Some(place) = self.place.take() {
            place.finish(self.outcome);
        }
    }

    pub(crate) fn member(&self) -> &Member {
        &self.member
    }

    /// The head of the answer is here.
    pub(crate) fn answered(&mut self, head: &ResponseHead) {
        let now = now_ns();
        self.member.stats.responses.count(head.status);
        self.member.stats.latency.record(Duration::from_nanos(now.saturating_sub(self.began_ns)));
        let failure = outlier::Failure::of_status(head.status);
        if failure.is_some() {
            self.outcome = Outcome::Failed;
        }
        match failure {
            None => {
                if let Some(in_flight) = &mut self.in_flight {
                    self.member.load.answered(in_flight, now, balance::Config::default().decay);
                }
                self.succeeded(now);
            }
            // An instance that refuses on purpose, and says until when, is not at fault. Neither is it fast: that would draw traffic.
            Some(_) if head.headers.first(Name::RetryAfter).is_some() => self.succeeded(now),
            Some(failure) => self.member.judge(failure, &mut self.call),
        }
    }

    fn succeeded(&mut self, now: u64) {
        let took = Duration::from_nanos(now.saturating_sub(self.turn_ns));
        self.member.note(self.member.outlier.succeeded(&mut self.call, took, now));
    }

    /// The client's body is on its way: the time it takes says nothing about the member.
    pub(crate) fn uploading(&mut self) {
        if let Some(in_flight) = &mut self.in_flight {
            self.member.load.pause(in_flight);
        }
    }

    /// The member has all of the request.
    pub(crate) fn uploaded(&mut self) {
        self.turn_ns = now_ns();
        self.begins();
        if let Some(in_flight) = &mut self.in_flight {
            self.member.load.resume(in_flight, self.turn_ns);
        }
    }

    pub(crate) fn failed(&mut self, failure: &Failure) {
        let Some(failure) = failure.evidence() else { return };
        self.member.stats.failures.fetch_add(1, Relaxed);
        self.member.judge(failure, &mut self.call);
    }

    /// The answer broke off after its head.
    pub(crate) fn broke_off(&mut self) {
        self.outcome = Outcome::Failed;
        self.finish_place();
        self.member.stats.failures.fetch_add(1, Relaxed);
        self.member.judge(outlier::Failure::Broken, &mut self.call);
    }

    /// The work is over.
    pub(crate) fn release(&mut self) {
        self.finish_place();
        self.leave();
    }

    fn leave(&mut self) {
        if let Some(in_flight) = self.in_flight.take() {
            self.member.load.finish(in_flight, now_ns());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.member.outlier.abandoned(&mut self.call);
        self.leave();
    }
}

thread_local! {
    static RNG: RefCell<fastrand::Rng> = RefCell::new(fastrand::Rng::new());
}

pub(crate) fn with_rng<T>(choose: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
    RNG.with_borrow_mut(choose)
}
