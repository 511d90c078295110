//! What an upstream tells those who watch: its members, its load line, its breaker.

use std::sync::atomic::Ordering::Relaxed;

use plimsoll_policy::breaker::Standing;
use plimsoll_policy::clock::now_ns;
use plimsoll_telemetry::snapshot::{CircuitSnapshot, CircuitState, InstanceSnapshot, InstanceState, LoadLineSnapshot};

use super::{Health, Member, Upstream};

impl Upstream {
    pub(crate) fn snapshots(&self) -> Vec<InstanceSnapshot> {
        self.members().iter().map(|member| snapshot(&self.config.name, member)).collect()
    }

    pub(crate) fn circuit(&self) -> Option<CircuitSnapshot> {
        let breaker = self.resilience.breaker.as_ref()?;
        let state = match breaker.standing(now_ns()) {
            Standing::Closed => CircuitState::Closed,
            Standing::Open { .. } => CircuitState::Open,
            Standing::HalfOpen => CircuitState::HalfOpen,
        };
        Some(CircuitSnapshot { upstream: self.config.name.clone(), state, openings_total: breaker.openings() })
    }

    pub(crate) fn load_line(&self) -> Option<LoadLineSnapshot> {
        let line = self.admission.as_ref()?.load();
        Some(LoadLineSnapshot {
            upstream: self.config.name.clone(),
            limit: line.limit as u64,
            in_flight: line.in_flight as u64,
            lingering: line.lingering as u64,
            waiting: line.waiting.map(|count| count as u64),
            drain_per_second: line.drain_per_second,
            overloaded: line.is_overloaded,
            admitted_total: line.admitted,
            waited_total: line.waited,
            shed_total: line.refused.map(|refused| [refused.overloaded, refused.waited_too_long, refused.displaced, refused.deadline]),
        })
    }
}

fn snapshot(upstream: &str, member: &Member) -> InstanceSnapshot {
    let state = match member.health() {
        _ if member.is_draining() => InstanceState::Draining,
        Health::Unknown => InstanceState::Starting,
        Health::Down => InstanceState::Unhealthy,
        Health::Up if member.is_ejected() => InstanceState::Ejected,
        Health::Up => InstanceState::Ready,
    };
    InstanceSnapshot {
        id: member.endpoint.id.to_string(),
        upstream: upstream.to_owned(),
        address: member.endpoint.address.to_string(),
        state,
        in_flight: u64::from(member.in_flight()),
        responses_total: member.stats.responses.totals(),
        failures_total: member.stats.failures.load(Relaxed),
        ejections_total: member.stats.ejections.load(Relaxed),
        latency: member.stats.latency.counts(),
        ..InstanceSnapshot::default()
    }
}
