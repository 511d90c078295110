//! What happened to one request: counted and logged once, when its answer is over or its client has left.

mod details;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use plimsoll_policy::access_log::milliseconds;
use plimsoll_policy::clock::{self, now_ns};
use plimsoll_policy::{Reason, Refusal};
use tokio::time::Instant;

use crate::config::{AccessLog, Lines};
use crate::disclosure::Timing;
use crate::forwarded::Hop;
use crate::message::Request;
use crate::peer::Channel;
use crate::stats::EdgeStats;
use details::{Details, shown};

/// Ends when it is dropped, whichever way the request ended.
pub(crate) struct Journey {
    edge: Arc<EdgeStats>,
    access_log: AccessLog,
    started: Instant,
    pub(crate) hop: Hop,
    method: Method,
    /// Origin form, as received.
    target: Bytes,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) instance: Option<Arc<str>>,
    pub(crate) attempts: u32,
    /// Nothing has happened that sending the request once more could double.
    pub(crate) may_repeat: bool,
    /// How long it waited for places below the load line, the present wait apart.
    pub(crate) queued: Duration,
    /// Since when it has been waiting for one.
    queues_since_ns: Option<u64>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    status: Option<StatusCode>,
    refused_by: Option<Reason>,
    /// Who answered when no real answer could be had.
    fallback: Option<Arc<str>>,
    /// Why, in words for the log only.
    cause: Option<String>,
    /// For the line in the log, if one is likely.
    details: Option<Box<Details>>,
    /// Where its time goes, for answers that tell.
    timing: Option<Box<Timing>>,
    client_left: bool,
    complete: bool,
}

impl Journey {
    pub(crate) fn begin(edge: &Arc<EdgeStats>, access_log: AccessLog, hop: Hop, method: Method, target: Bytes) -> Self {
        edge.in_flight.fetch_add(1, Relaxed);
        Self {
            edge: Arc::clone(edge),
            access_log,
            started: clock::now(),
            hop,
            method,
            target,
            route: None,
            instance: None,
            attempts: 0,
            may_repeat: true,
            queued: Duration::ZERO,
            queues_since_ns: None,
            bytes_in: 0,
            bytes_out: 0,
            status: None,
            refused_by: None,
            fallback: None,
            cause: None,
            details: None,
            timing: None,
            client_left: false,
            complete: false,
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Keeps what a line in the log will say, if every request has one.
    pub(crate) fn begins(&mut self, request: &Request) {
        if self.access_log.lines == Lines::All {
            self.describe(request);
        }
    }

    /// Whether there is something to tell an operator by now.
    pub(crate) fn has_trouble(&self) -> bool {
        self.refused_by.is_some() || self.cause.is_some() || self.status.is_some_and(|status| status.is_server_error())
    }

    /// Keeps what a line in the log will say, if there is one.
    pub(crate) fn describe(&mut self, request: &Request) {
        if self.access_log.lines != Lines::Off && self.details.is_none() {
            self.details = Some(Box::new(Details::of(request)));
        }
    }

    /// Its answer does not reach its client. Nothing is said of a client that has left.
    pub(crate) fn broke_off(&mut self, request: &Request) {
        if self.has_trouble() {
            self.describe(request);
        }
    }

    /// The answer will tell where the time went.
    pub(crate) fn times(&mut self) {
        self.timing = Some(Box::default());
    }

    /// What must be in hand before an upstream is asked is.
    pub(crate) fn has_received(&mut self, has_body: bool) {
        if let Some(timing) = &mut self.timing {
            timing.received(Instant::now(), has_body);
        }
    }

    /// An attempt begins.
    pub(crate) fn attempts(&mut self) {
        self.attempts += 1;
        if let Some(timing) = &mut self.timing {
            timing.attempts(Instant::now());
        }
    }

    /// An instance has said what goes to the client.
    pub(crate) fn instance_answered(&mut self, connect_us: u32) {
        if let Some(timing) = &mut self.timing {
            timing.answered(Instant::now(), Duration::from_micros(connect_us.into()));
        }
    }

    /// The parts of the time until now, if they were kept.
    pub(crate) fn server_timing(&self) -> Option<String> {
        self.timing.as_ref().map(|timing| timing.text(self.started, Instant::now()))
    }

    /// It asks for a place. What follows is a wait until [`Self::has_queued`], or until its client leaves.
    pub(crate) fn queues(&mut self, now_ns: u64) {
        self.queues_since_ns = Some(now_ns);
    }

    /// It has a place, or none, after this time.
    pub(crate) fn has_queued(&mut self, waited: Duration) {
        self.queues_since_ns = None;
        self.queued += waited;
    }

    /// How long it has been asking by now.
    pub(crate) fn queues_for(&self) -> Duration {
        self.queues_since_ns.map_or(Duration::ZERO, |since_ns| Duration::from_nanos(now_ns().saturating_sub(since_ns)))
    }

    pub(crate) fn count_retry(&self) {
        self.edge.retries.fetch_add(1, Relaxed);
    }

    /// A further attempt was safe and would have been in time, but there is nothing left to pay for it.
    pub(crate) fn retry_denied(&mut self) {
        self.edge.retries_denied.fetch_add(1, Relaxed);
        self.cause.get_or_insert_default().push_str("; not tried again: the retry budget is used up");
    }

    /// The head of the answer is here. What follows may be a stream of hours: latency is measured now.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.edge.latency.record(clock::since(self.started));
    }

    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        if self.client_left {
            return;
        }
        self.status = Some(refusal.status());
        self.refused_by = Some(refusal.reason);
        if self.attempts > 0 {
            // Refusals before any attempt take microseconds: among the latencies they would flatter.
            self.edge.latency.record(clock::since(self.started));
        }
        self.edge.count_refusal(refusal.reason);
    }

