//! What is kept, and what is told of it.

use super::*;
use InstanceState::{Backoff, Ready};
use plimsoll_telemetry::status::LoadLineStatus;

fn status(uptime_ms: u64, instances: &[(&str, InstanceState, u64)]) -> Status {
    let instance = |(id, state, restarts_total): &(&str, InstanceState, u64)| InstanceStatus {
        id: (*id).into(),
        state: *state,
        restarts_total: *restarts_total,
        ..InstanceStatus::default()
    };
    Status { uptime_ms, instances: instances.iter().map(instance).collect(), ..Status::default() }
}

#[test]
fn tells_what_changed_and_nothing_else() {
    let mut history = History::default();
    let steps: [&[_]; 5] = [
        &[("a", Ready, 0), ("b", Ready, 0)],
        &[("a", Ready, 0), ("b", Ready, 0)],
        &[("a", Backoff, 0), ("b", Ready, 1)],
        &[("a", Ready, 1)],
        &[("a", Ready, 1), ("c", Ready, 0)],
    ];
    for (second, step) in steps.iter().enumerate() {
        history.record(&status(second as u64 * 1_000, step), 0);
    }
    let told: Vec<_> = history.changes_after(0).into_iter().map(|change| change.what.clone()).collect();
    let expected = [
        ("a", Some(Ready), Some(Backoff), 0),
        // So fast that no look saw it down.
        ("b", Some(Ready), Some(Ready), 1),
        ("a", Some(Backoff), Some(Ready), 1),
        ("b", Some(Ready), None, 0),
        ("c", None, Some(Ready), 0),
    ];
    let expected =
        expected.map(|(instance, from, to, restarts): (&str, _, _, _)| What::Instance { instance: instance.into(), from, to, restarts });
    assert_eq!(told, expected);
    assert_eq!(history.changes_after(4).len(), 1);
}

#[test]
fn stays_within_its_bounds_however_long_it_runs() {
    let mut history = History::default();
    for second in 0..1_000 {
        let state = if second % 2 == 0 { Ready } else { Backoff };
        history.record(&status(second, &[("a", state, 0), (&format!("once-{second}"), Ready, 0)]), 0);
    }
    assert_eq!((history.points.len(), history.changes.len(), history.instances.len()), (POINTS_MAX, CHANGES_MAX, 2));
    assert!(history.instances.values().all(|seen| seen.rates.len() <= RATES_MAX));
    assert_eq!(history.changes.back().unwrap().number, history.changes_total());
}

fn load(uptime_ms: u64, overloaded: bool, shed_total: u64) -> Status {
    let line = LoadLineStatus { upstream: "app".into(), limit: 12, overloaded, shed_total, ..LoadLineStatus::default() };
    Status { uptime_ms, load_lines: vec![line], ..Status::default() }
}

#[test]
fn an_overload_is_told_when_it_begins_and_with_what_it_cost_when_it_ends() {
    let mut history = History::default();
    let looks = [(1_000, false, 5), (2_000, true, 35), (3_000, true, 95), (4_000, false, 100), (5_000, false, 100), (6_000, true, 101)];
    for (uptime_ms, overloaded, refused) in looks {
        history.record(&load(uptime_ms, overloaded, refused), 0);
    }
    let told: Vec<_> = history.changes_after(0).into_iter().map(|change| (change.uptime_ms, change.what.clone())).collect();
    let expected = [
        (2_000, What::Overloaded { limit: 12, refused: 30 }),
        (4_000, What::Calm { limit: 12, refused: 95, lasted_ms: 2_000 }),
        (6_000, What::Overloaded { limit: 12, refused: 1 }),
    ];
    assert_eq!(told, expected);
}

#[test]
fn who_comes_later_hears_since_when_an_upstream_is_overloaded() {
    let mut history = History::default();
    history.record(&load(1_000, false, 0), 0);
    assert_eq!(history.recap().lines[0].since_ms, None, "calm since the start");
    for second in 2..1_000 {
        history.record(&load(second * 1_000, true, second), 0);
    }
    let recap = history.recap();
    assert_eq!((recap.lines[0].since_ms, recap.lines[0].points.len()), (Some(2_000), POINTS_MAX));
    history.record(&Status::default(), 0);
    assert!(history.recap().lines.is_empty(), "forgotten with its upstream");
}
