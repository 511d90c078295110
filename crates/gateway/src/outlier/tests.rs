use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const START: u64 = 100 * SECOND;

/// One event of a member's life; attempts fail in the moment they begin.
#[derive(Clone, Copy, Debug)]
enum Event {
    Succeeds,
    Breaks,
    Refuses,
    ProbeSucceeds,
    WaitMs(u64),
}
use Event::{Breaks, ProbeSucceeds, Refuses, Succeeds, WaitMs};

fn play(events: &[Event]) -> Standing {
    let outlier = Outlier::new(&Config::default());
    let mut now_ns = START;
    for event in events {
        let failure = match event {
            Breaks => Failure::Broken,
            Refuses => Failure::Refused,
            Succeeds => {
                succeed(&outlier, now_ns);
                continue;
            }
            ProbeSucceeds => {
                outlier.probe_succeeded(now_ns);
                continue;
            }
            WaitMs(ms) => {
                now_ns += ms * MS;
                continue;
            }
        };
        let was_in = outlier.is_in(now_ns);
        let ejection = fail(&outlier, failure, now_ns, now_ns);
        assert_eq!(ejection.is_some(), was_in && !outlier.is_in(now_ns));
    }
    assert_eq!(outlier.is_in(now_ns), !matches!(outlier.standing(now_ns), Standing::Open { .. }));
    outlier.standing(now_ns)
}

fn succeed(outlier: &Outlier, now_ns: u64) {
    assert_eq!(outlier.succeeded(&mut outlier.begin(now_ns), Duration::from_millis(1), now_ns), None);
}

fn fail(outlier: &Outlier, failure: Failure, began_ns: u64, now_ns: u64) -> Option<Ejection> {
    outlier.failed(&mut outlier.begin(began_ns), failure, now_ns)
}

fn ejected_for_ms(ms: u64) -> Standing {
    Standing::Open { remaining: Duration::from_millis(ms) }
}

#[test]
fn every_transition_leads_where_the_table_says() {
    let cases: &[(&str, &[Event], Standing)] = &[
        ("a new member serves", &[], Standing::Closed),
        ("four failures are not five", &[Breaks; 4], Standing::Closed),
        ("five failures in a row eject", &[Breaks; 5], ejected_for_ms(500)),
        ("an answer between starts the count again", &[Breaks, Breaks, Breaks, Breaks, Succeeds, Breaks], Standing::Closed),
        ("a refused connection ejects at once", &[Refuses], ejected_for_ms(500)),
        ("time runs", &[Refuses, WaitMs(499)], ejected_for_ms(1)),
        ("its end is a trial", &[Refuses, WaitMs(500)], Standing::HalfOpen),
        ("the first answer on trial acquits", &[Refuses, WaitMs(500), Succeeds], Standing::Closed),
        ("the first failure on trial ejects for twice as long", &[Refuses, WaitMs(500), Breaks], ejected_for_ms(1_000)),
        ("an acquitted member has all its attempts again", &[Refuses, WaitMs(500), Succeeds, Breaks], Standing::Closed),
        ("but its record stays", &[Refuses, WaitMs(500), Succeeds, Refuses], ejected_for_ms(1_000)),
        ("a late answer does not end an ejection", &[Breaks, Breaks, Breaks, Breaks, Breaks, Succeeds], ejected_for_ms(500)),
        ("a probe ends an ejection for refusal", &[Refuses, WaitMs(100), ProbeSucceeds], Standing::HalfOpen),
        ("a probe does not end one for failures", &[Breaks, Breaks, Breaks, Breaks, Breaks, ProbeSucceeds], ejected_for_ms(500)),
        ("a probe does not acquit", &[Refuses, WaitMs(500), ProbeSucceeds], Standing::HalfOpen),
        ("a probe of a serving member changes nothing", &[Breaks, ProbeSucceeds], Standing::Closed),
        ("a probe is no answer to a request", &[Breaks, Breaks, Breaks, Breaks, ProbeSucceeds, Breaks], ejected_for_ms(500)),
        ("what fails while ejected is known", &[Refuses, WaitMs(100), Refuses, Breaks], ejected_for_ms(400)),
        ("half a minute forgives one doubling", &[Refuses, WaitMs(500), Refuses, WaitMs(31_000), Refuses], ejected_for_ms(1_000)),
        ("time forgives all of them in the end", &[Refuses, WaitMs(500), Refuses, WaitMs(99_000), Refuses], ejected_for_ms(500)),
    ];
    for (claim, events, expected) in cases {
        assert_eq!(play(events), *expected, "{claim}: {events:?}");
    }
}

