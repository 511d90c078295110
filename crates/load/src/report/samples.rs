//! Made-up recordings for tests.

use std::time::Duration;

use crate::plan::{Arrivals, Pace, Protocol, Stage};
use crate::record::{ErrorKind, Example, Generator, PlanSummary, Recording, RequestRecord, StageRecord, StatusRecord, Totals, VERSION};

/// Requests of `seconds` seconds at a rate, of which a share is answered well, around a latency with a tail.
pub(crate) fn totals(rate: f64, seconds: f64, good: f64, median_ms: f64) -> Totals {
    let due = (rate * seconds) as u64;
    let mut totals = Totals { due, sent: due, good: (due as f64 * good) as u64, ..Totals::default() };
    totals.answered_by_class[2] = totals.good;
    let refused = due - totals.good;
    totals.answered_by_class[5] = refused / 2;
    totals.errors[ErrorKind::Timeout] = refused - refused / 2;
    for index in 0..totals.good {
        let share = (index as f64 + 0.5) / totals.good as f64;
        totals.good_latency.record(Duration::from_secs_f64(median_ms / 1e3 * (0.5 / (1.0 - share)).powf(0.3)));
    }
    for _ in 0..totals.errors[ErrorKind::Timeout] {
        totals.poor_latency.record(Duration::from_secs(1));
    }
    totals
}

/// Half of what was not good was refused.
fn statuses(total: &Totals) -> Vec<StatusRecord> {
    let refused = StatusRecord {
        status: 503,
        count: total.answered_by_class[5],
        problem: Some("urn:plimsoll:problem:overloaded".to_owned()),
        excerpt: Some("{\"title\": \"<b>overloaded\u{1b}[31m\"}".to_owned()),
    };
    let good = StatusRecord { status: 200, count: total.good, ..StatusRecord::default() };
    [good, refused].into_iter().filter(|record| record.count > 0).collect()
}

/// Stages of five seconds: rate, share of good answers, median in milliseconds.
pub(crate) fn recording(stages: &[(f64, f64, f64)]) -> Recording {
    let lasts = Duration::from_secs(5);
    let mut starts = Duration::ZERO;
    let (mut total, mut records, mut seconds) = (Totals::default(), Vec::new(), Vec::new());
    for (rate, good, median_ms) in stages.iter().copied() {
        let totals = totals(rate, 5.0, good, median_ms);
        total.merge(&totals);
        seconds.extend((0..5).map(|second| self::totals(rate, 1.0, good, median_ms * (1.0 + 0.1 * f64::from(second)))));
        let stage = Some(Stage::constant(rate, lasts));
        records.push(StageRecord {
            stage,
            starts,
            lasted: lasts,
            totals,
            lateness: crate::Histogram::default(),
            generator_saturated: false,
        });
        starts += lasts;
    }
    Recording {
        version: VERSION,
        target: "http://127.0.0.1:9000/feed?<script>alert(1)</script>".to_owned(),
        started_unix_ms: 1_795_305_600_000,
        lasted: starts,
        stopped_early: false,
        plan: PlanSummary {
            pace: Pace::Open(stages.iter().map(|stage| Stage::constant(stage.0, lasts)).collect()),
            arrivals: Arrivals::Poisson,
            timeout: Duration::from_secs(1),
            connections_max: 1_000,
            protocol: Protocol::Auto,
            users: 0,
            seed: 1,
        },
        requests: vec![RequestRecord { name: "GET /feed".to_owned(), totals: total.clone() }],
        statuses: statuses(&total),
        total,
        seconds,
        stages: records,
        generator: Generator::default(),
        examples: vec![Example { kind: ErrorKind::Timeout, message: "no answer within 1 s <b>\u{1b}[31m".to_owned() }],
    }
}
