//! A snapshot as Prometheus text (format 0.0.4).
//!
//! Written here because the numbers already exist as plain totals: a client library would keep a second copy of them in its own registry.
//! The families are listed in `family`; `docs/metrics.md` prints the same list, and a test keeps the two equal.

mod family;
mod text;

use std::time::Duration;

use family::{CIRCUIT_STATES, CLASSES, Family, STATES};
use text::Text;

use crate::snapshot::{CircuitSnapshot, InstanceSnapshot, LoadLineSnapshot, PRIORITIES, SHED_CAUSES, Snapshot};

/// What `Content-Type` says about the text of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The whole exposition. Nothing is kept between calls.
///
/// ```
/// let text = plimsoll_telemetry::exposition::render(&plimsoll_telemetry::Snapshot::default());
/// assert!(text.contains("plimsoll_http_requests_in_flight 0\n"));
/// ```
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Text::default();
    process(&mut text, snapshot);
    edge(&mut text, snapshot);
    tls(&mut text, snapshot);
    load_lines(&mut text, &snapshot.load_lines);
    circuits(&mut text, &snapshot.circuits);
    instances(&mut text, &snapshot.instances);
    text.into_string()
}

fn process(text: &mut Text, snapshot: &Snapshot) {
    text.family(&family::BUILD_INFO).sample(&[("version", &snapshot.version)], 1);
    text.family(&family::UPTIME).sample(&[], seconds(snapshot.uptime_ms));
    text.family(&family::DRAINING).sample(&[], u8::from(snapshot.draining));
    let reload = &snapshot.reload;
    text.family(&family::RELOAD_OK).sample(&[], u8::from(reload.last_ok));
    text.family(&family::RELOAD_TIME).sample(&[], seconds(reload.last_success_unix_ms));
    let mut reloads = text.family(&family::RELOADS);
    for (result, count) in [("success", reload.succeeded_total), ("failure", reload.failed_total)] {
        reloads.sample(&[("result", result)], count);
    }
}

fn edge(text: &mut Text, snapshot: &Snapshot) {
    let edge = &snapshot.edge;
    text.family(&family::CONNECTIONS_OPEN).sample(&[], edge.connections);
    text.family(&family::CONNECTIONS).sample(&[], edge.connections_total);
    text.family(&family::IN_FLIGHT).sample(&[], edge.in_flight);
    let mut requests = text.family(&family::REQUESTS);
    for (class, count) in CLASSES.iter().zip(edge.responses_total) {
        requests.sample(&[("code_class", class)], count);
    }
    text.family(&family::DURATION).histogram(&[], &edge.latency);
    text.family(&family::RETRIES).sample(&[], edge.retries_total);
    text.family(&family::RETRIES_DENIED).sample(&[], edge.retries_denied_total);
    text.family(&family::HEDGES).sample(&[], edge.hedges_total);
    text.family(&family::HEDGES_WON).sample(&[], edge.hedges_won_total);
    text.family(&family::FALLBACKS).sample(&[], edge.fallbacks_total);
    text.family(&family::MIRRORED).sample(&[], edge.mirrored_total);
    text.family(&family::MIRRORS_LOST).sample(&[], edge.mirrors_lost_total);
    text.family(&family::CLIENT_GONE).sample(&[], edge.client_gone_total);
    let mut refusals = text.family(&family::REFUSALS);
    for (reason, count) in &edge.refusals_total {
        refusals.sample(&[("reason", reason)], count);
    }
}

fn tls(text: &mut Text, snapshot: &Snapshot) {
    let tls = &snapshot.tls;
    let mut handshakes = text.family(&family::HANDSHAKES);
    handshakes.sample(&[("kind", "full")], tls.handshakes_full_total);
    handshakes.sample(&[("kind", "resumed")], tls.handshakes_resumed_total);
    let mut failures = text.family(&family::HANDSHAKE_FAILURES);
    for (reason, count) in &tls.handshake_failures_total {
        failures.sample(&[("reason", reason)], count);
    }
    let mut expiry = text.family(&family::CERTIFICATE_EXPIRY);
    for certificate in &snapshot.certificates {
        expiry.sample(&[("source", &certificate.source)], certificate.not_after_unix);
    }
    let mut orders = text.family(&family::ACME_ORDERS);
    for (result, count) in snapshot.acme.iter().flat_map(|acme| &acme.orders_total) {
        orders.sample(&[("result", result)], *count);
    }
}

