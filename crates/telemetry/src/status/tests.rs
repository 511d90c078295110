//! What is between two snapshots.

use super::*;
use crate::histogram::Histogram;

fn instance(id: &str, responses_total: [u64; 5], failures_total: u64) -> InstanceSnapshot {
    InstanceSnapshot { id: id.into(), responses_total, failures_total, ..InstanceSnapshot::default() }
}

#[test]
fn rates_cover_only_what_happened_in_between() {
    let mut earlier = Snapshot { uptime_ms: 60_000, ..Snapshot::default() };
    earlier.edge.responses_total = [0, 1_000, 0, 0, 1_000];
    earlier.instances = vec![instance("api-2", [0, 500, 0, 0, 0], 7)];
    let mut later = Snapshot { uptime_ms: 70_000, ..earlier.clone() };
    later.edge.responses_total = [0, 1_150, 0, 0, 1_050];
    later.instances = vec![instance("api-1", [0, 30, 0, 0, 0], 0), instance("api-2", [0, 580, 0, 0, 10], 17)];

    let status = Status::between(&earlier, &later);
    assert_eq!(status.edge.rate_per_second.to_bits(), 20_f64.to_bits());
    assert_eq!(status.edge.error_rate.to_bits(), 0.25_f64.to_bits());
    assert_eq!(status.edge.responses_total.server_error, 1_050);
    let rates: Vec<_> = status.instances.iter().map(|instance| (instance.id.as_str(), instance.rate_per_second)).collect();
    assert_eq!(rates, [("api-1", 3.0), ("api-2", 9.0)]);
    // 10 of 5xx and 10 without any answer, of 100 attempts.
    assert_eq!(status.instances[1].error_rate.to_bits(), 0.2_f64.to_bits());
}

#[test]
fn a_request_given_up_for_others_is_no_error() {
    let earlier = Snapshot::default();
    let mut later = Snapshot { uptime_ms: 10_000, ..Snapshot::default() };
    later.edge.responses_total = [0, 500, 0, 0, 500];
    later.edge.shed_total = 490;
    let edge = Status::between(&earlier, &later).edge;
    let rates = [edge.rate_per_second, edge.shed_per_second, edge.errors_per_second, edge.error_rate];
    assert_eq!(rates.map(f64::to_bits), [100_f64, 49.0, 1.0, 0.01].map(f64::to_bits));
    assert_eq!((edge.shed_total, edge.errors_total, edge.responses_total.server_error), (490, 10, 500));
}

#[test]
fn what_a_load_line_turned_away_is_told_by_priority() {
    let line = |shed_total| LoadLineSnapshot { upstream: "app".into(), shed_total, ..LoadLineSnapshot::default() };
    let earlier = Snapshot { load_lines: vec![line([[0; 4], [5, 0, 0, 0], [10, 0, 0, 0]])], ..Snapshot::default() };
    let later = vec![line([[0; 4], [5, 10, 0, 0], [10, 0, 0, 40]])];
    let status = Status::between(&earlier, &Snapshot { uptime_ms: 10_000, load_lines: later, ..Snapshot::default() });
    let LoadLineStatus { shed, shed_per_second, shed_total, .. } = &status.load_lines[0];
    let expected = ByPriority {
        critical: Count::default(),
        normal: Count { per_second: 1.0, total: 15 },
        sheddable: Count { per_second: 4.0, total: 50 },
    };
    assert_eq!((*shed, *shed_total, shed_per_second.to_bits()), (expected, 65, 5_f64.to_bits()));
}

#[test]
fn percentiles_forget_what_was_slow_before() {
    let latency = Histogram::default();
    latency.record(Duration::from_secs(9));
    let mut earlier = Snapshot { uptime_ms: 1, ..Snapshot::default() };
    earlier.edge.latency = latency.counts();
    let mut later = Snapshot { uptime_ms: 10_001, ..earlier.clone() };
    assert_eq!(Status::between(&earlier, &later).edge.p99_ms, None);

    latency.record(Duration::from_millis(8));
    later.edge.latency = latency.counts();
    let p99_ms = Status::between(&earlier, &later).edge.p99_ms.unwrap();
    assert!((8.0..8.6).contains(&p99_ms), "{p99_ms}");
}

#[test]
fn instances_of_the_same_name_in_two_upstreams_are_told_apart() {
    let in_upstream = |upstream: &str, answers| {
        let mut instance = instance("1", [0, answers, 0, 0, 0], 0);
        instance.upstream = upstream.into();
        instance
    };
    let earlier = Snapshot { instances: vec![in_upstream("a", 100), in_upstream("b", 0)], ..Snapshot::default() };
    let later = Snapshot { uptime_ms: 1_000, instances: vec![in_upstream("a", 101), in_upstream("b", 5)], ..Snapshot::default() };
    let rates: Vec<_> = Status::between(&earlier, &later).instances.iter().map(|instance| instance.rate_per_second).collect();
    assert_eq!(rates, [1.0, 5.0]);
}

#[test]
fn two_snapshots_of_the_same_moment_have_no_rate() {
    let mut snapshot = Snapshot::default();
    let before = snapshot.clone();
    snapshot.edge.responses_total[1] = 5;
    assert!(Status::between(&before, &snapshot).edge.rate_per_second.abs() < f64::EPSILON);
}

#[test]
fn json_reads_back_as_written() {
    let mut snapshot = Snapshot { uptime_ms: 1_000, instances: vec![instance("api-1", [1, 2, 3, 4, 5], 6)], ..Snapshot::default() };
    snapshot.edge.refusals_total = vec![("no-instance".into(), 3)];
    snapshot.edge.responses_total = [1, 2, 3, 4, 5];
    let status = Status::between(&Snapshot::default(), &snapshot);
    let json = serde_json::to_string(&status).unwrap();
    assert!(json.contains(r#""responses_total":{"1xx":1,"2xx":2,"3xx":3,"4xx":4,"5xx":5}"#), "{json}");
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
}