    /// No real answer could be had, for this reason; the client gets another.
    pub(crate) fn fell_back(&mut self, reason: Reason, to: Arc<str>) {
        self.refused_by = Some(reason);
        self.fallback = Some(to);
        self.edge.fallbacks.fetch_add(1, Relaxed);
    }

    pub(crate) fn count_hedge(&self, won: bool) {
        self.edge.hedges.fetch_add(1, Relaxed);
        self.edge.hedges_won.fetch_add(u64::from(won), Relaxed);
    }

    /// Notes what the client must not see but the log must.
    pub(crate) fn note(&mut self, cause: String) {
        self.cause = Some(cause);
    }

    /// The client closed in the middle of its request: whatever is answered, nobody may be there to read it.
    pub(crate) fn client_left(&mut self) {
        self.client_left = true;
    }

    /// The client has received all of it.
    pub(crate) fn complete(&mut self) {
        self.complete = !self.client_left;
    }

    /// Whether it was turned away for the sake of others, as thousands a second may be.
    fn was_shed(&self) -> bool {
        self.attempts == 0 && self.status == Some(StatusCode::SERVICE_UNAVAILABLE) && self.refused_by.is_some()
    }

    /// `left_out` lines like this one were not written since the last.
    fn log(&self, status: u16, left_out: u64) {
        let duration_ms = milliseconds(clock::since(self.started));
        let queue_ms = milliseconds(self.queued + self.queues_for());
        let (path, query) = self.target.split_at(memchr::memchr(b'?', &self.target).unwrap_or(self.target.len()));
        // It may hold secrets.
        let query = if self.access_log.query { query } else { &[] };
        let details = self.details.as_deref();
        let certificate = match self.hop.channel() {
            Channel::Tls { client: Some(certificate) } => &*certificate.subject,
            _ => "",
        };
        let instance = self.instance.as_deref().unwrap_or_default();
        let refused_by = self.refused_by.map_or("", Reason::slug);
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    target: "access",
                    $level,
                    request.id = self.hop.request_id.as_str(),
                    http.method = self.method.as_str(),
                    http.host = shown(details.map_or(&[], |details| &details.host)),
                    http.path = shown(path),
                    http.query = shown(query.get(1..).unwrap_or_default()),
                    http.version = details.map_or("", |details| details.version.number()),
                    http.user_agent = shown(details.map_or(&[], |details| &details.user_agent)),
                    http.route = self.route.as_deref().unwrap_or_default(),
                    http.status = status,
                    client.ip = %self.hop.client,
                    client.certificate = certificate,
                    policy.refused_by = refused_by,
                    policy.fallback = self.fallback.as_deref().unwrap_or_default(),
                    upstream.instance = instance,
                    upstream.attempts = self.attempts,
                    duration_ms,
                    queue_ms,
                    bytes_in = self.bytes_in,
                    bytes_out = self.bytes_out,
                    cause = self.cause.as_deref().unwrap_or_default(),
                    left_out,
                    "{}",
                    if self.complete { "request" } else { "request broken off" }
                )
            };
        }
        if status >= 500 { event!(tracing::Level::WARN) } else { event!(tracing::Level::INFO) }
    }
}

impl Drop for Journey {
    fn drop(&mut self) {
        self.edge.in_flight.fetch_sub(1, Relaxed);
        if let Some(status) = self.status {
            self.edge.responses.count(status);
        }
        if !self.complete {
            self.edge.client_gone.fetch_add(1, Relaxed);
        }
        // 499 is what the field calls a client that closed before it had an answer.
        let status = self.status.map_or(499, |status| status.as_u16());
        let wanted = match self.access_log.lines {
            Lines::All => Some(0),
            Lines::Errors if self.was_shed() => self.edge.shed_lines.take(now_ns()),
            Lines::Errors => self.has_trouble().then_some(0),
            Lines::Off => None,
        };
        if let Some(left_out) = wanted {
            self.log(status, left_out);
        }
    }
}