/// How a plain number is read from a load line.
type Level = fn(&LoadLineSnapshot) -> f64;

fn load_lines(text: &mut Text, lines: &[LoadLineSnapshot]) {
    let plain: [(&'static Family, Level); 7] = [
        (&family::LIMIT, |line| line.limit as f64),
        (&family::ADMITTED_NOW, |line| line.in_flight as f64),
        (&family::LINGERING, |line| line.lingering as f64),
        (&family::OVERLOADED, |line| f64::from(u8::from(line.overloaded))),
        (&family::DRAIN, |line| line.drain_per_second),
        (&family::ADMITTED, |line| line.admitted_total as f64),
        (&family::WAITED, |line| line.waited_total as f64),
    ];
    for (family, value) in plain {
        let mut samples = text.family(family);
        for line in lines {
            samples.sample(&[("upstream", &line.upstream)], value(line));
        }
    }
    let mut waiting = text.family(&family::WAITING);
    for line in lines {
        for (priority, count) in PRIORITIES.iter().zip(line.waiting) {
            waiting.sample(&[("upstream", &line.upstream), ("priority", priority)], count);
        }
    }
    let mut shed = text.family(&family::SHED);
    for line in lines {
        for (priority, causes) in PRIORITIES.iter().zip(line.shed_total) {
            for (cause, count) in SHED_CAUSES.iter().zip(causes) {
                shed.sample(&[("upstream", &line.upstream), ("priority", priority), ("cause", cause)], count);
            }
        }
    }
}

fn circuits(text: &mut Text, circuits: &[CircuitSnapshot]) {
    let mut state = text.family(&family::CIRCUIT_STATE);
    for circuit in circuits {
        for candidate in CIRCUIT_STATES {
            state.sample(&[("upstream", &circuit.upstream), ("state", candidate.as_str())], u8::from(candidate == circuit.state));
        }
    }
    let mut openings = text.family(&family::CIRCUIT_OPENINGS);
    for circuit in circuits {
        openings.sample(&[("upstream", &circuit.upstream)], circuit.openings_total);
    }
}

/// How a plain number is read from an instance.
type Number = fn(&InstanceSnapshot) -> u64;

/// One family after the other, each with all instances: the format wants the samples of a family in one piece.
fn instances(text: &mut Text, instances: &[InstanceSnapshot]) {
    let mut state = text.family(&family::INSTANCE_STATE);
    for instance in instances {
        let [id, upstream] = labels(instance);
        for candidate in STATES {
            state.sample(&[id, upstream, ("state", candidate.as_str())], u8::from(candidate == instance.state));
        }
    }
    let mut uptime = text.family(&family::INSTANCE_UPTIME);
    for instance in instances {
        if let Some(uptime_ms) = instance.uptime_ms {
            uptime.sample(&labels(instance), seconds(uptime_ms));
        }
    }
    let mut requests = text.family(&family::INSTANCE_REQUESTS);
    for instance in instances {
        let [id, upstream] = labels(instance);
        for (class, count) in CLASSES.iter().zip(instance.responses_total) {
            requests.sample(&[id, upstream, ("code_class", class)], count);
        }
    }
    let mut duration = text.family(&family::INSTANCE_DURATION);
    for instance in instances {
        duration.histogram(&labels(instance), &instance.latency);
    }
    let plain: [(&'static Family, Number); 4] = [
        (&family::INSTANCE_IN_FLIGHT, |instance| instance.in_flight),
        (&family::INSTANCE_FAILURES, |instance| instance.failures_total),
        (&family::INSTANCE_EJECTIONS, |instance| instance.ejections_total),
        (&family::INSTANCE_RESTARTS, |instance| instance.restarts_total),
    ];
    for (family, value) in plain {
        let mut samples = text.family(family);
        for instance in instances {
            samples.sample(&labels(instance), value(instance));
        }
    }
}

fn labels(instance: &InstanceSnapshot) -> [(&'static str, &str); 2] {
    [("instance_id", &instance.id), ("upstream", &instance.upstream)]
}

fn seconds(ms: u64) -> f64 {
    Duration::from_millis(ms).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Histogram;
    use crate::snapshot::{AcmeSnapshot, CertificateSnapshot, CircuitState, InstanceState, TlsSnapshot};

    fn busy() -> Snapshot {
        let latency = Histogram::default();
        for ms in [1, 2, 3, 40, 700, 20_000] {
            latency.record(Duration::from_millis(ms));
        }
        let mut snapshot = Snapshot { version: "1.2.3".into(), uptime_ms: 61_500, ..Snapshot::default() };
        snapshot.edge.connections = 3;
        snapshot.edge.connections_total = 9;
        snapshot.edge.responses_total = [0, 4, 0, 1, 1];
        snapshot.edge.latency = latency.counts();
        snapshot.edge.refusals_total = vec![("no-instance".into(), 1)];
        snapshot.tls = TlsSnapshot {
            handshakes_full_total: 3,
            handshakes_resumed_total: 5,
            handshake_failures_total: vec![("timeout".into(), 1), ("closed".into(), 0)],
        };
        snapshot.certificates.push(CertificateSnapshot {
            source: "/etc/tls/shop.pem".into(),
            names: vec!["shop.example".into()],
            not_after_unix: 1_800_000_000,
            renews_itself: false,
        });
        snapshot.acme = Some(AcmeSnapshot { orders_total: vec![("issued".into(), 2), ("refused".into(), 1)], troubles: Vec::new() });
        snapshot.load_lines.push(LoadLineSnapshot {
            upstream: "app".into(),
            limit: 12,
            in_flight: 12,
            lingering: 1,
            waiting: [0, 3, 0],
            drain_per_second: 250.5,
            overloaded: true,
            admitted_total: 900,
            waited_total: 40,
            shed_total: [[0; 4], [7, 0, 1, 0], [90, 0, 0, 0]],
        });
        snapshot.circuits.push(CircuitSnapshot { upstream: "app".into(), state: CircuitState::Open, openings_total: 2 });
        snapshot.instances.push(InstanceSnapshot {
            id: "api-1".into(),
            upstream: "app".into(),
            state: InstanceState::Ready,
            uptime_ms: Some(60_000),
            responses_total: [0, 4, 0, 1, 0],
            failures_total: 1,
            latency: latency.counts(),
            ..InstanceSnapshot::default()
        });
        snapshot
    }

    #[test]
    fn a_busy_fleet_reads_like_this() {
        insta::assert_snapshot!(render(&busy()));
    }

    #[test]
    fn label_values_cannot_forge_a_line_and_are_cut() {
        let mut snapshot = busy();
        snapshot.instances[0].id = "a\"} 1\nplimsoll_fake{x=\"\\".into();
        snapshot.instances[0].upstream = "é".repeat(500);
        let text = render(&snapshot);
        let line = text.lines().find(|line| line.starts_with("plimsoll_instance_restarts_total{")).unwrap();
        let upstream = "é".repeat(family::LABEL_CHARS_MAX);
        assert_eq!(
            line,
            format!(r#"plimsoll_instance_restarts_total{{instance_id="a\"}} 1\nplimsoll_fake{{x=\"\\",upstream="{upstream}"}} 0"#)
        );
        assert!(!text.lines().any(|line| line.starts_with("plimsoll_fake")));
    }

    #[test]
    fn every_family_is_written_once_and_documented() {
        let text = render(&busy());
        let written: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
        let listed: Vec<_> = family::ALL.iter().map(|family| family.name).collect();
        assert_eq!(written, listed);

        let page = include_str!("../../../docs/metrics.md");
        let table = family::markdown_table();
        assert!(page.contains(&table), "docs/metrics.md must hold this table:\n{table}");
    }
}