#[test]
fn attempts_from_before_an_ejection_are_one_piece_of_evidence() {
    let outlier = Outlier::new(&Config::default());
    let fail = |began_ns, now_ns| fail(&outlier, Failure::Broken, began_ns, now_ns);
    for _ in 0..4 {
        assert_eq!(fail(START, START + SECOND), None);
    }
    assert!(fail(START, START + SECOND).is_some());
    let trial_ns = START + 2 * SECOND;
    assert_eq!(fail(START, trial_ns), None, "its time-out fell into the trial, its attempt did not");
    assert_eq!(outlier.standing(trial_ns), Standing::HalfOpen);
    succeed(&outlier, trial_ns);
    for _ in 0..100 {
        assert_eq!(fail(START, trial_ns + SECOND), None);
    }
    assert!(outlier.is_in(trial_ns + SECOND));
    assert!((0..5).any(|_| fail(trial_ns, trial_ns + SECOND).is_some()), "new attempts do count");
}

#[test]
fn a_member_that_fails_more_often_than_not_is_ejected_even_if_never_five_times_in_a_row() {
    let outlier = Outlier::new(&Config::default());
    let ejections = (0..60).filter_map(|number| {
        let now_ns = START + number * 100 * MS;
        if number % 5 < 2 {
            succeed(&outlier, now_ns);
            return None;
        }
        fail(&outlier, Failure::Broken, now_ns, now_ns)
    });
    assert_eq!(ejections.take(1).count(), 1);
}

#[test]
fn on_trial_a_member_gets_a_few_requests_at_a_time() {
    let outlier = Outlier::new(&Config::default());
    assert!(fail(&outlier, Failure::Refused, START, START).is_some());
    let trial_ns = START + SECOND;
    let mut trials: Vec<_> = (0..3).map(|_| outlier.begin(trial_ns)).collect();
    assert!(!outlier.is_in(trial_ns), "three are under way");
    outlier.abandoned(&mut trials[0]);
    assert!(outlier.is_in(trial_ns));
    assert_eq!(outlier.succeeded(&mut trials[1], Duration::from_millis(1), trial_ns), None);
    assert_eq!(outlier.standing(trial_ns), Standing::Closed);
}

#[test]
fn an_ejection_says_until_when() {
    let outlier = Outlier::new(&Config::default());
    let ejection = fail(&outlier, Failure::Refused, START, START).unwrap();
    assert_eq!(ejection, Ejection { until_ns: START + 500 * MS, lasts: Duration::from_millis(500) });
    assert!(!outlier.is_in(ejection.until_ns - 1) && outlier.is_in(ejection.until_ns));
}

#[test]
fn gateway_errors_are_failures_and_application_errors_are_answers() {
    for status in [502, 503, 504] {
        assert_eq!(Failure::of_status(StatusCode::from_u16(status).unwrap()), Some(Failure::Broken));
    }
    for status in [200, 404, 429, 500, 501] {
        assert_eq!(Failure::of_status(StatusCode::from_u16(status).unwrap()), None);
    }
}

#[test]
fn threads_eject_once_for_one_burst() {
    let outlier = Outlier::new(&Config::default());
    let ejections = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    let ejected = fail(&outlier, Failure::Broken, START, START).is_some();
                    ejections.fetch_add(u64::from(ejected), Relaxed);
                }
            });
        }
    });
    assert_eq!(ejections.into_inner(), 1);
}

proptest! {
    #[test]
    fn repeated_failure_ejects_for_longer_each_time_and_never_beyond_the_maximum(
        base_ms in 1_u64..2_000,
        max_ms in 2_000_u64..60_000,
        rounds in 1_usize..80,
    ) {
        let config = Config {
            ejection_base: Duration::from_millis(base_ms),
            ejection_max: Duration::from_millis(max_ms),
            ..Config::default()
        };
        let outlier = Outlier::new(&config);
        let (mut now_ns, mut last) = (START, Duration::ZERO);
        for round in 0..rounds {
            let ejection = fail(&outlier, Failure::Refused, now_ns, now_ns).unwrap();
            prop_assert!(ejection.lasts >= last && ejection.lasts <= config.ejection_max);
            if round == 0 {
                prop_assert_eq!(ejection.lasts, config.ejection_base);
            } else {
                prop_assert_eq!(ejection.lasts, (last * 2).min(config.ejection_max));
            }
            (now_ns, last) = (ejection.until_ns, ejection.lasts);
        }
    }

    #[test]
    fn no_history_keeps_a_member_out_for_longer_than_the_maximum(
        history in prop::collection::vec((0_u8..4, 0_u64..5_000, 0_u64..10_000), 0..100),
    ) {
        let config = Config::default();
        let outlier = Outlier::new(&config);
        let mut now_ns = START;
        for (event, waits_ms, took_ms) in history {
            now_ns += waits_ms * MS;
            match event {
                0 => succeed(&outlier, now_ns),
                1 => outlier.probe_succeeded(now_ns),
                2 => drop(fail(&outlier, Failure::Broken, now_ns - took_ms * MS, now_ns)),
                _ => drop(fail(&outlier, Failure::Refused, now_ns, now_ns)),
            }
            prop_assert!(outlier.is_in(now_ns + config.ejection_max.as_nanos() as u64 + MS));
        }
    }
}
