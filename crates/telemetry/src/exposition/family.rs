//! Every metric family: its name, kind, labels and meaning. Names are stable across releases.

use std::time::Duration;

use crate::snapshot::{CircuitState, InstanceState};

/// Longer label values are cut: names come from configuration, and a series is kept for as long as the database keeps data.
pub(super) const LABEL_CHARS_MAX: usize = 128;

/// Values of `code_class`, in the order of `responses_total`.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Values of `state`: an instance is 1 in exactly one of them.
pub(super) const STATES: [InstanceState; 7] = [
    InstanceState::Starting,
    InstanceState::Ready,
    InstanceState::Unhealthy,
    InstanceState::Ejected,
    InstanceState::Draining,
    InstanceState::Backoff,
    InstanceState::Stopped,
];

/// Values of `state` of a breaker: it is 1 in exactly one of them.
pub(super) const CIRCUIT_STATES: [CircuitState; 3] = [CircuitState::Closed, CircuitState::Open, CircuitState::HalfOpen];

/// Upper bounds of latency buckets, about 2.5 times apart: half a millisecond to ten seconds.
pub(super) const LATENCY_BOUNDS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// One metric family.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

macro_rules! families {
    ($( $constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal; )*) => {
        $( pub(super) const $constant: Family = Family { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help }; )*

        /// Every family, in the order of the exposition.
        #[cfg(test)]
        pub(super) const ALL: &[Family] = &[ $( $constant, )* ];
    };
}

families! {
    BUILD_INFO = Gauge "plimsoll_build_info" ["version"] "Always 1; the label says which release runs.";
    UPTIME = Gauge "plimsoll_uptime_seconds" [] "Since this process started.";
    DRAINING = Gauge "plimsoll_draining" [] "1 from the moment the fleet was told to stop.";
    RELOAD_OK = Gauge "plimsoll_config_last_reload_successful" [] "1 if the last attempt to read the settings worked, the start included.";
    RELOAD_TIME = Gauge "plimsoll_config_last_reload_success_timestamp_seconds" [] "When the settings in force were read, in seconds since 1970.";
    RELOADS = Counter "plimsoll_config_reloads_total" ["result"] "Attempts to read the settings again.";
    CONNECTIONS_OPEN = Gauge "plimsoll_connections_open" [] "Client connections held now.";
    CONNECTIONS = Counter "plimsoll_connections_total" [] "Client connections accepted.";
    IN_FLIGHT = Gauge "plimsoll_http_requests_in_flight" [] "Requests that wait for the end of their answer.";
    REQUESTS = Counter "plimsoll_http_requests_total" ["code_class"] "Answers sent to clients, whoever made them.";
    DURATION = Histogram "plimsoll_http_request_duration_seconds" [] "From the request's head to the head of its answer, if an instance was asked for it.";
    RETRIES = Counter "plimsoll_http_retries_total" [] "Attempts beyond the first.";
    RETRIES_DENIED = Counter "plimsoll_http_retries_denied_total" [] "Attempts that were safe and in time, but not within the retry budget.";
    HEDGES = Counter "plimsoll_http_hedges_total" [] "Second attempts beside a slow first one.";
    HEDGES_WON = Counter "plimsoll_http_hedges_won_total" [] "Those of them that answered first.";
    FALLBACKS = Counter "plimsoll_http_fallbacks_total" [] "Requests without a real answer that got their route's fallback.";
    MIRRORED = Counter "plimsoll_http_mirrored_total" [] "Copies of requests that a mirror answered.";
    MIRRORS_LOST = Counter "plimsoll_http_mirrors_lost_total" [] "Copies of requests that were not sent, for want of room, or not answered.";
    CLIENT_GONE = Counter "plimsoll_http_client_gone_total" [] "Clients that left before their answer was complete.";
    REFUSALS = Counter "plimsoll_http_refusals_total" ["reason"] "Requests turned away; the reason is the last part of the problem type.";
    HANDSHAKES = Counter "plimsoll_tls_handshakes_total" ["kind"] "TLS handshakes with clients, in full or resumed.";
    HANDSHAKE_FAILURES = Counter "plimsoll_tls_handshake_failures_total" ["reason"] "TLS handshakes with clients that came to nothing.";
    CERTIFICATE_EXPIRY = Gauge "plimsoll_tls_certificate_expiry_timestamp_seconds" ["source"] "When the certificate from this file ends, in seconds since 1970.";
    ACME_ORDERS = Counter "plimsoll_acme_orders_total" ["result"] "Orders for certificates by what came of them: issued, refused, limited, failed.";
    LIMIT = Gauge "plimsoll_admission_limit" ["upstream"] "The load line: requests that all instances together may work on at once.";
    ADMITTED_NOW = Gauge "plimsoll_admission_in_flight" ["upstream"] "Places taken below the load line.";
    LINGERING = Gauge "plimsoll_admission_lingering" ["upstream"] "Places of requests whose client has left while the instance works on.";
    OVERLOADED = Gauge "plimsoll_admission_overloaded" ["upstream"] "1 while some requests are refused because not all can be served.";
    DRAIN = Gauge "plimsoll_admission_drain_per_second" ["upstream"] "Requests completed per second, as last measured.";
    ADMITTED = Counter "plimsoll_admission_admitted_total" ["upstream"] "Requests that got a place.";
    WAITED = Counter "plimsoll_admission_waited_total" ["upstream"] "Requests that waited for their place.";
    WAITING = Gauge "plimsoll_admission_waiting" ["upstream", "priority"] "Requests that wait for a place.";
    SHED = Counter "plimsoll_admission_shed_total" ["upstream", "priority", "cause"] "Requests that got no place.";
    CIRCUIT_STATE = Gauge "plimsoll_circuit_state" ["upstream", "state"] "1 in the state the upstream's breaker is in, 0 in every other.";
    CIRCUIT_OPENINGS = Counter "plimsoll_circuit_openings_total" ["upstream"] "Times the upstream's breaker has opened.";
    INSTANCE_STATE = Gauge "plimsoll_instance_state" ["instance_id", "upstream", "state"] "1 in the state the instance is in, 0 in every other.";
    INSTANCE_UPTIME = Gauge "plimsoll_instance_uptime_seconds" ["instance_id", "upstream"] "Since the instance was last started.";
    INSTANCE_REQUESTS = Counter "plimsoll_instance_requests_total" ["instance_id", "upstream", "code_class"] "Complete answers of the instance.";
    INSTANCE_DURATION = Histogram "plimsoll_instance_request_duration_seconds" ["instance_id", "upstream"] "From the attempt's start to the first byte of the answer.";
    INSTANCE_IN_FLIGHT = Gauge "plimsoll_instance_requests_in_flight" ["instance_id", "upstream"] "Attempts that run on the instance now.";
    INSTANCE_FAILURES = Counter "plimsoll_instance_failures_total" ["instance_id", "upstream"] "Attempts that ended without an answer: refused, reset, timed out.";
    INSTANCE_EJECTIONS = Counter "plimsoll_instance_ejections_total" ["instance_id", "upstream"] "Times the instance lost its traffic because too many attempts failed.";
    INSTANCE_RESTARTS = Counter "plimsoll_instance_restarts_total" ["instance_id", "upstream"] "Times the instance was started again after it died.";
}

/// The list as `docs/metrics.md` shows it.
#[cfg(test)]
pub(super) fn markdown_table() -> String {
    let row = |Family { name, kind, labels, help }: &Family| {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
        format!("| `{name}` | {} | {labels} | {help} |\n", kind.as_str())
    };
    let head = "| name | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    std::iter::once(head).chain(ALL.iter().map(row)).collect()
}
