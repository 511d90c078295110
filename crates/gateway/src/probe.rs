//! Active probes: is the instance ready? The only place that asks; rollouts, the balancer and the status page all read this answer.

mod http2;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{Method, StatusCode};
use plimsoll_trust::Fault;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use crate::config::{Probe, Protocol};
use crate::endpoint::{Endpoint, is_our_shortage};
use crate::failure::Failure;
use crate::http1::head::parse_response;
use crate::http1::{HeadError, Wire};
use crate::message::Frame;
use crate::secure::Offer;
use crate::upstream::{Health, Member, Upstream};

/// A fresh instance is asked this often until it is ready: it should not wait for its first request.
const STARTING_INTERVAL: Duration = Duration::from_millis(25);
/// One that has refused so often, two seconds long, is asked at the common pace: it may log every request.
const REFUSALS_MAX: u32 = 80;
const RESPONSE_HEAD_BYTES_MAX: usize = 64 * 1024;
const RESPONSE_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Told of every change, from the task that probes; and, before an instance is ready for the first time, of each other status it answers with.
pub type OnHealth = Arc<dyn Fn(&Endpoint, Result<(), Why>) + Send + Sync>;

/// Why an instance is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It answers the probe, but not with 2xx.
    Status(StatusCode),
    /// TLS could not be agreed on.
    Tls(Fault),
    Other(&'static str),
}

impl fmt::Display for Why {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "it answers {}", status.as_u16()),
            Self::Tls(fault) => fault.fmt(formatter),
            Self::Other(why) => formatter.write_str(why),
        }
    }
}

/// Probes each member of an upstream, each at its own pace, for as long as it is one.
pub(crate) async fn run(upstream: Arc<Upstream>, mut endpoints: tokio::sync::watch::Receiver<Vec<Endpoint>>, on_health: OnHealth) {
    let mut probes = JoinSet::new();
    let mut probed: Vec<u64> = Vec::new();
    loop {
        upstream.update(&endpoints.borrow_and_update());
        let members = upstream.members();
        probed.retain(|slot| members.iter().any(|member| member.slot == *slot));
        for member in members {
            if !probed.contains(&member.slot) {
                probed.push(member.slot);
                probes.spawn(probe(Arc::clone(&upstream), member, Arc::clone(&on_health)));
            }
        }
        while probes.try_join_next().is_some() {}
        if endpoints.changed().await.is_err() {
            // Whoever lists the endpoints is gone: the list stays as it is.
            while probes.join_next().await.is_some() {}
            return;
        }
    }
}

async fn probe(upstream: Arc<Upstream>, member: Arc<Member>, on_health: OnHealth) {
    let config = &upstream.config.probe;
    let (mut passed, mut failed, mut refused, mut why) = (0_u32, 0_u32, 0_u32, Why::Other(""));
    while upstream.has_member(member.slot) {
        let changed = upstream.changed();
        if member.is_draining() {
            // If it comes back it begins anew, and at once.
            (passed, failed, refused) = (0, 0, 0);
            let _ = timeout(config.interval, changed).await;
            continue;
        }
        match ask(&member, config).await {
            Ok(()) => (passed, failed) = (passed.saturating_add(1), 0),
            Err(NotReady::Unknown) => {}
            Err(NotReady::Because(reason)) => {
                (passed, failed) = (0, failed.saturating_add(1));
                if matches!(reason, Why::Status(_)) && member.health() == Health::Unknown {
                    refused = refused.saturating_add(1);
                    if reason != why {
                        on_health(&member.endpoint, Err(reason));
                    }
                }
                if matches!(reason, Why::Tls(_)) && member.health() == Health::Unknown && reason != why {
                    tracing::warn!(instance.id = &*member.endpoint.id, why = %reason, "instance cannot be used");
                }
                why = reason;
            }
        }
        let before = member.health();
        let after = match before {
            Health::Unknown | Health::Down if passed >= config.healthy_after => Health::Up,
            Health::Up if failed >= config.unhealthy_after => Health::Down,
            unchanged => unchanged,
        };
        if after != before || passed > 0 {
            member.set_health(after);
        }
        if after != before {
            tell(&member.endpoint, before, after, why);
            upstream.refresh();
            on_health(&member.endpoint, if after == Health::Up { Ok(()) } else { Err(why) });
        }
        let wait = if after == Health::Unknown && refused < REFUSALS_MAX { STARTING_INTERVAL } else { config.interval };
        // Up to a tenth of jitter, so that many gateways do not ask in step.
        pause(&upstream, &member, after, wait.mul_f64(fastrand::f64().mul_add(0.1, 0.95))).await;
    }
}

/// Until the next probe is due. Who comes back into the list meanwhile is not known to be well any more, and asked at once.
async fn pause(upstream: &Upstream, member: &Member, known: Health, wait: Duration) {
    let end = Instant::now() + wait;
    loop {
        let changed = upstream.changed();
        if member.health() != known || timeout_at(end, changed).await.is_err() {
            return;
        }
    }
}

fn tell(endpoint: &Endpoint, before: Health, after: Health, why: Why) {
    match after {
        Health::Down => tracing::warn!(instance.id = &*endpoint.id, %why, "instance unhealthy: it gets no more traffic"),
        Health::Up if before == Health::Down => tracing::info!(instance.id = &*endpoint.id, "instance healthy again"),
        _ => {}
    }
}

enum NotReady {
    Because(Why),
    /// It could not be asked for want of something on our side: the last answer stands.
    Unknown,
}

impl From<&'static str> for NotReady {
    fn from(reason: &'static str) -> Self {
        Self::Because(Why::Other(reason))
    }
}

async fn ask(member: &Member, config: &Probe) -> Result<(), NotReady> {
    timeout(config.timeout, ask_once(member, config)).await.unwrap_or(Err(NotReady::from("no answer in time")))
}

/// In the protocol in which requests come.
async fn ask_once(member: &Member, config: &Probe) -> Result<(), NotReady> {
    let offer = match member.protocol {
        Protocol::Http1 => Offer::Http1,
        Protocol::Http2 => Offer::Http2,
        Protocol::Auto => Offer::Either,
    };
    let transport = member.connect(offer).await.map_err(|failure| match failure {
        Failure::Connect(error) if is_our_shortage(&error) => NotReady::Unknown,
        Failure::Handshake(error) => NotReady::Because(Why::Tls(Fault::of(&error))),
        _ => "cannot connect".into(),
    })?;
    let is_http2 = match transport.chosen_protocol() {
        Some(chosen) => chosen == b"h2",
        None => member.protocol == Protocol::Http2,
    };
    if is_http2 {
        return http2::ask(transport, &member.endpoint.address, config.path.as_deref()).await;
    }
    if member.protocol == Protocol::Http2 {
        return Err(NotReady::Because(Why::Tls(Fault::OtherProtocol)));
    }
    let Some(path) = &config.path else { return Ok(()) };
    let mut wire = Wire::new(transport, BytesMut::new());
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: plimsoll-probe\r\nconnection: close\r\n\r\n");
    wire.out.front.extend_from_slice(request.as_bytes());
    poll_fn(|cx| wire.poll_flush(cx)).await.map_err(|_| "cannot send")?;
    let block = poll_fn(|cx| wire.poll_head(cx, RESPONSE_HEAD_BYTES_MAX)).await.map_err(|error| match error {
        HeadError::NotAccepted(error) => NotReady::Because(Why::Tls(Fault::of(&error))),
        _ => "no answer".into(),
    })?;
    let (head, _) = parse_response(&block, &Method::GET)?;
    wire.begin_body(head.framing);
    let mut bytes_left = RESPONSE_BODY_BYTES_MAX;
    // Read to its end, or the instance would take us for a client that left.
    while let Some(Ok(frame)) = poll_fn(|cx| wire.poll_frame(cx)).await {
        if let Frame::Data(data) = frame {
            bytes_left = bytes_left.checked_sub(data.len()).ok_or("its answer does not end")?;
        }
    }
    if head.status.is_success() { Ok(()) } else { Err(NotReady::Because(Why::Status(head.status))) }
}
